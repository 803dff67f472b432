// What is shown on a terminal only: colours, and a progress line that disappears when the work is done. Files, pipes and
// logs get neither.
import { basename } from "node:path";

export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const CODES = { green: 32, yellow: 33, red: 31 } as const;
export type Colour = keyof typeof CODES;

/** Colours a text if `stream` is a terminal, unless NO_COLOR (https://no-color.org) or TERM forbids it. */
export function painter(
  stream: Pick<Terminal, "isTTY">,
  env: Readonly<Record<string, string | undefined>>,
): (text: string, colour: Colour) => string {
  const isPlain = !stream.isTTY || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  return (text, colour) => (isPlain ? text : `\x1b[${CODES[colour]}m${text}\x1b[39m`);
}

/** `part`: how much of the weights has been read, from 0 to 1. */
export function loadingText(model: string, part: number): string {
  return `Loading ${basename(model)} … ${Math.floor(100 * part)} %`;
}

/** Work that takes less time is not shown. */
const PATIENCE_MS = 1000;
/** Time between two updates of the line. */
const PACE_MS = 100;

/** A progress line on a terminal, rewritten in place. */
export class Progress {
  readonly #stream: Terminal;
  readonly #now: () => number;
  readonly #begin: number;
  #last = Number.NEGATIVE_INFINITY;
  #isShown = false;

  constructor(stream: Terminal = process.stderr, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#begin = now();
  }

  /** Shows what is being done, if it has taken a second already. */
  readonly show = (text: string): void => {
    const now = this.#now();
    if (!this.#stream.isTTY || now - this.#begin < PATIENCE_MS || now - this.#last < PACE_MS) return;
    this.#last = now;
    this.#isShown = true;
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  };

  /** Removes the line. Call it before anything else is written. */
  readonly clear = (): void => {
    if (this.#isShown) this.#stream.write("\r\x1b[K");
    this.#isShown = false;
  };
}
