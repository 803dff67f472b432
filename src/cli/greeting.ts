// What `serve` prints when it is ready. All lines but the commands are shell comments, so the whole can be pasted into a
// shell.

import { type ExampleTarget, examples, invocationUrl } from "../request/client-examples.ts";
import type { ModelInfo } from "../request/generation.ts";
import type { LoadedCredential, PairPlace } from "../server/access/own-key-pair.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import type { Credential } from "../sigv4/index.ts";

export interface Served {
  /** Name of the endpoint. */
  readonly name: string;
  readonly model: ModelInfo;
}

export interface Greeting {
  readonly served: readonly Served[];
  readonly target: ExampleTarget;
  readonly settings: Settings;
  /** The key pair that the server made itself or found in its environment or cache. */
  readonly own: LoadedCredential | undefined;
  /** Whether the greeting goes to a terminal, where only a person reads it. */
  readonly isTerminal: boolean;
  /** True: shows a command for every client. Otherwise only the one for curl. */
  readonly allClients: boolean;
  /** The link that opens the playground in one browser; undefined where there is no playground. */
  readonly playground: string | undefined;
}

/** The address, the model, how to sign, an example command, and where to read on. */
export function greeting(facts: Greeting): string {
  const { served, target, settings, allClients } = facts;
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
    ...keyLines(facts),
    ...playgroundLines(facts),
    ...shown.flatMap(({ client, command }) => ["", `# ${client}`, command]),
    "",
    ...(others.length > 0
      ? [`# With --examples the server also shows how to call it with ${others.join(", ")}.`]
      : []),
    "# Ctrl-C stops the server.",
    "",
  ].join("\n");
}

/** The link works like a key, so it is shown on a terminal only. */
function playgroundLines({ playground, isTerminal }: Greeting): string[] {
  if (playground === undefined) return [];
  if (!isTerminal) return ["", "# The playground's link is shown on a terminal only; serve --open opens it."];
  return ["", "# See what the model sees, in the browser that opens this link first:", `#   ${playground}`];
}

/** Printed when the link was used: each link opens one browser. */
export function nextLink(playground: string): string {
  return `# The playground was opened. The link for another browser:\n#   ${playground}\n`;
}

/** A user who named no model is told which one answers. */
function modelHint({ model, endpoint }: Settings): string[] {
  const isDefault = model === DEFAULT_SETTINGS.model && endpoint.some((name) => !name.includes("="));
  if (!isDefault) return [];
  return ["# It is the small model that comes with the software; --model gpt2 serves GPT-2 itself."];
}

function keyLines({ settings, own, isTerminal }: Greeting): string[] {
  if (settings.auth === "none") return ["# Everybody who can reach this address may call it."];
  if (settings.auth === "bearer") {
    return [`# Clients send an API key of ${settings.apiKeysFile}; the examples read it from GPT2_API_KEY.`];
  }
  if (settings.credentialsFile !== "")
    return [`# Clients sign with a key pair of ${settings.credentialsFile}.`];
  if (own === undefined || own.place.kind === "environment") {
    return [
      "# Clients sign with the key pair of this server's environment, AWS_ACCESS_KEY_ID and its secret.",
    ];
  }
  return ownPairLines(own.credential, own.place, isTerminal);
}

/** How to use the server's own key pair. Output that does not go to a terminal may end in a log, so it shows no secret. */
function ownPairLines(credential: Credential, place: PairPlace, isTerminal: boolean): string[] {
  const id = `export AWS_ACCESS_KEY_ID=${credential.accessKeyId}`;
  if (isTerminal) {
    const where =
      place.kind === "file" ? `is kept in ${place.path}` : "is not stored and ends with this server";
    const secret = `export AWS_SECRET_ACCESS_KEY=${credential.secretAccessKey}`;
    return [`# Clients sign with this key pair, which ${where}:`, id, secret];
  }
  if (place.kind !== "file")
    return ["# Clients sign with a key pair that this server made, and shows on a terminal only."];
  const read = "JSON.parse(fs.readFileSync(process.argv[1])).secretAccessKey";
  return [
    `# Clients sign with a key pair that this server made and keeps in ${place.path}. Servers that stand in for`,
    "# each other need one in common: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    id,
    `export AWS_SECRET_ACCESS_KEY="$(node -p '${read}' ${shellQuoted(place.path)})"`,
  ];
}

/** Quotes a text for a shell. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
