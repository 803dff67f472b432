// `gpt2-api serve`: the runtime front on one or more models, from the settings to the orderly stop.

import { GptError } from "../../errors.ts";
import type { ModelInfo } from "../../request/generation.ts";
import { loadKeys } from "../../server/access/load-keys.ts";
import type { LoadedCredential } from "../../server/access/own-key-pair.ts";
import { TlsFiles } from "../../server/http/tls.ts";
import { Models, metricsOf, run } from "../../server/lifecycle.ts";
import { endpointsOf, explainSettings, type Settings } from "../../settings.ts";
import type { Command } from "../command.ts";
import { type ExampleTarget, examples, invocationUrl } from "../examples.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { PRINT_CONFIG, settingsText } from "../print-config.ts";
import { outliveOutput } from "../report.ts";

export const serve: Command = {
  summary: "Serves models over the SageMaker Runtime protocol.",
  options: { ...settingOptions(), ...PRINT_CONFIG },
  async run(argv) {
    const flags = parseFlags(argv, serve).values;
    const resolved = explainSettings({ flags, env: process.env });
    if (flags["print-config"]) {
      process.stdout.write(settingsText(resolved));
      return 0;
    }
    return startServer(resolved.settings);
  },
};

async function startServer(settings: Settings): Promise<number> {
  let onProblem = (message: string): void => void process.stderr.write(`gpt2-api: ${message}\n`);
  const report = (message: string): void => onProblem(message);
  const endpoints = endpointsOf(settings);
  const { keys, own } = loadKeys(settings, process.env, report);
  const tls = tlsOf(settings, report);
  // The models are loaded in threads of their own, and the server's modules meanwhile.
  const models = new Models(settings, endpoints, { env: process.env, onProblem: report });
  const [{ createApp }, metrics] = await Promise.all([
    import("../../server/doors/runtime.ts"),
    metricsOf(settings, models),
  ]);
  const app = createApp({
    ...{ generators: models.loading, settings, keys, tls },
    logger: { level: settings.logLevel, stream: process.stderr },
    onFinished: (record, status) => metrics?.finished(record, status),
  });
  onProblem = (message) => app.log.error(message);
  outliveOutput();
  return run({ app, models, metrics, settings }, (baseUrl) => {
    const target: ExampleTarget = {
      ...{ baseUrl, auth: settings.auth, endpoint: endpoints[0]?.name ?? "" },
      region: settings.region === "any" ? "us-east-1" : settings.region,
      hasSessionToken: own?.credential.sessionToken !== undefined,
    };
    const served = [...models.all()].flatMap(([name, each]) => (each ? [{ name, model: each.model }] : []));
    process.stdout.write(greeting(served, target, settings, own));
  });
}

/** @throws GptError `invalid_config` when only one of the two files is named, or they do not fit together. */
function tlsOf({ tlsCert, tlsKey }: Settings, onProblem: (message: string) => void): TlsFiles | undefined {
  if (tlsCert === "" && tlsKey === "") return undefined;
  if (tlsCert !== "" && tlsKey !== "") return new TlsFiles(tlsCert, tlsKey, onProblem);
  const [given, missing] = tlsCert === "" ? ["--tls-key", "--tls-cert"] : ["--tls-cert", "--tls-key"];
  throw new GptError("invalid_config", `${given} is set and ${missing} is not; HTTPS needs both`);
}

interface Served {
  readonly name: string;
  readonly model: ModelInfo;
}

/** What is printed once the server is ready. All but the commands is comment, so the whole can be pasted into a shell. */
function greeting(
  served: readonly Served[],
  target: ExampleTarget,
  settings: Settings,
  own: LoadedCredential | undefined,
): string {
  const models = served.flatMap(({ name, model }) => [
    `# ${model.name} (${(model.parameters / 1e6).toFixed(1)} M parameters, ${model.precision}, ${model.kernels} kernels) is served at`,
    `# ${invocationUrl({ ...target, endpoint: name })}`,
  ]);
  const commands = examples(target).flatMap(({ client, command }) => ["", `# ${client}`, command]);
  return [...models, "", ...keyLines(settings, own), ...commands, "", "# Ctrl-C stops the server.", ""].join(
    "\n",
  );
}

function keyLines(settings: Settings, own: LoadedCredential | undefined): string[] {
  if (settings.auth === "none") return ["# Everybody who reaches this address may call it."];
  if (settings.auth === "bearer") {
    return [`# Clients send an API key of ${settings.apiKeysFile}, here from GPT2_API_KEY.`];
  }
  if (own?.path !== undefined) {
    return [
      `# Clients sign with this key pair, which is kept in ${own.path}:`,
      `export AWS_ACCESS_KEY_ID=${own.credential.accessKeyId}`,
      `export AWS_SECRET_ACCESS_KEY=${own.credential.secretAccessKey}`,
    ];
  }
  return settings.credentialsFile === ""
    ? ["# Clients sign with the key pair of this server's environment, AWS_ACCESS_KEY_ID and its secret."]
    : [`# Clients sign with a key pair of ${settings.credentialsFile}.`];
}
