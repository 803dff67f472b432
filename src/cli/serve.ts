// `gpt2-api serve`: the runtime front on a loaded model, from the settings to the orderly stop.
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { type Config, resolveConfig } from "../config.ts";
import { GptError, messageOf } from "../errors.ts";
import { createApp } from "../server/app.ts";
import type { Generator, ModelInfo } from "../service/generation.ts";
import { loadGenerator } from "../service/load.ts";
import { modelName, resolveModelDirectory } from "../service/model-directory.ts";
import type { Command } from "./command.ts";
import { type LoadedCredential, loadCredential } from "./credentials.ts";
import { type ExampleTarget, examples, invocationUrl } from "./examples.ts";
import { parseFlags, settingOptions } from "./flags.ts";

export const serve: Command = {
  summary: "Serves a model over the SageMaker Runtime protocol.",
  options: settingOptions(),
  async run(argv) {
    const flags = parseFlags(argv, serve).values;
    const config = resolveConfig({ flags, env: process.env });
    const stopped = stopSignal();
    const server = await startServer(config, loadCredential(process.env));
    process.stdout.write(server.greeting);
    await stopped;
    await server.close();
    return 0;
  },
};

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once, as it does by default. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
      resolve();
    };
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  });
}

interface RunningServer {
  readonly greeting: string;
  /** Answers what has arrived, then stops. */
  close(): Promise<void>;
}

/** Listens first, so that `/ping` tells of the loading, and resolves when the model is ready. */
async function startServer(config: Config, keys: LoadedCredential): Promise<RunningServer> {
  const directory = resolveModelDirectory(config.model);
  const { precision, kvCacheMb, queueRequestsMax } = config;
  const name = modelName(directory);
  const loading = loadGenerator({ model: directory, name, precision, kvCacheMb, queueRequestsMax });
  const { credential } = keys;
  const app = createApp({
    generator: loading,
    config,
    credentials: (id) => (id === credential.accessKeyId ? credential : undefined),
    logger: { level: config.logLevel, stream: process.stderr },
  });
  try {
    const [generator] = await Promise.all([loading, listen(app, config)]);
    return {
      greeting: greeting(generator.model, target(app, config, keys), keys),
      async close() {
        await app.close();
        await generator.close();
      },
    };
  } catch (error) {
    await app.close();
    loading.then((generator: Generator) => generator.close()).catch(() => {});
    throw error;
  }
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port, listenTextResolver: () => "listening" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      code === "EADDRINUSE" ? "the port is in use; choose another with --port, 0 for any" : messageOf(error);
    throw new GptError("cannot_listen", `Cannot listen on ${host} port ${port}: ${reason}`);
  }
}

/** The address at which clients on this machine reach the server. */
function target(app: FastifyInstance, config: Config, { credential }: LoadedCredential): ExampleTarget {
  const { port } = app.server.address() as AddressInfo;
  const host = LOOPBACK[config.host] ?? config.host;
  return {
    baseUrl: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    endpoint: config.endpoint,
    region: config.region === "any" ? "us-east-1" : config.region,
    hasSessionToken: credential.sessionToken !== undefined,
  };
}

/** Where a server that listens on all addresses is reached. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** What is printed once the server is ready. All but the commands is comment, so the whole can be pasted into a shell. */
function greeting(model: ModelInfo, address: ExampleTarget, { credential, path }: LoadedCredential): string {
  const millions = (model.parameters / 1e6).toFixed(1);
  const keys =
    path === undefined
      ? ["# Clients sign with the key pair of this server's environment, AWS_ACCESS_KEY_ID and its secret."]
      : [
          `# Clients sign with this key pair, which is kept in ${path}:`,
          `export AWS_ACCESS_KEY_ID=${credential.accessKeyId}`,
          `export AWS_SECRET_ACCESS_KEY=${credential.secretAccessKey}`,
        ];
  const commands = examples(address).flatMap(({ client, command }) => ["", `# ${client}`, command]);
  return [
    `# ${model.name} (${millions} M parameters, ${model.precision}) is served at`,
    `# ${invocationUrl(address)}`,
    "",
    ...keys,
    ...commands,
    "",
    "# Ctrl-C stops the server.",
    "",
  ].join("\n");
}
