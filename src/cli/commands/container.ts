// `gpt2-api container`: serves SageMaker's inference-container contract. A container image runs the same when it is
// started with the argument `serve`. Settings come from the usual flags and variables, and from those of SageMaker's
// own variables that have a meaning here.

import { existsSync } from "node:fs";
import { GptError } from "../../errors.ts";
import type { Environment } from "../../server/access/own-key-pair.ts";
import { createContainerApp } from "../../server/doors/container.ts";
import type { ResponseType } from "../../server/doors/envelope.ts";
import { metricsOf } from "../../server/lifecycle.ts";
import { Models } from "../../server/models.ts";
import type { SettingLayer } from "../../settings.ts";
import { quote } from "../../wording.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, type Platform, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { CONTRACT, modelFinder, printLine } from "../hub-models.ts";
import { PRINT_CONFIG, settingsText } from "../print-config.ts";
import { EXIT, warn } from "../report.ts";
import { serveForLife } from "../server-process.ts";

const MODEL_DIRECTORY = "/opt/ml/model";
const SHIPPED_MODEL = "tiny";

/** Settings that have a meaning without keys and endpoint names. */
const SETTING_NAMES = [
  "host",
  "port",
  "model",
  "offline",
  "precision",
  "kvCacheMb",
  "prefixCache",
  "speculation",
  "bodyBytesMax",
  "bodiesBytesMax",
  "refusedBytesMax",
  "headerBytesMax",
  "headerLinesMax",
  "answerTimeoutMs",
  "unreadBytesMax",
  "queueRequestsMax",
  "queueTokensMax",
  "threads",
  "kernels",
  "weightCacheMb",
  "passTokensMax",
  "passRowsMax",
  "maxNumReturnSequences",
  "maxNumBeams",
  "headersTimeoutMs",
  "requestTimeoutMs",
  "keepAliveTimeoutMs",
  "engineStallTimeoutMs",
  "requestDeadlineMs",
  "drainDelayMs",
  "drainTimeoutMs",
  "reloadInPlace",
  "reloadLingerMs",
  "watchModel",
  "watchHubIntervalMs",
  "connectionsMax",
  "connectionRequestsMax",
  "logLevel",
  "adminHost",
  "adminPort",
] as const;

export const container: Command = {
  summary: "Serves one model as a SageMaker inference container.",
  examples: [
    ["As a platform starts it", "gpt2-api container"],
    ["On this machine, with your own checkpoint", "gpt2-api container --host 127.0.0.1 --model ./my-gpt2"],
  ],
  options: {
    ...settingOptions(SETTING_NAMES, ["host", "port", "model", "precision", "threads", "logLevel"]),
    ...CONFIG_OPTION,
    ...PRINT_CONFIG,
    download: {
      type: "boolean",
      common: true,
      help:
        "Fetches the model from the hub if it is not in the cache, which a container does not do by itself. " +
        "[GPT2_API_OFFLINE=false]",
    },
  },
  async run(argv) {
    const { download, ...given } = parseFlags(argv, container).values;
    const flags = download ? { ...given, offline: false } : given;
    const resolved = settingsOf(flags, process.env, containerPlatform(process.env));
    if (flags["print-config"]) {
      process.stdout.write(settingsText(resolved));
      return EXIT.success;
    }
    const { settings } = resolved;
    const defaultAccept = acceptFrom(process.env);
    const reporters = { problem: warn, notice: printLine };
    const onNotice = (text: string): void => reporters.notice(text);
    const endpoints = [{ name: "container", model: settings.model }];
    const models = new Models(settings, endpoints, {
      env: process.env,
      findModel: modelFinder(resolved, process.env, onNotice),
      onProblem: (message) => reporters.problem(message),
      onReloaded: onNotice,
    });
    const metrics = await metricsOf(settings, models);
    const [generator] = models.sources.values();
    const app = createContainerApp({
      generator: generator as NonNullable<typeof generator>,
      settings,
      defaultAccept,
      logger: { level: settings.logLevel, stream: process.stderr },
      onFinished: (record, status) => metrics?.finished(record, status),
    });
    reporters.problem = (message) => app.log.error(message);
    reporters.notice = (text) => app.log.info(text);
    const onReload = () => app.log.info("SIGHUP: the model's files are checked again");
    return serveForLife(
      { door: "container", app, models, metrics, files: [], settings, onReload },
      (baseUrl) => {
        process.stdout.write(`# The container contract is served at ${baseUrl}/invocations\n`);
      },
    );
  },
};

const PRESETS: SettingLayer = {
  host: { origin: CONTRACT, value: "0.0.0.0" },
  port: { origin: CONTRACT, value: "8080" },
  model: { origin: CONTRACT, value: MODEL_DIRECTORY },
  // Models are mounted into the container. They are fetched only with --download.
  offline: { origin: CONTRACT, value: true },
  // A cache on a container's disk would be lost with the container.
  weightCacheMb: { origin: CONTRACT, value: "0" },
};

const UNMOUNTED: SettingLayer = {
  model: { origin: `the software, because ${MODEL_DIRECTORY} does not exist`, value: SHIPPED_MODEL },
};

/**
 * What SageMaker sets: the defaults of its contract, and the variables of the platform and its toolkits. Variables without
 * a meaning here are ignored. If no model is mounted (`isMounted`), the image serves the model that it was built with.
 * @throws GptError `invalid_config` when a variable should be a number and is not.
 */
export function containerPlatform(
  env: Environment,
  isMounted: boolean = existsSync(MODEL_DIRECTORY),
): Platform {
  const preset = (variable: string, convert: (text: string) => unknown) => {
    const text = env[variable] || undefined;
    return text === undefined ? undefined : { origin: variable, value: convert(text) };
  };
  const scaled = (variable: string, factor: number) =>
    preset(variable, (text) => {
      if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * factor);
      throw new GptError("invalid_config", `${variable} must be a number, got ${quote(text)}`);
    });
  const found = {
    port: preset("SAGEMAKER_BIND_TO_PORT", (text) => text),
    bodyBytesMax: scaled("SAGEMAKER_MAX_PAYLOAD_IN_MB", 2 ** 20),
    requestDeadlineMs:
      scaled("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", 1000) ??
      scaled("SAGEMAKER_MODEL_SERVER_TIMEOUT", 1000),
    logLevel: preset("SAGEMAKER_CONTAINER_LOG_LEVEL", logLevel),
  };
  const set = Object.entries(found).filter(([, value]) => value !== undefined);
  return { variables: Object.fromEntries(set), defaults: isMounted ? PRESETS : { ...PRESETS, ...UNMOUNTED } };
}

/** The log level that SageMaker gives as a number of Python's logging module, or as a name. */
function logLevel(text: string): string {
  const names: Readonly<Record<string, string>> = {
    10: "debug",
    20: "info",
    30: "warn",
    40: "error",
    50: "fatal",
    warning: "warn",
    critical: "fatal",
  };
  return names[text.toLowerCase()] ?? text.toLowerCase();
}

function acceptFrom(env: Environment): ResponseType | undefined {
  const variable = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT";
  const text = env[variable] || undefined;
  if (text === undefined || text === "application/json" || text === "application/jsonlines") return text;
  throw new GptError(
    "invalid_config",
    `${variable} must be application/json or application/jsonlines, got ${quote(text)}`,
  );
}
