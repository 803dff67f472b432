// The names, sizes and hashes of a repository's files at one commit, before any of them is fetched. On a hub that takes two
// requests. A server without the listing routes, such as some mirrors, is asked for each known file name instead.
import { z } from "zod";
import type { GptError } from "../errors.ts";
import { answerOf, notAHub, printable } from "./failure.ts";
import type { HubClient } from "./hub-client.ts";
import type { Asked } from "./refusal.ts";
import { canonicalId, isCommit, isRepositoryId, type Repository } from "./repository.ts";
import type { HubAnswer } from "./transport.ts";

export interface ListedFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 or git's SHA-1 of the content (see `content-hash.ts`). Also the name of its blob in the cache. */
  readonly etag: string;
}

export interface Listing {
  /** The repository's name as the hub spells it. */
  readonly id: string;
  readonly commit: string;
  /** Names in the root folder. Empty if the server cannot list them. */
  readonly names: readonly string[];
  /** Undefined: there is no such file in the root folder. */
  find(name: string): Promise<ListedFile | undefined>;
}

const PAGES_MAX = 20;
const ETAG = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

const modelSchema = z.object({ sha: z.string().refine(isCommit), id: z.string().refine(isRepositoryId) });
const entrySchema = z.object({ type: z.string(), path: z.string() });
const fileSchema = z.object({
  size: z.int().min(0),
  oid: z.string().regex(ETAG),
  lfs: z.object({ oid: z.string().regex(ETAG), size: z.int().min(0) }).nullish(),
});

/** @throws GptError `hub_refused` or `hub_unreachable` */
export async function listRepository(client: HubClient, repository: Repository): Promise<Listing> {
  try {
    const { id, sha } = await commitOf(client, repository);
    const entries = await treeOf(client, { id, revision: sha });
    const { host } = new URL(client.environment.endpoint);
    return {
      id,
      commit: sha,
      names: [...entries.keys()],
      find: async (name) => (entries.has(name) ? fileOf(name, entries.get(name), host) : undefined),
    };
  } catch (error) {
    if (!isRouteMissing(error)) throw error;
    return askForEach(client, repository);
  }
}

/** Whether the server lacks the route. When it is the model that is missing, the hub sends an error code. */
function isRouteMissing(error: unknown): boolean {
  const { status = 0, errorCode = "" } = answerOf(error) ?? {};
  return errorCode === "" && [404, 405, 501].includes(status);
}

function askedFor({ id, revision }: Repository): Asked {
  return { id, revision, what: `the list of ${id}` };
}

/**
 * The commit that a revision points to now. Undefined: the server has no route for this question.
 * @throws GptError `hub_refused` or `hub_unreachable`
 */
export async function newestCommit(client: HubClient, repository: Repository): Promise<string | undefined> {
  try {
    return (await commitOf(client, repository)).sha;
  } catch (error) {
    if (!isRouteMissing(error)) throw error;
    return undefined;
  }
}

async function commitOf(client: HubClient, repository: Repository): Promise<{ id: string; sha: string }> {
  const { id, revision } = repository;
  if (isCommit(revision)) return { id, sha: revision };
  const { endpoint } = client.environment;
  const address = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
  const { value, answer } = await client.json(address, askedFor(repository));
  const parsed = modelSchema.safeParse(value);
  if (!parsed.success) throw unlike(answer, "its description of a model has no commit and name");
  return parsed.data;
}

/** Name → entry, for the files of the root folder. */
async function treeOf(client: HubClient, { id, revision }: Repository): Promise<Map<string, unknown>> {
  const { endpoint } = client.environment;
  const entries = new Map<string, unknown>();
  let next: string | undefined = `${endpoint}/api/models/${id}/tree/${revision}?recursive=true&expand=false`;
  for (let page = 0; next !== undefined; page++) {
    const { value, answer }: { value: unknown; answer: HubAnswer } = await client.json(
      next,
      askedFor({ id, revision }),
    );
    if (page >= PAGES_MAX) throw unlike(answer, `a list of more than ${PAGES_MAX} pages`);
    const parsed = z.array(z.unknown()).safeParse(value);
    if (!parsed.success) throw unlike(answer, "its list of files is not a list");
    for (const each of parsed.data) {
      const entry = entrySchema.safeParse(each);
      if (entry.success && entry.data.type === "file" && !entry.data.path.includes("/")) {
        entries.set(entry.data.path, each);
      }
    }
    next = nextPage(client, answer);
  }
  return entries;
}

