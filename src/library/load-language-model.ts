// From a model's name to a model that answers, in the caller's own process.
import { findModel } from "../generator/find-model.ts";
import { loadGenerator } from "../generator/load-generator.ts";
import { hubEnvironment } from "../hub/hub-environment.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import { LanguageModel } from "./language-model.ts";

/** How a model is loaded; the names and defaults are those of the server's settings. */
export interface LoadOptions
  extends Partial<Pick<Settings, "precision" | "threads" | "kernels" | "kvCacheMb" | "offline">> {
  /** Requests that may be open at a time; further ones are refused with `queue_full`. */
  readonly queueRequestsMax?: number;
  /** Is told which part of a download is there, from 0 to 1. */
  readonly onDownload?: (part: number) => void;
  /** Is told what the operator of a server would read in its log. Default: nobody. */
  readonly onProblem?: (message: string) => void;
  /** Aborted: a download stops; what has come stays for the next time. */
  readonly signal?: AbortSignal;
}

/**
 * Loads a model: the small one that comes with the package ("tiny"), a directory with a checkpoint, or one of the Hugging Face
 * hub by its name ("gpt2", "owner/name@revision"), which is fetched the first time.
 * @throws GptError `invalid_checkpoint`, `invalid_tokenizer`, `invalid_config`, `hub_refused`, `hub_unreachable`,
 * `download_failed` or `model_not_cached`
 */
export async function loadModel(model = "tiny", options: LoadOptions = {}): Promise<LanguageModel> {
  const { offline = DEFAULT_SETTINGS.offline, onDownload, signal, onProblem = () => {}, ...others } = options;
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
  const { precision, threads, kernels, kvCacheMb, queueRequestsMax } = { ...DEFAULT_SETTINGS, ...others };
  const generator = await loadGenerator({
    model: directory,
    name,
    ...(origin !== undefined && { origin }),
    precision,
    threads,
    kernels,
    kvCacheMb,
    queueRequestsMax,
    onProblem,
  });
  return new LanguageModel(generator);
}
