// Fetches the files of a model at one commit that the cache lacks, and publishes them there. The branch's reference is
// written last. Whether anything has to be fetched at all is decided in `obtain.ts`.
import { readFile } from "node:fs/promises";
import { GptError } from "../errors.ts";
import { CachedRepository, isFile } from "./cached-repository.ts";
import { hasContent } from "./content-hash.ts";
import { type FetchOptions, fetchFile, noRoom, takeHeld } from "./fetch-file.ts";
import type { HubClient } from "./hub-client.ts";
import { type HubEvent, megabytesOf } from "./hub-event.ts";
import { type ListedFile, type Listing, listRepository } from "./listing.ts";
import { checkConfig, chooseFiles, listedParts, type ModelFiles } from "./model-files.ts";
import { abandonedBytes, tidy } from "./partial-file.ts";
import { errorCode, Publication } from "./publication.ts";
import { isCommit, label, type Repository } from "./repository.ts";

export interface PulledModel {
  /** The repository's name as the hub spells it. */
  readonly id: string;
  readonly commit: string;
  readonly directory: string;
}

export interface PullOptions {
  readonly client: HubClient;
  readonly repository: Repository;
  /** True: files that the cache has already are hashed too. */
  readonly verify: boolean;
  readonly onEvent: (event: HubEvent) => void;
}

/** Disk space that must stay free for other programs. */
const SPARE_BYTES = 64 * 2 ** 20;
/** How often a pull is run when another program removes files meanwhile. */
const ROUNDS_MAX = 3;

/**
 * @throws GptError with any of the hub's codes, `download_failed`, `invalid_checkpoint` or `invalid_config`; the signal's
 * reason
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { client, repository } = options;
  const listing = await listRepository(client, repository);
  const pull = new Pull(options, listing);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const isWhole = await pull.run().catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return false;
      throw error;
    });
    if (!isWhole) continue;
    return { id: listing.id, commit: listing.commit, directory: pull.cached.snapshot(listing.commit) };
  }
  throw new GptError("download_failed", `${pull.cached.folder}: another program removes what is fetched`);
}

/** "present": the cache had the file before this pull. */
type FileState = "present" | "missing" | "fetched";

class Pull {
  readonly cached: CachedRepository;
  readonly #options: PullOptions;
  readonly #listing: Listing;
  readonly #publication: Publication;
  #states = new Map<string, FileState>();
  /** Of the files that had to be fetched: the total size in bytes, and the size of those that are complete by now. */
  #size = 0;
  #bytes = 0;

  constructor(options: PullOptions, listing: Listing) {
    const { client, repository } = options;
    this.cached = new CachedRepository(client.environment.cache, repository.id);
    this.#options = options;
    this.#listing = listing;
    const { useSymlinks } = client.environment;
    this.#publication = new Publication(this.cached, listing.commit, client.context.world, useSymlinks);
  }

