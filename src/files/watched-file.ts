// A file that is read again when it changes, so that keys and certificates can be renewed without a restart. The file is
// looked at whenever its content is asked for, so a change counts from the next request on; `check` looks without a request.
// The caller decides what counts while the file is missing or unusable. Meanwhile the warning is repeated.
import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { GptError, messageOf } from "../errors.ts";

/** What to use while a file cannot be used. */
export type WithoutFile<T> =
  | "the last good content"
  /** `content` replaces the last good one: at once when the file is gone, after `graceMs` when it is unusable. */
  | { readonly content: T; readonly graceMs: number };

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** The setting that names the file. */
  readonly flag: `--${string}`;
  /** Throws if a text cannot be used. The reason is shown to people, so it must not repeat secrets of the file. */
  readonly parse: (text: string) => T;
  readonly withoutFile: WithoutFile<T>;
  /** Whether nobody but its owner should be able to read it. */
  readonly isSecret: boolean;
  /** Called with whole sentences that the operator should know. */
  readonly onProblem: (message: string) => void;
  /** A monotonic clock, in milliseconds. */
  readonly elapsed?: () => number;
}

/** The state of a file, for metrics and health checks. */
export interface FileState {
  readonly flag: string;
  /** The reason why it cannot be used; undefined: it can. */
  readonly problem: string | undefined;
  /** Whether its last good content no longer counts. */
  readonly isRevoked: boolean;
  /** Whether its last good content no longer counts, or soon will not. */
  readonly isUrgent: boolean;
}

/**
 * A version of the file is trusted only if it was read this long after it was first seen. Within the resolution of a file
 * system's clock, two contents can have the same times and the same size.
 */
const SETTLED_MS = 2000;
const REPORT_AGAIN_MS = 60_000;
/** Far more than any key file or certificate needs. */
const BYTES_MAX = 2 ** 24;

interface Problem {
  readonly reason: string;
  /** Whether it was missing at any time since it was last usable. */
  readonly wasGone: boolean;
  /** When the file was found to be unusable. */
  readonly sinceMs: number;
}

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #elapsed: () => number;
  /** The file's times, size and inode at the last look, and when these were first seen. */
  #version = "";
  #firstSeenMs = 0;
  #isSettled = false;
  /** The text that was read last, and its problem if it cannot be used. */
  #read: { readonly text: string; readonly error: unknown } | undefined;
  #good: T;
  #problem: Problem | undefined;
  readonly #reportedMs = new Map<string, number>();

  /** @throws GptError `invalid_config` when the file cannot be used from the start. */
  constructor(options: WatchedFileOptions<T>) {
    this.#options = options;
    this.#elapsed = options.elapsed ?? (() => performance.now());
    const { path, flag } = options;
    try {
      const stats = statSync(path);
      this.#see(versionOf(stats));
      const text = this.#textOf(stats);
      this.#good = options.parse(text);
      this.#read = { text, error: undefined };
    } catch (cause) {
      throw new GptError("invalid_config", `${flag} ${path} cannot be used: ${reasonOf(cause)}`, { cause });
    }
  }

  get content(): T {
    this.check();
    const { withoutFile } = this.#options;
    return withoutFile !== "the last good content" && this.state.isRevoked ? withoutFile.content : this.#good;
  }

  /** The state at the last look. */
  get state(): FileState {
    const { flag, withoutFile } = this.#options;
    const problem = this.#problem;
    if (problem === undefined) return { flag, problem: undefined, isRevoked: false, isUrgent: false };
    if (withoutFile === "the last good content") {
      return { flag, problem: problem.reason, isRevoked: false, isUrgent: false };
    }
    const isRevoked = problem.wasGone || this.#elapsed() - problem.sinceMs >= withoutFile.graceMs;
    return { flag, problem: problem.reason, isRevoked, isUrgent: true };
  }

  /** Reads the file if it has changed. An unusable file is read every time. */
  check(): void {
    try {
      const stats = statSync(this.#options.path);
      const version = versionOf(stats);
      if (version === this.#version && this.#isSettled && this.#problem === undefined) return;
      if (version !== this.#version) this.#see(version);
      this.#isSettled = this.#elapsed() - this.#firstSeenMs >= SETTLED_MS;
      this.#use(this.#textOf(stats));
    } catch (error) {
      this.#fail(error);
    }
    this.#tell();
  }

  #see(version: string): void {
    this.#version = version;
    this.#firstSeenMs = this.#elapsed();
    this.#isSettled = false;
  }

  /** @throws if the file cannot be used */
  #use(text: string): void {
    if (text !== this.#read?.text) this.#read = { text, error: this.#parse(text) };
    if (this.#read.error !== undefined) throw this.#read.error;
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#say(`${this.#options.flag} ${this.#options.path} can be used again`);
  }

  /** @returns the problem with the text; undefined: none */
  #parse(text: string): unknown {
    try {
      this.#good = this.#options.parse(text);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #fail(error: unknown): void {
    const { wasGone = false, sinceMs = this.#elapsed() } = this.#problem ?? {};
    this.#problem = { reason: reasonOf(error), wasGone: wasGone || isGone(error), sinceMs };
  }

  #textOf(stats: Stats): string {
    if (!stats.isFile()) throw new Error("it is not a regular file");
    const fd = openSync(this.#options.path, "r");
    try {
      const { size, mode } = fstatSync(fd);
      if (size > BYTES_MAX) throw new Error(`it has ${size} bytes, and may have ${BYTES_MAX}`);
      this.#checkMode(mode);
      return readFileSync(fd, "utf8");
    } finally {
      closeSync(fd);
    }
  }

  /** Warns if others can read a secret, or write a file that the server trusts. The file is still used. */
  #checkMode(mode: number): void {
    if (process.platform === "win32") return;
    const { path, flag, isSecret } = this.#options;
    const what = [...(isSecret && mode & 0o044 ? ["read"] : []), ...(mode & 0o022 ? ["write"] : [])];
    if (what.length === 0) return;
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    this.#say(
      `${flag} ${path}: others may ${what.join(" and ")} it (mode ${octal}); ` +
        `\`chmod ${isSecret ? "go-rwx" : "go-w"}\` makes it safe`,
    );
  }

  #tell(): void {
    const { problem, isRevoked } = this.state;
    const { path, flag, withoutFile } = this.#options;
    if (problem === undefined) return;
    const meaning = isRevoked
      ? "nothing that stood in it is valid until it can be used"
      : withoutFile === "the last good content"
        ? "its last good content stays in force"
        : `its last good content stays in force for ${withoutFile.graceMs / 1000} seconds`;
    this.#say(`${flag} ${path} cannot be used: ${problem}; ${meaning}`);
  }

  /** Repeats the same sentence only now and then. */
  #say(message: string): void {
    const now = this.#elapsed();
    for (const [reported, atMs] of this.#reportedMs)
      if (now - atMs >= REPORT_AGAIN_MS) this.#reportedMs.delete(reported);
    if (this.#reportedMs.has(message)) return;
    this.#reportedMs.set(message, now);
    this.#options.onProblem(message);
  }
}

function versionOf({ mtimeMs, ctimeMs, size, ino, dev }: Stats): string {
  return [mtimeMs, ctimeMs, size, ino, dev].join(" ");
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

function reasonOf(error: unknown): string {
  if (isGone(error)) return "it is not there";
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? messageOf(error) : `it cannot be read (${code})`;
}
