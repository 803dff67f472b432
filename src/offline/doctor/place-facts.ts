// What there is around the software to judge: folders, ports, the hub. It judges nothing; `place-checks.ts` does.
import { accessSync, constants, lstatSync } from "node:fs";
import { createServer } from "node:net";
import { messageOf } from "../../errors.ts";
import { inspectPrivateFolder } from "../../files/private-folder.ts";
import type { FolderFacts, HubFacts } from "./place-checks.ts";

export function folderFacts(path: string, holds: string): FolderFacts {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  if (!isThere) return { path, holds, found: undefined };
  return { path, holds, found: { unfit: inspectPrivateFolder(path), canWrite: canWrite(path) } };
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Listens for a moment; resolves with the code of the error, or undefined where there was none. */
export function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Without a variable that names another. */
const DEFAULT_ENDPOINT = "https://huggingface.co";
const OFFLINE_VARIABLES = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
const ANSWER_MS = 3000;

/** Asks the hub for its front page, unless a variable forbids it. `there`: its time, in milliseconds, if it told one. */
export async function hubFacts(env: Environment): Promise<HubFacts & { readonly there: number | undefined }> {
  const endpoint = (env.HF_ENDPOINT || DEFAULT_ENDPOINT).replace(/\/+$/, "");
  const offlineBy = OFFLINE_VARIABLES.find((name) => /^(1|on|yes|true)$/i.test(env[name] ?? ""));
  if (offlineBy !== undefined) return { endpoint, offlineBy, error: undefined, there: undefined };
  try {
    const answer = await fetch(endpoint, { method: "HEAD", signal: AbortSignal.timeout(ANSWER_MS) });
    const date = Date.parse(answer.headers.get("date") ?? "");
    return { endpoint, offlineBy, error: undefined, there: Number.isNaN(date) ? undefined : date };
  } catch (error) {
    return { endpoint, offlineBy, error: reasonOf(error), there: undefined };
  }
}

/** What `fetch` says itself is "fetch failed"; the reason stands behind it. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : messageOf(cause ?? error);
}
