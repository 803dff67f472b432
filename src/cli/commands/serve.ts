// `gpt2-api serve`: serves one or more models, from reading the settings to the orderly stop.

import { GptError } from "../../errors.ts";
import type { WatchedFile } from "../../files/watched-file.ts";
import type { ExampleTarget } from "../../request/client-examples.ts";
import { loadKeys } from "../../server/access/load-keys.ts";
import { type LoadedCredential, notKept } from "../../server/access/own-key-pair.ts";
import { TlsFiles } from "../../server/http/tls.ts";
import { metricsOf } from "../../server/lifecycle.ts";
import { Models } from "../../server/models.ts";
import { endpointsOf, type ResolvedSettings, type Settings } from "../../settings.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { greeting } from "../greeting.ts";
import { modelFinder, printLine } from "../hub-models.ts";
import { playgroundLinks } from "../playground-links.ts";
import { PRINT_CONFIG, settingsText } from "../print-config.ts";
import { EXIT, warn } from "../report.ts";
import { serveForLife } from "../server-process.ts";
import { loadingText, Progress } from "../terminal.ts";

const COMMON_SETTINGS = [
  "model",
  "precision",
  "threads",
  "kvCacheMb",
  "host",
  "port",
  "endpoint",
  "adminPort",
  "auth",
  "credentialsFile",
  "logLevel",
] as const;

export const serve: Command = {
  summary: "Serves models over the SageMaker Runtime protocol.",
  examples: [
    ["The small model that comes with the software, on port 8080", "gpt2-api serve"],
    ["GPT-2 itself, which is fetched the first time", "gpt2-api serve --model gpt2"],
    ["Your own checkpoint", "gpt2-api serve --model ./my-gpt2 --port 9000"],
    ["Two endpoints", "gpt2-api serve --endpoint gpt-2 --endpoint other=./my-gpt2"],
    ["What the server would run with, and why", "gpt2-api serve --config settings.json --print-config"],
  ],
  options: {
    ...settingOptions(undefined, COMMON_SETTINGS),
    ...CONFIG_OPTION,
    ...PRINT_CONFIG,
    examples: {
      type: "boolean",
      common: true,
      help: "When the server is ready, prints example commands for all clients, not only for curl.",
    },
    open: {
      type: "boolean",
      common: true,
      help: "Opens the playground in the browser when the server is ready.",
    },
  },
  async run(argv) {
    const flags = parseFlags(argv, serve).values;
    const resolved = settingsOf(flags, process.env);
    if (flags["print-config"]) {
      process.stdout.write(settingsText(resolved));
      return EXIT.success;
    }
    return startServer(resolved, { allClients: flags.examples === true, opens: flags.open === true });
  },
};

interface StartOptions {
  readonly allClients: boolean;
  readonly opens: boolean;
}

async function startServer(resolved: ResolvedSettings, { allClients, opens }: StartOptions): Promise<number> {
  const { settings } = resolved;
  let progress: Progress | undefined = new Progress();
  // Until the server logs, messages go to the terminal.
  const reporters = { problem: warn, notice: printLine };
  const report = (message: string): void => reporters.problem(message);
  const onNotice = (text: string): void => reporters.notice(text);
  const endpoints = endpointsOf(settings);
  const { keys, own, files: keyFiles } = loadKeys(settings, process.env, report);
  const isTerminal = process.stdout.isTTY === true;
  const playground = playgroundLinks(settings, opens, isTerminal);
  // A pair that is not stored is known from the greeting only, and outside a terminal the greeting shows no secret.
  if (own?.place.kind === "nowhere" && !isTerminal) throw notKept(own.place.reason);
  const tls = tlsOf(settings, report);
  const files = [...keyFiles, ...(tls?.files ?? [])];
  // The models load in threads of their own. Meanwhile this thread imports the server's modules.
  const models = new Models(settings, endpoints, {
    env: process.env,
    findModel: modelFinder(resolved, process.env, onNotice),
    onProblem: report,
    onLoading: (name, part) => progress?.show(loadingText(name, part)),
    onReloaded: onNotice,
  });
  const [{ createApp }, metrics] = await Promise.all([
    import("../../server/doors/runtime.ts"),
    metricsOf(settings, models),
  ]);
  const app = createApp({
    playground: playground?.parts,
    generators: models.sources,
    settings,
    keys,
    tls,
    logger: { level: settings.logLevel, stream: process.stderr },
    onFinished: (record, status) => metrics?.finished(record, status),
  });
  reporters.problem = (message) => app.log.error(message);
  reporters.notice = (text) => app.log.info(text);
  const onReload = (): void => {
    checkAll(files);
    app.log.info("SIGHUP: key files and certificate were read again");
  };
  setInterval(() => checkAll(files), CHECK_MS).unref();
  return serveForLife({ door: "runtime", app, models, metrics, files, settings, onReload }, (baseUrl) => {
    const served = [...models.byEndpoint()].flatMap(([name, each]) =>
      each ? [{ name, model: each.model }] : [],
    );
    progress?.clear();
    progress = undefined; // From now on the log reports the loading, after a restart of the engine for example.
    const target = targetOf(baseUrl, settings, own);
    const facts = { served, target, settings, own, allClients, isTerminal };
    process.stdout.write(greeting({ ...facts, playground: playground?.at(baseUrl) }));
    if (opens) void playground?.open(report);
  });
}

/** How the example commands of the greeting reach the first endpoint. */
function targetOf(baseUrl: string, settings: Settings, own: LoadedCredential | undefined): ExampleTarget {
  return {
    baseUrl,
    auth: settings.auth,
    endpoint: endpointsOf(settings)[0]?.name ?? "",
    region: settings.region === "any" ? "us-east-1" : settings.region,
    hasSessionToken: own?.credential.sessionToken !== undefined,
  };
}

/** How often files are checked even if no request needs them, so that a problem is logged before a caller meets it. */
const CHECK_MS = 10_000;

function checkAll(files: readonly WatchedFile<unknown>[]): void {
  for (const file of files) file.check();
}

/** @throws GptError `invalid_config` when only one of the two files is named, or they do not belong together. */
function tlsOf({ tlsCert, tlsKey }: Settings, onProblem: (message: string) => void): TlsFiles | undefined {
  if (tlsCert === "" && tlsKey === "") return undefined;
  if (tlsCert !== "" && tlsKey !== "") return new TlsFiles(tlsCert, tlsKey, onProblem);
  const [given, missing] = tlsCert === "" ? ["--tls-key", "--tls-cert"] : ["--tls-cert", "--tls-key"];
  throw new GptError("invalid_config", `${given} is set and ${missing} is not; HTTPS needs both`);
}
