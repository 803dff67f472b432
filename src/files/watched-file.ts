// A file whose content is read again when it changes: keys and certificates are renewed without a stop. It looks at
// the file's times and size whenever its content is wanted, so it needs neither timers nor watchers. A new content that
// cannot be used is reported once, and the last good one stays in force.
import { readFileSync, statSync } from "node:fs";
import { GptError, messageOf } from "../errors.ts";

export class WatchedFile<T> {
  readonly #path: string;
  readonly #parse: (text: string) => T;
  readonly #onProblem: (message: string) => void;
  #version: string;
  #content: T;

  /**
   * `parse` throws when a text cannot be used.
   * @throws GptError `invalid_config` when the file cannot be used from the start.
   */
  constructor(path: string, parse: (text: string) => T, onProblem: (message: string) => void) {
    this.#path = path;
    this.#parse = parse;
    this.#onProblem = onProblem;
    this.#version = this.#versionNow();
    try {
      this.#content = this.#read();
    } catch (cause) {
      throw new GptError("invalid_config", `${path} cannot be used: ${messageOf(cause)}`, { cause });
    }
  }

  get content(): T {
    const version = this.#versionNow();
    if (version === this.#version) return this.#content;
    this.#version = version;
    try {
      this.#content = this.#read();
    } catch (error) {
      this.#onProblem(
        `${this.#path} cannot be used, so its last good content stays in force: ${messageOf(error)}`,
      );
    }
    return this.#content;
  }

  /** Of a file that cannot be looked at: the reason. */
  #versionNow(): string {
    try {
      const { mtimeMs, ctimeMs, size, ino } = statSync(this.#path);
      return [mtimeMs, ctimeMs, size, ino].join(" ");
    } catch (error) {
      return messageOf(error);
    }
  }

  #read(): T {
    return this.#parse(readFileSync(this.#path, "utf8"));
  }
}
