// What only a person at a terminal sees: colours, and a line that tells of slow work and goes when that is done. A file, a
// pipe and a log get neither.
import { basename } from "node:path";

export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const CODES = { green: 32, yellow: 33, red: 31 } as const;
export type Colour = keyof typeof CODES;

/** Colours a text, if `stream` is a terminal and neither NO_COLOR (https://no-color.org) nor TERM speaks against it. */
export function painter(
  stream: Pick<Terminal, "isTTY">,
  env: Readonly<Record<string, string | undefined>>,
): (text: string, colour: Colour) => string {
  const isPlain = !stream.isTTY || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  return (text, colour) => (isPlain ? text : `\x1b[${CODES[colour]}m${text}\x1b[39m`);
}

/** `part`: how much of the weights is read, from 0 to 1. */
export function loadingText(model: string, part: number): string {
  return `Loading ${basename(model)} … ${Math.floor(100 * part)} %`;
}

/** Shorter work is not spoken of. */
const PATIENCE_MS = 1000;
/** Between two lines. */
const PACE_MS = 100;

/** One line on a terminal, rewritten in place. */
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

  /** Shows what is being done, once it has taken a second. */
  readonly show = (text: string): void => {
    const now = this.#now();
    if (!this.#stream.isTTY || now - this.#begin < PATIENCE_MS || now - this.#last < PACE_MS) return;
    this.#last = now;
    this.#isShown = true;
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  };

  /** Takes the line away, before anything else is written. */
  readonly clear = (): void => {
    if (this.#isShown) this.#stream.write("\r\x1b[K");
    this.#isShown = false;
  };
}
