// Finds special and other added tokens, such as "<|endoftext|>", in text before it is cut into pieces. It follows
// `AddedVocabulary` of Hugging Face's `tokenizers`: tokens with `normalized` false are cut out first, then the others;
// among those that start at the same place the longest wins. It gives no meaning to any token.

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Left out by `decode` when special tokens are to be skipped. */
  readonly special: boolean;
  /** Takes the whitespace before it along. */
  readonly lstrip: boolean;
  /** Takes the whitespace after it along. */
  readonly rstrip: boolean;
  /** Does not match inside a longer word. */
  readonly singleWord: boolean;
  /** Matches after normalisation. There is none here, so this decides only the order of matching. */
  readonly normalized: boolean;
}

const WHITE_SPACE = /\p{White_Space}/u;
/** `\w` of the regular expressions that `tokenizers` uses. */
const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

export class AddedTokens {
  readonly #passes: readonly TokenPattern[];

  constructor(tokens: readonly AddedToken[]) {
    const groups = [tokens.filter((t) => !t.normalized), tokens.filter((t) => t.normalized)];
    this.#passes = groups.filter((group) => group.length > 0).map((group) => new TokenPattern(group));
  }

  /** The text in order, with the id of every added token in its place. */
  split(text: string): (string | number)[] {
    let parts: (string | number)[] = [text];
    for (const pattern of this.#passes) {
      parts = parts.flatMap((part) => (typeof part === "number" ? [part] : pattern.split(part)));
    }
    return parts;
  }
}

class TokenPattern {
  readonly #byContent: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp;

  constructor(tokens: readonly AddedToken[]) {
    this.#byContent = new Map(tokens.map((token) => [token.content, token]));
    const longestFirst = [...this.#byContent.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(longestFirst.map(escapeRegExp).join("|"), "gu");
  }

  split(text: string): (string | number)[] {
    const parts: (string | number)[] = [];
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#byContent.get(match[0])!;
      let start = match.index;
      let stop = start + match[0].length;
      if (token.singleWord && isInsideWord(text, start, stop)) continue;
      if (token.lstrip) while (start > done && isSpaceAt(text, start - 1)) start--;
      if (token.rstrip) while (isSpaceAt(text, stop)) stop++;
      if (start > done) parts.push(text.slice(done, start));
      parts.push(token.id);
      done = stop;
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }
}

/** All whitespace is one UTF-16 unit long. */
function isSpaceAt(text: string, index: number): boolean {
  return WHITE_SPACE.test(text.charAt(index));
}

function isInsideWord(text: string, start: number, stop: number): boolean {
  const before = text.slice(Math.max(0, start - 2), start); // Two units: at least one whole code point.
  return WORD_BEFORE.test(before) || WORD_AFTER.test(text.slice(stop, stop + 2));
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
