// Downloads one file from the hub into a partial file and checks its hash. A download resumes where an earlier attempt
// stopped, retries as long as bytes still arrive, and starts from the beginning when the bytes so far cannot be trusted. It
// always ends: a connection that brings nothing, or almost nothing for minutes, is given up.
import { GptError } from "../errors.ts";
import { Failure, notAHub, printable } from "./failure.ts";
import type { HubClient } from "./hub-client.ts";
import { type ListedFile, type Listing, resolveAddress } from "./listing.ts";
import { ABANDONED_MS, type PartialFile } from "./partial-file.ts";
import { Patience } from "./patience.ts";
import type { HubAnswer } from "./transport.ts";

/** The hub redirects to signed addresses, which expire. How often a new one is asked for without progress in between. */
const RENEWALS_MAX = 3;
/** A connection that brings fewer bytes than `PACE_BYTES_MIN` in this time is given up. */
const PACE_WINDOW_MS = 300_000;
const PACE_BYTES_MIN = 30_000;

export interface DownloadOptions {
  readonly client: HubClient;
  readonly listing: Listing;
  readonly file: ListedFile;
  readonly partial: PartialFile;
  /** Called after each write with the length of the partial file in bytes. */
  readonly onBytes: (length: number) => void;
}

export class Download {
  readonly #options: DownloadOptions;
  readonly #patience: Patience;
  readonly #pace: Pace;
  /** The greatest length of the partial file since the last restart, in bytes. More than that is progress. */
  #reached: number;
  #numRenewals = 0;
  /** The kinds of restart that have happened. A second restart of the same kind is an error. */
  readonly #restarts = new Set<string>();
  #hasWarned = false;

  constructor(options: DownloadOptions) {
    const { context } = options.client;
    this.#options = options;
    this.#patience = new Patience(context);
    this.#pace = new Pace(context.world.now());
    this.#reached = options.partial.length;
  }

  /**
   * Resolves when the partial file is complete and its hash is right.
   * @throws GptError `hub_refused`, `hub_unreachable` or `download_failed`; LostFile
   */
  async run(): Promise<void> {
    const { partial, file } = this.#options;
    for (;;) {
      try {
        while (partial.length < file.size) await this.#attempt();
        this.#compare();
        return;
      } catch (error) {
        const reason = error instanceof Failure ? this.#unfitEnd(error) : error;
        if (reason instanceof Unfit) await this.#restart(reason);
        else if (reason instanceof Failure) await this.#recover(reason);
        else throw reason;
      }
    }
  }

