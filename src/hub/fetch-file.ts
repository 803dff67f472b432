// Brings one file into the cache: from a blob that the cache has already, from the same repository under its other name, or
// from the hub. In every case the content is hashed before it appears under its name.
import { GptError } from "../errors.ts";
import { CachedRepository } from "./cached-repository.ts";
import { hasContent } from "./content-hash.ts";
import { Download } from "./download.ts";
import type { HubClient } from "./hub-client.ts";
import { megabytes } from "./hub-event.ts";
import type { ListedFile, Listing } from "./listing.ts";
import { LostFile, PartialFile } from "./partial-file.ts";
import { errorCode, type Publication, writeError } from "./publication.ts";
import { twinOf } from "./repository.ts";

/** How often a download is started when another program removes its partial file. */
const TRIES_MAX = 3;
const DISK_FULL = /^(ENOSPC|EDQUOT)$/;

export interface FetchOptions {
  readonly client: HubClient;
  readonly listing: Listing;
  readonly cached: CachedRepository;
  readonly publication: Publication;
}

/** Links to the content of a file where the cache holds it already: of another commit, or of the model's other name. */
export async function takeHeld(
  { client, cached, publication }: FetchOptions,
  { name, ...content }: ListedFile,
): Promise<boolean> {
  const { signal } = client.context;
  if (await hasContent(cached.blob(content.etag), content, signal)) {
    await publication.linkBlob(name, content.etag);
    return true;
  }
  const twin = twinOf(cached.id);
  if (twin === undefined) return false;
  const blob = new CachedRepository(client.environment.cache, twin).blob(content.etag);
  if (!(await hasContent(blob, content, signal))) return false;
  await publication.adopt(blob, name, content.etag);
  return true;
}

/**
 * `onBytes` is called with the number of bytes that have arrived.
 * @throws GptError `hub_refused`, `hub_unreachable` or `download_failed`
 */
export async function fetchFile(
  options: FetchOptions,
  file: ListedFile,
  onBytes: (length: number) => void,
): Promise<void> {
  const { cached } = options;
  if (await takeHeld(options, file)) return;
  for (let tries = 1; ; tries++) {
    try {
      return await download(options, file, onBytes);
    } catch (error) {
      const isGone = error instanceof LostFile || errorCode(error) === "ENOENT";
      if (!isGone) throw error;
      if (tries < TRIES_MAX) continue;
      const message = `${cached.folder}: another program removes ${file.name} while it is fetched`;
      throw new GptError("download_failed", message, { cause: error });
    }
  }
}

async function download(
  options: FetchOptions,
  file: ListedFile,
  onBytes: (length: number) => void,
): Promise<void> {
  const { client, listing, cached, publication } = options;
  const { world, signal } = client.context;
  await publication.prepare();
  const partial = await PartialFile.claim(cached.blobs, file, world, signal).catch((error: unknown) => {
    throw writeError(error, cached.blobs);
  });
  try {
    await new Download({ client, listing, file, partial, onBytes }).run();
    await partial.finish();
    await publication.publish(partial.path, file.name, file.etag);
  } catch (error) {
    const isFull = DISK_FULL.test(errorCode(error));
    // A damaged partial file would spoil the next attempt. On a full disk the room is needed.
    const isUseless = isFull || (error instanceof GptError && error.code === "download_failed");
    await (isUseless ? partial.discard() : partial.leave());
    if (isFull) throw await noRoom(client, listing.id, file.size);
    throw writeError(error, cached.blobs);
  }
}

/** The error for a disk that lacks room for `bytes`. */
export async function noRoom(client: HubClient, id: string, bytes: number): Promise<GptError> {
  const { cache } = client.environment;
  const free = (await client.context.world.freeBytes(cache)) ?? 0;
  return new GptError(
    "download_failed",
    `${cache} has ${megabytes(free)} free, ${id} needs ${megabytes(bytes)} more; free some, or set HF_HUB_CACHE ` +
      "to another disk",
  );
}
