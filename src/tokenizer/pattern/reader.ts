// The position in the text of a regular expression while it is parsed.
import { PatternError } from "./syntax.ts";

export class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  /** Takes this text, if it is what comes. */
  take(text: string): boolean {
    if (!this.startsWith(text)) return false;
    this.#at += text.length;
    return true;
  }

  /** Takes what a form that begins with `^` matches here. */
  takeMatch(form: RegExp): RegExpExecArray | undefined {
    const match = form.exec(this.#text.slice(this.#at, this.#at + LONGEST));
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }

  /** Takes one character. @throws PatternError at the end */
  next(): string {
    if (this.isAtEnd) throw new PatternError("an end in the middle");
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    this.#at += char.length;
    return char;
  }
}

/** Longer than any name or number that is looked for. */
const LONGEST = 100;
