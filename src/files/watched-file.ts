// A file whose content is read again when it changes: keys and certificates are renewed without a stop. It looks at the
// file whenever its content is wanted, so that a change counts from the next request on; `check` looks without one. What
// counts while the file is gone or cannot be used is the owner's decision. That it is so is told again and again.
import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { GptError, messageOf } from "../errors.ts";

/** What counts while a file cannot be used. */
export type WithoutFile<T> =
  | "the last good content"
  /** `content` takes the place of the last good one: at once when the file is gone, after `graceMs` when it is unusable. */
  | { readonly content: T; readonly graceMs: number };

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** The setting that names the file. */
  readonly flag: `--${string}`;
  /** Throws when a text cannot be used, with a reason that may be told: secrets are in the file, not in the reason. */
  readonly parse: (text: string) => T;
  readonly withoutFile: WithoutFile<T>;
  /** Whether nobody but its owner should be able to read it. */
  readonly isSecret: boolean;
  /** Is told in whole sentences what the operator should know. */
  readonly onProblem: (message: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly elapsed?: () => number;
}

/** How a file is, for those who tell of it elsewhere. */
export interface FileState {
  readonly flag: string;
  /** Why it cannot be used; undefined: it can. */
  readonly problem: string | undefined;
  /** Whether what stood in it last does not count any more. */
  readonly isRevoked: boolean;
  /** Whether that is so, or will be soon. */
  readonly isUrgent: boolean;
}

/**
 * A version of the file is trusted once it was read this long after it was first seen: within the resolution of a file
 * system's clock, two contents can have the same times and the same size.
 */
const SETTLED_MS = 2000;
const TELL_AGAIN_MS = 60_000;
/** Far more than any key file or certificate has. */
const BYTES_MAX = 2 ** 24;

interface Problem {
  readonly reason: string;
  /** Whether it was gone at any time since it could be used last. */
  readonly wasGone: boolean;
  /** When it was found that the file cannot be used. */
  readonly sinceMs: number;
}

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #elapsed: () => number;
  /** The file's times, size and number when it was last looked at, and when these were first seen. */
  #version = "";
  #firstSeenMs = 0;
  #isSettled = false;
  /** The text that was read last, and what is wrong with it if it cannot be used. */
  #read: { readonly text: string; readonly error: unknown } | undefined;
  #good: T;
  #problem: Problem | undefined;
  readonly #toldMs = new Map<string, number>();

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

  /** As it was when the file was last looked at. */
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

  /** Looks whether the file has changed, and reads it if so. A file that cannot be used is read every time. */
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

  /** Throws when it cannot be used. */
  #use(text: string): void {
    if (text !== this.#read?.text) this.#read = { text, error: this.#parse(text) };
    if (this.#read.error !== undefined) throw this.#read.error;
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#say(`${this.#options.flag} ${this.#options.path} can be used again`);
  }

  /** @returns what is wrong with the text */
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

  /** Others who can read a secret, or write what the server trusts, are told of; the file is used. */
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

  /** The same sentence only now and then. */
  #say(message: string): void {
    const now = this.#elapsed();
    for (const [told, atMs] of this.#toldMs) if (now - atMs >= TELL_AGAIN_MS) this.#toldMs.delete(told);
    if (this.#toldMs.has(message)) return;
    this.#toldMs.set(message, now);
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
