// A fake of the Hugging Face hub on the loopback address. It has the hub's routes, headers and redirects, as the hub's client library
// and its documentation describe them. On request it shows faults of networks, servers and proxies. Large files come from a second
// server under another host name, as at the real hub. All requests are logged.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FakeFile, FakeRepository } from "./fake-repository.ts";

export type Place = "api" | "resolve" | "cdn";

export interface Fault {
  /** Where the fault happens: at descriptions of models, at a file's address (which also serves small files), or at large files. */
  readonly on: Place;
  /** Only for addresses that end with this. */
  readonly file?: string;
  /** How many times. Default: once. */
  readonly times?: number;
  /** A status to send instead of the answer. */
  readonly answer?: { readonly status: number; readonly headers?: Headers; readonly body?: string | Buffer };
  /** True: there is no answer at all. */
  readonly isSilent?: boolean;
  /** True: the connection is cut instead of an answer. */
  readonly isCut?: boolean;
  readonly body?: BodyFault;
}

type Headers = Readonly<Record<string, string>>;

/** Faults within a body. Positions are those of the whole file. */
interface BodyFault {
  /** The connection ends at this position. */
  readonly cutAt?: number;
  /** The connection is reset at this position, which may lose bytes that were sent just before. */
  readonly resetAt?: number;
  /** The answer ends properly at this position. */
  readonly endAt?: number;
  /** The body stalls at this position. */
  readonly stallAt?: number;
  readonly ignoreRange?: boolean;
  readonly contentRange?: string;
  readonly flipBit?: boolean;
  readonly extraBytes?: number;
  readonly encoding?: string;
  /** Bytes sent at a time. */
  readonly pieces?: number;
  /** Awaited before each of them but the first. */
  readonly beforePiece?: () => Promise<void>;
}

export interface LoggedRequest {
  readonly place: Place;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

export interface FakeHubOptions {
  /** Old name → id. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Access tokens that may read everything. */
  readonly tokens?: readonly string[];
  readonly pageSize?: number;
  /** Origin in the links to further pages. */
  readonly linkOrigin?: string;
  readonly hasTree?: boolean;
}

export class FakeHub {
  readonly log: LoggedRequest[] = [];
  readonly repositories: Map<string, FakeRepository>;
  readonly #options: FakeHubOptions;
  readonly #hub: Server;
  readonly #cdn: Server;
  #faults: { fault: Fault; left: number }[] = [];
  /** Called with every request before it is answered. */
  onRequest: (request: LoggedRequest) => void = () => {};

  private constructor(repositories: readonly FakeRepository[], options: FakeHubOptions) {
    this.repositories = new Map(repositories.map((repository) => [repository.id, repository]));
    this.#options = options;
    this.#hub = createServer((request, response) => this.#answerHub(request, response));
    this.#cdn = createServer((request, response) => this.#answerCdn(request, response));
  }

