// Gathers the facts about the environment: folders, ports, the hub. `place-checks.ts` judges them.
import { accessSync, constants, lstatSync, type Stats, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { messageOf } from "../../errors.ts";
import { inspectPrivateFolder } from "../../files/private-folder.ts";
import type { HubEnvironment } from "../../hub/hub-environment.ts";
import { Transport } from "../../hub/transport.ts";
import type { FolderFacts, HubFacts, SharedFolderFacts } from "./place-checks.ts";

export function folderFacts(path: string, holds: string): FolderFacts {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  if (!isThere) return { path, holds, found: undefined, obstacle: obstacleTo(path) };
  const found = { unfit: inspectPrivateFolder(path), canWrite: canWrite(path) };
  return { path, holds, found, obstacle: undefined };
}

/** Where there is nothing at a path: the nearest folder above it, if nothing can be made there. */
export function obstacleTo(path: string): string | undefined {
  if (existing(path)) return undefined;
  let above = dirname(path);
  while (!existing(above) && above !== dirname(above)) above = dirname(above);
  return existing(above)?.isDirectory() && canWrite(above) ? undefined : above;
}

/** Undefined also where the way to it is barred, or goes through a file. */
function existing(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Tries to listen for a moment. Resolves with the error's code, or undefined if it succeeded. */
export function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const ANSWER_MS = 3000;

/**
 * Asks the hub for its front page, in the way of a download: with its proxies and certificates. It does not ask if a variable
 * forbids it, and sends no token. `there` is the hub's time in milliseconds, if the answer has one.
 */
export async function hubFacts(
  environment: HubEnvironment,
): Promise<HubFacts & { readonly there: number | undefined }> {
  const { endpoint, offline: offlineBy, connectTimeoutMs, headersTimeoutMs } = environment;
  const facts = { endpoint, offlineBy, error: undefined, there: undefined };
  if (offlineBy !== undefined) return facts;
  const transport = await Transport.open({
    ...environment,
    token: () => undefined,
    connectTimeoutMs: Math.min(ANSWER_MS, connectTimeoutMs),
    headersTimeoutMs: Math.min(ANSWER_MS, headersTimeoutMs),
  });
  try {
    const answer = await transport.send(endpoint, { method: "HEAD" });
    await answer.body.drop();
    const date = Date.parse(answer.header("date") ?? "");
    return { ...facts, there: Number.isNaN(date) ? undefined : date };
  } catch (error) {
    return { ...facts, error: messageOf(error) };
  } finally {
    await transport.close();
  }
}

/** The facts about a folder that other programs of this user share; undefined if it does not exist. */
export function sharedFolderFacts(path: string): SharedFolderFacts | undefined {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return undefined;
  const isOthers = process.getuid !== undefined && ![process.getuid(), 0].includes(facts.uid);
  const othersWrite = process.platform !== "win32" && (facts.mode & 0o022) !== 0;
  return { isFolder: facts.isDirectory(), isOthers, othersWrite, canWrite: canWrite(path) };
}