function nextPage({ transport }: HubClient, answer: HubAnswer): string | undefined {
  const links = answer.header("link") ?? "";
  const reference = /<([^>]*)>\s*;\s*rel="?next"?/.exec(links)?.[1];
  if (reference === undefined) return undefined;
  const url = transport.resolve(reference, answer.url);
  if (url !== undefined && transport.isHub(url)) return url.href;
  throw unlike(answer, `its next page is at ${JSON.stringify(printable(reference).slice(0, 60))}`);
}

function fileOf(name: string, entry: unknown, host: string): ListedFile {
  const parsed = fileSchema.safeParse(entry);
  if (!parsed.success) throw notAHub(host, `its list has no size and hash of ${name}`).toError(1);
  const { size, oid, lfs } = parsed.data;
  return { name, size: lfs?.size ?? size, etag: lfs?.oid ?? oid };
}

function unlike(answer: HubAnswer, what: string): GptError {
  return notAHub(answer.url.host, what).toError(1);
}

/** A listing for servers that cannot list: `find` sends one HEAD request for each name. */
async function askForEach(client: HubClient, repository: Repository): Promise<Listing> {
  const { id, revision } = repository;
  const known = new Map<string, Promise<HeadOfFile | undefined>>();
  const first = await headOf(client, { id, revision }, "config.json");
  if (first === undefined) {
    const { host } = new URL(client.environment.endpoint);
    throw notAHub(host, `no list of ${id}, and no config.json`).toError(1);
  }
  known.set("config.json", Promise.resolve(first));
  const { commit } = first;
  return {
    id: canonicalId(id),
    commit,
    names: [],
    async find(name) {
      const head = known.get(name) ?? headOf(client, { id, revision: commit }, name);
      known.set(name, head);
      const found = await head;
      if (found === undefined || found.commit === commit) return found?.file;
      const { host } = new URL(client.environment.endpoint);
      throw notAHub(host, `${name} is of another commit than config.json`).toError(1);
    },
  };
}

interface HeadOfFile {
  readonly commit: string;
  readonly file: ListedFile;
}

/** Undefined: there is no such file. */
function headOf(
  client: HubClient,
  { id, revision }: Repository,
  name: string,
): Promise<HeadOfFile | undefined> {
  return client.persistently(async () => {
    const seen: HubAnswer[] = [];
    const asked = { id, revision, what: name };
    const address = resolveAddress(client, { id, revision }, name);
    const follow = (redirect: HubAnswer): boolean => {
      seen.push(redirect);
      return redirect.header("x-linked-etag") === undefined;
    };
    let answer: HubAnswer;
    try {
      answer = await client.ask(address, asked, { method: "HEAD", follow });
      await answer.body.drop();
    } catch (error) {
      if (answerOf(error)?.status === 404) return undefined;
      throw error;
    }
    return headFrom(client, [...seen, answer], name);
  });
}

/** For a large file the redirect carries hash and size. For a small one the final answer does. */
function headFrom(client: HubClient, answers: readonly HubAnswer[], name: string): HeadOfFile {
  const last = answers.at(-1) as HubAnswer;
  const first = (header: string): string | undefined =>
    answers.map((answer) => answer.header(header)).find((value) => value !== undefined);
  const isOwn = client.transport.isHub(last.url) && last.status === 200;
  const commit = first("x-repo-commit") ?? "";
  const tag = first("x-linked-etag") ?? (isOwn ? last.header("etag") : undefined) ?? "";
  const etag = tag.replace(/^W\//, "").replaceAll('"', "");
  const size = Number(first("x-linked-size") ?? (isOwn ? last.header("content-length") : undefined) ?? -1);
  if (!isCommit(commit) || !ETAG.test(etag) || !Number.isSafeInteger(size) || size < 0) {
    throw notAHub(last.url.host, `no commit, hash and size of ${name}`);
  }
  return { commit, file: { name, size, etag } };
}

/** The address from which a file of a repository is fetched. */
export function resolveAddress(client: HubClient, { id, revision }: Repository, name: string): string {
  return `${client.environment.endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${encodeURIComponent(name)}`;
}