  static async start(
    repositories: readonly FakeRepository[],
    options: FakeHubOptions = {},
    context?: TestContext,
  ): Promise<FakeHub> {
    const hub = new FakeHub(repositories, options);
    await Promise.all([listen(hub.#hub, "127.0.0.1"), listen(hub.#cdn, "localhost")]);
    context?.after(() => hub.close());
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get cdn(): string {
    return `http://localhost:${(this.#cdn.address() as AddressInfo).port}`;
  }

  fail(...faults: readonly Fault[]): void {
    this.#faults.push(...faults.map((fault) => ({ fault, left: fault.times ?? 1 })));
  }

  /** The requests of a place, as `METHOD path`, with the requested range. */
  asked(place: Place): string[] {
    return this.log
      .filter((request) => request.place === place)
      .map(({ method, url, headers }) =>
        [method, url.split("?")[0], headers.range].filter((part) => part !== undefined).join(" "),
      );
  }

  close(): void {
    for (const server of [this.#hub, this.#cdn]) {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Logs a request, and returns its fault if there is one. */
  #note(place: Place, { method = "", url = "", headers }: IncomingMessage): Fault | undefined {
    const request = { place, method, url, headers };
    this.log.push(request);
    this.onRequest(request);
    const path = url.split("?")[0] ?? "";
    const found = this.#faults.find(
      ({ fault, left }) => left > 0 && fault.on === place && path.endsWith(fault.file ?? ""),
    );
    if (found !== undefined) found.left -= 1;
    return found?.fault;
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", this.endpoint);
    const isApi = /^\/api\/(?!resolve-cache)/.test(url.pathname);
    const fault = this.#note(isApi ? "api" : "resolve", request);
    const path = url.pathname.split("/").slice(1).map(decodeURIComponent);
    reply(request, response, fault, () =>
      isApi ? this.#api(path.slice(2), url, request) : this.#file(path, url, request),
    );
  }

  /** `id/revision/{revision}`, `id/tree/{revision}`, `id/refs`, `id` */
  #api(parts: readonly string[], url: URL, request: IncomingMessage): Reply {
    const at = parts.findIndex((part, i) => i > 0 && /^(revision|tree|refs)$/.test(part));
    const id = (at < 0 ? parts : parts.slice(0, at)).join("/");
    const [route, ...rest] = at < 0 ? [] : parts.slice(at);
    if (route === "tree" && this.#options.hasTree === false) return { status: 404, body: "Not Found" };
    const repository = this.#repositoryFor(id, url, request);
    if (route === "refs") return json(refsOf(repository));
    const revision = (route === "tree" ? rest[0] : rest.join("/")) || "main";
    const commit = commitOf(repository, revision);
    if (route === "tree") return this.#tree(repository, commit, rest.slice(1).join("/"), url);
    const { isPrivate, isGated } = repository;
    const siblings = [...(repository.commits.get(commit)?.keys() ?? [])].map((name) => ({ rfilename: name }));
    const facts = { private: isPrivate, gated: isGated ? "auto" : false, disabled: false };
    return json({ _id: "1", id: repository.id, modelId: repository.id, sha: commit, ...facts, siblings });
  }

  #tree({ id, commits }: FakeRepository, commit: string, folder: string, url: URL): Reply {
    const all = [...(commits.get(commit) ?? [])].filter(([path]) => path.startsWith(folder));
    if (folder !== "" && all.length === 0) {
      throw refusal(404, "EntryNotFound", "the folder does not exist", { "x-repo-commit": commit });
    }
    const isRecursive = /^(true|1)$/i.test(url.searchParams.get("recursive") ?? "");
    const files = all.filter(([path]) => isRecursive || !path.slice(folder.length).includes("/"));
    const begin = Number(url.searchParams.get("cursor") ?? 0);
    const end = begin + (this.#options.pageSize ?? 1000);
    const next = new URL(`${this.#options.linkOrigin ?? this.endpoint}${url.pathname}${url.search}`);
    next.searchParams.set("cursor", String(end));
    const entries = files.slice(begin, end).map(([path, file]) => entryOf(path, file));
    const folders = begin === 0 && isRecursive ? [{ type: "directory", path: "onnx", oid: id, size: 0 }] : [];
    return json([...folders, ...entries], end < files.length ? { link: `<${next.href}>; rel="next"` } : {});
  }

  /** `{id}/resolve/{revision}/{path}`, or `api/resolve-cache/models/{id}/{commit}/{path}` */
  #file(parts: readonly string[], url: URL, request: IncomingMessage): Reply {
    const isCached = parts[1] === "resolve-cache";
    const names = isCached ? parts.slice(3) : parts.filter((part, i) => i === 0 || part !== "resolve");
    const at = isCached ? names.findIndex((part) => /^[0-9a-f]{40}$/.test(part)) : parts.indexOf("resolve");
    const repository = this.#repositoryFor(names.slice(0, at).join("/"), url, request);
    const { id, isGated, isPrivate } = repository;
    if (isGated && !this.#isTrusted(request)) {
      const status = request.headers.authorization === undefined ? 401 : 403;
      throw refusal(status, "GatedRepo", `Access to model ${id} is restricted.`);
    }
    const commit = commitOf(repository, names[at] ?? "");
    const path = names.slice(at + 1).join("/");
    const file = repository.commits.get(commit)?.get(path);
    const headers = { "x-repo-commit": commit };
    if (file === undefined) throw refusal(404, "EntryNotFound", "Entry not found", headers);
    if (file.isLarge) {
      const location = `${this.cdn}/${id}/${commit}/${path}?Signature=secret&Expires=1`;
      const linked = { "x-linked-etag": `"${file.etag}"`, "x-linked-size": String(file.content.length) };
      const xet = { "x-xet-hash": "0".repeat(64), "accept-ranges": "bytes" };
      return { status: 302, headers: { ...headers, ...linked, ...xet, location }, body: "Found" };
    }
    if (!isCached && !isPrivate && file.content.length > 0) {
      const location = `/api/resolve-cache/models/${id}/${commit}/${path}?etag=%22${file.etag}%22`;
      return { status: 307, headers: { ...headers, location }, body: "Temporary Redirect" };
    }
    return { file, headers: { ...headers, etag: `"${file.etag}"` } };
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#note("cdn", request);
    const [, owner, name, commit = "", ...path] = new URL(request.url ?? "", this.cdn).pathname.split("/");
    const file = this.repositories.get(`${owner}/${name}`)?.commits.get(commit)?.get(path.join("/"));
    reply(request, response, fault, () =>
      // Not the SHA-256: the hub's store uses another hash for ETags.
      file === undefined ? { status: 404, body: "" } : { file, headers: { etag: `"${"f".repeat(64)}"` } },
    );
  }

  /** Refuses a request, or redirects it to a repository's new name, if necessary. */
  #repositoryFor(id: string, url: URL, request: IncomingMessage): FakeRepository {
    const { authorization } = request.headers;
    if (authorization !== undefined && !this.#isTrusted(request)) {
      throw refusal(401, undefined, "Invalid credentials in Authorization header");
    }
    const renamed = this.#options.aliases?.[id];
    if (renamed !== undefined) {
      const location = `${url.pathname.replace(`/${id}/`, `/${renamed}/`)}${url.search}`;
      throw new Refusal({ status: 307, headers: { location }, body: "Temporary Redirect" });
    }
    const repository = this.repositories.get(id);
    if (repository !== undefined && (!repository.isPrivate || this.#isTrusted(request))) return repository;
    throw refusal(authorization === undefined ? 401 : 404, "RepoNotFound", "Repository not found");
  }

  #isTrusted({ headers: { authorization = "" } }: IncomingMessage): boolean {
    return (this.#options.tokens ?? []).includes(authorization.replace("Bearer ", ""));
  }
}

function listen(server: Server, host: string): Promise<void> {
  return new Promise((resolve) => server.listen(0, host, resolve));
}

type Reply =
  | { readonly status: number; readonly headers?: Headers; readonly body?: string | Buffer }
  | { readonly file: FakeFile; readonly headers: Headers };

class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super("refused");
    this.reply = reply;
  }
}

function refusal(status: number, code: string | undefined, message: string, headers: Headers = {}): Refusal {
  const told = { ...(code && { "x-error-code": code }), "x-error-message": message, ...headers };
  return new Refusal({ ...json({ error: message }, told), status });
}

function json(value: unknown, headers: Headers = {}) {
  return {
    status: 200,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(value),
  };
}

/** Answers with the fault, or else with the result of `make`. */
function reply(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
  make: () => Reply,
): void {
  if (fault?.isCut) response.destroy();
  if (fault?.isCut || fault?.isSilent) return;
  const made = fault?.answer ?? replyOf(make);
  if ("file" in made) {
    void sendFile(request, response, made.file, made.headers, fault?.body);
    return;
  }
  const { status, headers, body = "" } = made;
  response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers });
  response.end(request.method === "HEAD" ? undefined : body);
}

function replyOf(make: () => Reply): Reply {
  try {
    return make();
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    throw error;
  }
}

function commitOf({ refs, commits }: FakeRepository, revision: string): string {
  const commit = commits.has(revision) ? revision : refs.get(revision);
  if (commit === undefined) throw refusal(404, "RevisionNotFound", `Invalid rev id: ${revision}`);
  return commit;
}

function refsOf({ refs }: FakeRepository) {
  const branches = [...refs].map(([name, commit]) => ({
    name,
    ref: `refs/heads/${name}`,
    targetCommit: commit,
  }));
  return { branches, tags: [], converts: [] };
}

function entryOf(path: string, { content, etag, isLarge }: FakeFile) {
  const size = content.length;
  if (!isLarge) return { type: "file", path, size, oid: etag };
  const lfs = { oid: etag, size, pointerSize: 134 };
  return { type: "file", path, size, oid: "1".repeat(40), lfs, xetHash: "0".repeat(64) };
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  { content: whole }: FakeFile,
  headers: Headers,
  fault: BodyFault = {},
): Promise<void> {
  const content = Buffer.concat([whole, Buffer.alloc(fault.extraBytes ?? 0)]);
  if (fault.flipBit) content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
  const range = fault.ignoreRange ? undefined : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const begin = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Number(range[2]) + 1 : content.length;
  if (begin > 0 && begin >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}`, "content-length": 0 }).end();
    return;
  }
  const promised = Math.min(end, fault.endAt ?? end);
  response.writeHead(range ? 206 : 200, {
    ...headers,
    "accept-ranges": "bytes",
    "content-length": Math.max(0, promised - begin),
    ...(range && { "content-range": fault.contentRange ?? `bytes ${begin}-${end - 1}/${content.length}` }),
    ...(fault.encoding && { "content-encoding": fault.encoding }),
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const stop = Math.min(promised, fault.cutAt ?? end, fault.resetAt ?? end, fault.stallAt ?? end);
  await sendPieces(response, content.subarray(begin, Math.max(begin, stop)), fault);
  if ((fault.resetAt ?? end) < end) response.socket?.resetAndDestroy();
  else if ((fault.cutAt ?? end) < end) response.socket?.end();
  else if (fault.stallAt === undefined) response.end();
}

/** Waits until the system has taken each piece before it sends the next. */
async function sendPieces(response: ServerResponse, bytes: Buffer, fault: BodyFault): Promise<void> {
  const { pieces = bytes.length, beforePiece } = fault;
  response.flushHeaders();
  const closed = new Promise((resolve) => response.once("close", resolve));
  for (let begin = 0; begin < bytes.length && !response.destroyed; begin += pieces) {
    if (begin > 0) await beforePiece?.();
    const piece = bytes.subarray(begin, begin + pieces);
    await Promise.race([closed, new Promise((resolve) => response.write(piece, resolve))]);
  }
}
