// What `serve` prints once it is ready. All but the commands is comment, so the whole can be pasted into a shell.
import type { ModelInfo } from "../request/generation.ts";
import type { LoadedCredential } from "../server/access/own-key-pair.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import { type ExampleTarget, examples, invocationUrl } from "./examples.ts";

export interface Served {
  /** Of the endpoint. */
  readonly name: string;
  readonly model: ModelInfo;
}

export interface Greeting {
  readonly served: readonly Served[];
  readonly target: ExampleTarget;
  readonly settings: Settings;
  /** The key pair that the server made or found itself. */
  readonly own: LoadedCredential | undefined;
  /** True: the commands of all clients, not of curl alone. */
  readonly allClients: boolean;
}

/** Address and model, how to sign, one command, where the rest is. */
export function greeting({ served, target, settings, own, allClients }: Greeting): string {
  const models = served.flatMap(({ name, model }) => [
    `# ${model.name} (${model.origin ? `${model.origin}, ` : ""}${(model.parameters / 1e6).toFixed(1)} M parameters, ${model.precision}, ${model.kernels} kernels) is served at`,
    `# ${invocationUrl({ ...target, endpoint: name })}`,
  ]);
  const all = examples(target);
  const shown = allClients ? all : all.slice(0, 1);
  const others = all.slice(shown.length).map(({ client }) => client);
  return [
    ...models,
    ...modelHint(settings),
    "",
    ...keyLines(settings, own),
    ...shown.flatMap(({ client, command }) => ["", `# ${client}`, command]),
    "",
    ...(others.length > 0 ? [`# Started with --examples it tells the same for ${others.join(", ")}.`] : []),
    "# Ctrl-C stops the server.",
    "",
  ].join("\n");
}

/** Who named no model should know what answers. */
function modelHint({ model, endpoint }: Settings): string[] {
  const isDefault = model === DEFAULT_SETTINGS.model && endpoint.some((name) => !name.includes("="));
  if (!isDefault) return [];
  return ["# It is the small model that comes with the software; --model gpt2 serves GPT-2 itself."];
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
