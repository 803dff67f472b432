// Parses the name of a model on a hub: `gpt2` or `owner/name`, either with `@revision`, or the address of a model's page.
// Nothing is looked up here, neither on the disk nor on the network.
import { GptError } from "../errors.ts";
import { quote } from "../wording.ts";

/** A model on a hub, and the revision that is wanted. */
export interface Repository {
  /** `name` or `owner/name`, as it was asked for. */
  readonly id: string;
  /** A branch, a tag, a reference such as `refs/pr/1`, or a commit. */
  readonly revision: string;
}

export const DEFAULT_REVISION = "main";

const PART = /^(?!.*(--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;
const REVISION = /^(?!.*\.\.)(?![-/])[A-Za-z0-9._/-]{1,200}$/;
const COMMIT = /^[0-9a-f]{40}$/;
const HOSTS = ["huggingface.co", "www.huggingface.co", "hf.co"];

/** OpenAI's models and the distilled one had names without an owner once. The hub still redirects those. */
const CANONICAL: Readonly<Record<string, string>> = {
  gpt2: "openai-community/gpt2",
  "gpt2-medium": "openai-community/gpt2-medium",
  "gpt2-large": "openai-community/gpt2-large",
  "gpt2-xl": "openai-community/gpt2-xl",
  distilgpt2: "distilbert/distilgpt2",
};

/**
 * Parses a name or an address.
 * @throws GptError `invalid_config` that says what is wrong with it.
 */
export function parseRepository(text: string): Repository {
  const address = /^(https?|hf):\/\//.exec(text);
  const { id, revision } =
    address?.[1] === "hf"
      ? splitName(withoutKind(text.slice("hf://".length), text), text)
      : address
        ? splitAddress(text)
        : splitName(text, text);
  return { id: checkedId(id, text), revision: checkedRevision(revision, text) };
}

interface Split {
  readonly id: string;
  readonly revision: string | undefined;
}

function splitName(name: string, text: string): Split {
  const mark = name.indexOf("@");
  if (mark < 0) return { id: name, revision: undefined };
  if (mark === name.length - 1) throw invalid(text, "nothing follows the @");
  return { id: name.slice(0, mark), revision: name.slice(mark + 1) };
}

/** Strips `models/`. A path that begins with `datasets` or `spaces` names another kind of repository, not an owner. */
function withoutKind(path: string, text: string): string {
  const [kind] = path.split("/", 1);
  if (kind === "datasets" || kind === "spaces")
    throw invalid(text, `it names one of the ${kind}, not a model`);
  return kind === "models" ? path.slice("models/".length) : path;
}

/** `https://huggingface.co/owner/name/tree/revision`, as a browser shows it. */
function splitAddress(text: string): Split {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !HOSTS.includes(url.host)) {
    throw invalid(text, `only addresses of ${HOSTS[0]} are taken; HF_ENDPOINT names another hub`);
  }
  const path = withoutKind(url.pathname.slice(1).replace(/\/$/, ""), text);
  const tree = path.indexOf("/tree/");
  if (tree < 0) return splitName(path, text);
  try {
    return { id: path.slice(0, tree), revision: decodeURIComponent(path.slice(tree + "/tree/".length)) };
  } catch {
    throw invalid(text, "its revision is not percent-encoded as addresses are");
  }
}

function checkedId(id: string, text: string): string {
  if (isRepositoryId(id)) return id;
  throw invalid(
    text,
    "a name is gpt2 or owner/name, each part of at most 96 letters, digits, hyphens, dots and underscores, without " +
      "a hyphen or dot at its ends, without -- and .., and not ending in .git",
  );
}

function checkedRevision(revision: string | undefined, text: string): string {
  if (revision === undefined) return DEFAULT_REVISION;
  const hasEmpty = revision.split("/").some((segment) => segment === "" || segment === ".");
  if (REVISION.test(revision) && !hasEmpty) return revision;
  throw invalid(
    text,
    "a revision has at most 200 letters, digits, dots, underscores, hyphens and slashes, and no .. or empty part",
  );
}

function invalid(text: string, reason: string): GptError {
  return new GptError("invalid_config", `${quote(text)} cannot be looked up on a hub: ${reason}`);
}

/** Whether a text has the form of a repository name. */
export function isRepositoryId(id: string): boolean {
  const parts = id.split("/");
  return parts.length <= 2 && parts.every((part) => PART.test(part) && !part.endsWith(".git"));
}

/** Whether a revision is a commit: 40 lower-case hexadecimal digits. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/** The other name of the same repository. Only the models in `CANONICAL` have two. */
export function twinOf(id: string): string | undefined {
  return CANONICAL[id] ?? Object.keys(CANONICAL).find((name) => CANONICAL[name] === id);
}

/** The name with its owner, as the hub spells it. */
export function canonicalId(id: string): string {
  return CANONICAL[id] ?? id;
}

/** The name without its owner, for endpoints and logs. */
export function shortName(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}

/** `owner/name at 607a30d7`. */
export function label(id: string, commit: string): string {
  return `${canonicalId(id)} at ${commit.slice(0, 8)}`;
}
