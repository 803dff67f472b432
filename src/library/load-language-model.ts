// Loads a model by its name, in the caller's own process.
import { GptError } from "../errors.ts";
import { findModel } from "../generator/find-model.ts";
import { loadGenerator } from "../generator/load-generator.ts";
import { hubEnvironment } from "../hub/hub-environment.ts";
import { resolveSettings, type Settings, settingsOfObject } from "../settings.ts";
import { nearest, quote } from "../wording.ts";
import { LanguageModel } from "./language-model.ts";

/** How a model is loaded. Names and defaults are those of the server's settings. */
export interface LoadOptions
  extends Partial<Pick<Settings, "precision" | "threads" | "kernels" | "kvCacheMb" | "offline">> {
  /** Requests that may be open at the same time. More are refused with `queue_full`. */
  readonly queueRequestsMax?: number;
  /** Called with the part of a download that is fetched, from 0 to 1. */
  readonly onDownload?: (part: number) => void;
  /** Called with the warnings that a server would log. Default: they are dropped. */
  readonly onProblem?: (message: string) => void;
  /** When it is aborted, the loading stops with `cancelled`. The next download continues where this one stopped. */
  readonly signal?: AbortSignal;
}

/**
 * Loads a model: the small one that comes with the package ("tiny"), a directory with a checkpoint, or a model of the Hugging
 * Face hub by its name ("gpt2", "owner/name@revision"), which is fetched the first time.
 * @throws GptError `invalid_checkpoint`, `invalid_tokenizer`, `invalid_config`, `hub_refused`, `hub_unreachable`,
 * `download_failed`, `model_not_cached`, or `cancelled` when `signal` was aborted
 */
export async function loadModel(model = "tiny", options: LoadOptions = {}): Promise<LanguageModel> {
  const { onDownload, signal, onProblem = () => {}, ...others } = options;
  const { offline, precision, threads, kernels, kvCacheMb, queueRequestsMax } = settingsOf(others);
  refuseAborted(signal);
  const found = await findModel(model, () => {
    const environment = hubEnvironment(process.env);
    return {
      environment: offline ? { ...environment, offline: "offline of loadModel" } : environment,
      ...(signal && { signal }),
      onEvent: (event) => {
        if (event.kind === "progress") onDownload?.(event.bytes / event.size);
      },
    };
  });
  const { directory, name, origin } = found;
  const generator = await loadGenerator({
    model: directory,
    name,
    ...(origin !== undefined && { origin }),
    ...(signal && { signal }),
    precision,
    threads,
    kernels,
    kvCacheMb,
    queueRequestsMax,
    onProblem,
  });
  if (signal?.aborted) await generator.close();
  refuseAborted(signal);
  return new LanguageModel(generator);
}

/** The type makes sure that none is missing. */
const OPTION_NAMES = Object.keys({
  precision: true,
  threads: true,
  kernels: true,
  kvCacheMb: true,
  offline: true,
  queueRequestsMax: true,
  onDownload: true,
  onProblem: true,
  signal: true,
} satisfies Record<keyof LoadOptions, true>);

/** @throws GptError `invalid_config` that names the option, its value and its range */
function settingsOf(options: Readonly<Record<string, unknown>>): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const unknown = given.find(([name]) => !OPTION_NAMES.includes(name))?.[0];
  if (unknown === undefined) {
    return resolveSettings({ layers: [settingsOfObject(Object.fromEntries(given), "loadModel")] });
  }
  const meant = nearest(unknown, OPTION_NAMES);
  const hint = meant ? `did you mean ${quote(meant)}?` : `the known ones are ${OPTION_NAMES.join(", ")}`;
  throw new GptError("invalid_config", `loadModel: the option ${quote(unknown)} is unknown; ${hint}`, {
    field: unknown,
  });
}

/** @throws GptError `cancelled` */
function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new GptError("cancelled", "the loading was cancelled", { cause: signal.reason });
}
