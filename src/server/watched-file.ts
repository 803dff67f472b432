// A file whose content is read again when it changes: keys and certificates are renewed without a stop. It looks at
// the file's time and size whenever its content is wanted, so it needs neither timers nor watchers. A new content that
// cannot be used is reported once, and the last good one stays in force.
import { readFileSync, statSync } from "node:fs";
import { GptError, messageOf } from "../errors.ts";

export class WatchedFile<T> {
  readonly #path: string;
  readonly #parse: (text: string) => T;
  readonly #onProblem: (message: string) => void;
  #version = "";
  #content: T;

  /**
   * `parse` throws when a text cannot be used.
   * @throws GptError `invalid_config` when the file cannot be used from the start.
   */
  constructor(path: string, parse: (text: string) => T, onProblem: (message: string) => void) {
    this.#path = path;
    this.#parse = parse;
    this.#onProblem = onProblem;
    try {
      this.#version = this.#versionNow();
      this.#content = this.#read();
    } catch (cause) {
      throw new GptError("invalid_config", `${path} cannot be used: ${messageOf(cause)}`, { cause });
    }
  }

  get content(): T {
    try {
      const version = this.#versionNow();
      if (version === this.#version) return this.#content;
      this.#version = version;
      this.#content = this.#read();
    } catch (error) {
      const problem = `${this.#path} cannot be used, so its last good content stays in force: ${messageOf(error)}`;
      if (this.#version !== problem) this.#onProblem(problem);
      // A file that is gone stays remembered as this problem until it is back.
      if (isMissing(error)) this.#version = problem;
    }
    return this.#content;
  }

  #versionNow(): string {
    const { mtimeMs, size, ino } = statSync(this.#path);
    return `${mtimeMs} ${size} ${ino}`;
  }

  #read(): T {
    return this.#parse(readFileSync(this.#path, "utf8"));
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