  /** False: another program removed a file meanwhile. */
  async run(): Promise<boolean> {
    const { onEvent, client } = this.#options;
    this.#states = new Map();
    const files = await chooseFiles(this.#listing);
    await this.#need(files.config);
    checkConfig(this.#listing, await this.#read(files.config));
    const all = await this.#allOf(files);
    for (const file of all) await this.#stateOf(file);
    const absent = all.filter(({ name }) => this.#states.get(name) !== "present");
    this.#size = sum(absent);
    this.#bytes = sum(absent.filter(({ name }) => this.#states.get(name) === "fetched"));
    onEvent({
      kind: "begin",
      label: this.#label,
      numFiles: all.length,
      bytes: sum(all),
      numPresent: all.length - absent.length,
    });
    if (!files.hasTokenizer) client.context.onNotice(`${this.#label} ${NO_TOKENIZER}`);
    await this.#checkRoom(absent);
    for (const file of absent) await this.#need(file);
    const isWhole = await this.#conclude(all, files.absent);
    if (isWhole) onEvent({ kind: "end", label: this.#label, size: this.#size });
    return isWhole;
  }

  get #place(): FetchOptions {
    const { client } = this.#options;
    return { client, listing: this.#listing, cached: this.cached, publication: this.#publication };
  }

  get #label(): string {
    return label(this.#listing.id, this.#listing.commit);
  }

  /** All files, in the order of fetching. If the weights are in parts, their index is fetched here to learn the names. */
  async #allOf({ config, small, weights, hasParts }: ModelFiles): Promise<ListedFile[]> {
    if (!hasParts) return [config, ...small, weights];
    await this.#need(weights);
    const parts = await listedParts(this.#listing, weights, await this.#read(weights));
    return [config, ...small, weights, ...parts];
  }

  #read({ name }: ListedFile): Promise<string> {
    return readFile(this.cached.file(this.#listing.commit, name), "utf8");
  }

  async #stateOf(file: ListedFile): Promise<FileState> {
    const state = this.#states.get(file.name) ?? ((await this.#isHere(file)) ? "present" : "missing");
    this.#states.set(file.name, state);
    return state;
  }

  /** Whether nothing has to be fetched of the file. Afterwards it is in the snapshot. */
  async #isHere(file: ListedFile): Promise<boolean> {
    return (await this.#isPresent(file)) || (await takeHeld(this.#place, file));
  }

  /** Whether the snapshot has the file and, with `verify`, whether its hash is right. */
  async #isPresent(file: ListedFile): Promise<boolean> {
    const { verify, client } = this.#options;
    const path = this.cached.file(this.#listing.commit, file.name);
    if (!(await isFile(path))) return false;
    if (!verify || (await hasContent(path, file, client.context.signal))) return true;
    client.context.onNotice(`${file.name} is damaged in the cache; it is fetched again`);
    return false;
  }

  /** Fetches a file unless the cache has it. */
  async #need(file: ListedFile): Promise<void> {
    const { client, onEvent } = this.#options;
    const { context } = client;
    if ((await this.#stateOf(file)) !== "missing") return;
    let here = 0;
    const onBytes = (length: number): void => {
      here = length;
      if (this.#size === 0) return; // The total size is not known yet.
      onEvent({
        kind: "progress",
        label: this.#label,
        file: file.name,
        fileBytes: length,
        fileSize: file.size,
        bytes: this.#bytes + length,
        size: this.#size,
      });
    };
    await fetchFile(this.#place, file, onBytes).catch((error: unknown) => {
      if (context.signal?.aborted) {
        const much = megabytesOf(here, file.size);
        context.onNotice(`stopped at ${much} of ${file.name}; the same command continues there`);
      }
      throw error;
    });
    this.#states.set(file.name, "fetched");
    this.#bytes += file.size;
  }

  /** Checks the disk space before the first byte is fetched. */
  async #checkRoom(files: readonly ListedFile[]): Promise<void> {
    const { client } = this.#options;
    const { world } = client.context;
    let needed = 0;
    for (const { name, etag, size } of files) {
      if (this.#states.get(name) !== "missing") continue;
      needed += Math.max(0, size - (await abandonedBytes(this.cached.blobs, etag, world.now())));
    }
    const free = await world.freeBytes(client.environment.cache);
    if (needed === 0 || free === undefined || needed + SPARE_BYTES <= free) return;
    throw await noRoom(client, this.#listing.id, needed + SPARE_BYTES);
  }

  /** Once all files are present, records the absent names and the branch's commit. False: a file is missing. */
  async #conclude(all: readonly ListedFile[], absent: readonly string[]): Promise<boolean> {
    const { revision } = this.#options.repository;
    const { commit } = this.#listing;
    for (const { name } of all) if (!(await this.cached.has(commit, name))) return false;
    const etags = all.map(({ etag }) => etag);
    await tidy(this.cached.blobs, etags, this.#options.client.context.world.now());
    try {
      await this.#publication.noteAbsent(absent);
      if (!isCommit(revision)) await this.#publication.writeRef(revision);
    } catch (error) {
      // A read-only cache may hold a complete model. If nothing was fetched, a notice is enough.
      if (!(error instanceof GptError) || [...this.#states.values()].includes("fetched")) throw error;
      this.#options.client.context.onNotice(error.message);
    }
    return true;
  }
}

const NO_TOKENIZER = "has no tokenizer that can be read (byte-level BPE): it reads and writes token ids only";

function sum(files: readonly ListedFile[]): number {
  return files.reduce((total, { size }) => total + size, 0);
}