  #compare(): void {
    const { listing, file, partial, client } = this.#options;
    client.context.signal?.throwIfAborted();
    const hash = partial.digest();
    if (hash === file.etag) return;
    const message =
      `${file.name} of ${listing.id} has the hash ${hash}, expected ${file.etag}, twice; a proxy or the disk ` +
      "changes it; nothing was kept";
    throw new Unfit("hash", `${file.name} arrived damaged`, new GptError("download_failed", message));
  }

  async #attempt(): Promise<void> {
    const { client, listing, file, partial } = this.#options;
    const begin = partial.length;
    const address = resolveAddress(client, { id: listing.id, revision: listing.commit }, file.name);
    const asked = { id: listing.id, revision: listing.commit, what: file.name };
    const headers: Record<string, string> = begin > 0 ? { range: `bytes=${begin}-` } : {};
    const answer = await client.ask(address, asked, { headers });
    if (answer.status === 206) this.#checkRange(answer, begin);
    else if (begin > 0) {
      if (!this.#hasWarned) this.#notify(`${answer.url.host} cannot resume ${file.name}`);
      this.#hasWarned = true;
      await partial.restart();
    }
    await this.#receive(answer);
    if (partial.length === file.size) return;
    throw new Failure({
      isTransient: true,
      code: "hub_unreachable",
      sentence: `${answer.url.host} ends ${file.name} at ${partial.length} of ${file.size} bytes`,
    });
  }

  #checkRange(answer: HubAnswer, begin: number): void {
    const { file } = this.#options;
    const header = answer.header("content-range") ?? "";
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(header) ?? [];
    if (Number(first) === begin && Number(total) === file.size) return;
    answer.body.destroy();
    const what = `Content-Range: ${printable(header).slice(0, 60)} for bytes ${begin}- of ${file.size}`;
    const error = notAHub(answer.url.host, what).toError(1);
    throw new Unfit("range", `${answer.url.host} sent another part of ${file.name}`, error);
  }

  async #receive(answer: HubAnswer): Promise<void> {
    const { file, partial, onBytes, client } = this.#options;
    for await (const chunk of client.transport.pieces(answer, client.context.signal)) {
      if (partial.length + chunk.length > file.size) throw this.#tooLong(answer);
      await partial.write(chunk);
      if (partial.length > this.#reached) {
        this.#reached = partial.length;
        this.#numRenewals = 0;
        this.#patience.progressed();
      }
      onBytes(partial.length);
      const seconds = this.#pace.add(chunk.length, client.context.world.now());
      if (seconds === undefined) continue;
      const message = `${answer.url.host} is too slow: less than ${PACE_BYTES_MIN} bytes of ${file.name} in ${seconds} s`;
      throw new GptError("hub_unreachable", message);
    }
  }

  #tooLong(answer: HubAnswer): Unfit {
    const { file, listing } = this.#options;
    const message =
      `${file.name} of ${listing.id} has more than its ${file.size} bytes, twice; ${answer.url.host} sends another ` +
      "file; nothing was kept";
    return new Unfit(
      "length",
      `${file.name} is longer than the hub says`,
      new GptError("download_failed", message),
    );
  }

  async #restart({ kind, notice, error }: Unfit): Promise<void> {
    await this.#options.partial.restart();
    if (this.#restarts.has(kind)) throw error;
    this.#restarts.add(kind);
    this.#reached = 0;
    this.#notify(notice);
  }

  #notify(notice: string): void {
    this.#options.client.context.onNotice(`${notice}; starting over`);
  }

  /** HTTP 416: the range begins beyond the end of the file. So the partial file is not a beginning of it. */
  #unfitEnd(failure: Failure): Failure | Unfit {
    if (failure.facts.answer?.status !== 416) return failure;
    return new Unfit(
      "end",
      `the partial ${this.#options.file.name} is longer than the file`,
      failure.toError(2),
    );
  }

  async #recover(failure: Failure): Promise<void> {
    const { status, isHub } = failure.facts.answer ?? {};
    if (status === 403 && isHub === false) {
      // The signed address behind the redirect has expired. The hub gives a new one.
      this.#numRenewals += 1;
      if (this.#numRenewals > RENEWALS_MAX) throw failure.toError(this.#numRenewals);
      return;
    }
    await this.#patience.after(failure);
    if (status === 429) this.#pace.pause(this.#options.client.context.world.now());
  }
}

/** Measures the throughput in windows of time, to find a connection so slow that the file would never be complete. */
class Pace {
  #sinceMs: number;
  #lastMs: number;
  #bytes = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#lastMs = nowMs;
  }

  /** The length in seconds of a window that brought too few bytes. Undefined: the throughput is enough so far. */
  add(bytes: number, nowMs: number): number | undefined {
    // After so long a gap the machine was asleep or this process was suspended, which is not the connection's fault.
    if (nowMs - this.#lastMs > ABANDONED_MS) this.pause(nowMs);
    this.#lastMs = nowMs;
    this.#bytes += bytes;
    const lengthMs = nowMs - this.#sinceMs;
    if (lengthMs < PACE_WINDOW_MS) return undefined;
    const isSlow = this.#bytes < PACE_BYTES_MIN;
    this.pause(nowMs);
    return isSlow ? Math.round(lengthMs / 1000) : undefined;
  }

  /** Begins a new window. */
  pause(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#lastMs = nowMs;
    this.#bytes = 0;
  }
}

/** The bytes received cannot belong to the file, so the download has to start from the beginning. */
class Unfit extends Error {
  readonly kind: string;
  readonly notice: string;
  /** Thrown when the same kind happens a second time. */
  readonly error: GptError;

  constructor(kind: string, notice: string, error: GptError) {
    super(notice);
    this.kind = kind;
    this.notice = notice;
    this.error = error;
  }
}
