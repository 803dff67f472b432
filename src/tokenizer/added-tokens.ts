// Finds special and other added tokens, such as "<|endoftext|>", in a text before it is split into pieces. It follows
// `AddedVocabulary` of Hugging Face's `tokenizers`. Tokens with `normalized` false are cut out of the original text. The others
// are cut out of the normalised text in between. Of tokens that start at the same place, the longest wins.
import type { Normalizer } from "./normalizers.ts";
import type { AddedToken } from "./tokenizer-parts.ts";
import { whiteSpace, wordCharacters } from "./unicode/classes.ts";
import { CodePointSet } from "./unicode/code-point-set.ts";
import { WordFinder } from "./word-finder.ts";
import { endlessWork, runToEnd, type Work } from "./work.ts";

/** The parts of a text in order: strings, and the ids of added tokens; undefined where the budget of work is used up. */
export type Parts = Generator<string | number | undefined, void>;

export interface AddedTokenOptions {
  readonly normalizer?: Normalizer | undefined;
  /** Special tokens that are written in a text are text. */
  readonly splitSpecialTokens?: boolean;
}

export class AddedTokens {
  readonly #normalizer: Normalizer | undefined;
  readonly #asWritten: TokenFinder | undefined;
  readonly #normalized: TokenFinder | undefined;

  constructor(
    tokens: readonly AddedToken[],
    { normalizer, splitSpecialTokens = false }: AddedTokenOptions = {},
  ) {
    const finder = (isNormalized: boolean): TokenFinder | undefined => {
      // If two have the same normalised text, a special one counts, then the first.
      const group = tokens
        .filter((token) => token.normalized === isNormalized)
        .sort((a, b) => Number(b.special) - Number(a.special));
      if (group.length === 0) return undefined;
      return new TokenFinder(group, normalizer, splitSpecialTokens);
    };
    this.#normalizer = normalizer;
    this.#asWritten = finder(false);
    this.#normalized = finder(true);
  }

  /** The parts of a text; what is no added token is normalised. */
  *split(text: string, work: Work): Parts {
    for (const part of this.#asWritten?.split(text, work) ?? [text]) {
      if (typeof part !== "string") {
        yield part;
        continue;
      }
      const normalized = this.#normalizer ? yield* this.#normalizer(part, work) : part;
      if (this.#normalized) yield* this.#normalized.split(normalized, work);
      else yield normalized;
    }
  }
}

/** The text of a token after normalisation. */
export function normalizedContent(
  { content, normalized }: AddedToken,
  normalizer: Normalizer | undefined,
): string {
  return normalizer && normalized ? runToEnd(normalizer(content, endlessWork())) : content;
}

class TokenFinder {
  readonly #tokens: readonly AddedToken[];
  readonly #finder: WordFinder;
  /** The form in which each token stands in a text. */
  readonly #lengths: readonly number[];
  readonly #skipSpecial: boolean;
  readonly #spaces = new CodePointSet(whiteSpace()); // Each is one UTF-16 unit long.
  readonly #words = new CodePointSet(wordCharacters());

  constructor(tokens: readonly AddedToken[], normalizer: Normalizer | undefined, skipSpecial: boolean) {
    const forms = tokens.map((token) => ({ token, form: normalizedContent(token, normalizer) }));
    const found = forms.filter(({ form }) => form !== "");
    this.#tokens = found.map(({ token }) => token);
    this.#lengths = found.map(({ form }) => form.length);
    this.#finder = new WordFinder(found.map(({ form }) => form));
    this.#skipSpecial = skipSpecial;
  }

  *split(text: string, work: Work): Parts {
    const found = yield* this.#finder.find(text, work);
    let done = 0;
    let spacesEnd = 0; // End of the white space that was scanned last.
    for (let at = 0; found !== undefined && at < text.length; at++) {
      if (--work.left < 0) yield undefined;
      const index = found[at]! - 1;
      if (index < 0) continue;
      const token = this.#tokens[index]!;
      let [start, end] = [at, at + this.#lengths[index]!];
      at = end - 1;
      if (this.#skipSpecial && token.special) continue;
      if (token.singleWord && this.#isInsideWord(text, start, end)) continue;
      for (; token.lstrip && start > done && this.#isSpace(text, start - 1); start--) {
        if (--work.left < 0) yield undefined;
      }
      // White space that the previous token consumed is gone.
      if (token.lstrip) start = Math.max(start, done);
      if (token.rstrip) {
        end = Math.max(end, spacesEnd);
        for (; this.#isSpace(text, end); end++) if (--work.left < 0) yield undefined;
        spacesEnd = end;
      }
      if (start > done) yield text.slice(done, start);
      if (end > start) yield token.id;
      done = end;
    }
    if (done < text.length) yield text.slice(done);
  }

  #isSpace(text: string, index: number): boolean {
    return index < text.length && this.#spaces.has(text.charCodeAt(index));
  }

  #isInsideWord(text: string, start: number, end: number): boolean {
    const after = text.codePointAt(end);
    if (after !== undefined && this.#words.has(after)) return true;
    if (start === 0) return false;
    const unit = text.charCodeAt(start - 1);
    const before = unit >= 0xdc00 && unit < 0xe000 && start > 1 ? text.codePointAt(start - 2)! : unit;
    return this.#words.has(before);
  }
}
