// The index of full pages by their tokens, in which later prompts find them. The key of a page is the page before it and its own
// token ids, which together stand for all tokens from the first on. Keys are compared whole, never by a hash. This class owns
// no page and evicts none; that is up to `page-pool.ts`.
import type { LogprobOptions, TokenLogprobs } from "../decoding/token-logprobs.ts";
import { assert } from "../errors.ts";

interface Entry {
  readonly key: string;
  /** The page before it. Undefined: it holds the first tokens of a text. */
  readonly previous: number | undefined;
  /** Number of pages in the index that continue it. */
  numNext: number;
  /** The log-probabilities of its tokens, if a request has asked for them. */
  scores: PageScores | undefined;
}

/** The log-probabilities of a page's tokens. The first page has one fewer, since nothing precedes the first token of a text. */
export interface PageScores {
  readonly options: LogprobOptions;
  readonly logprobs: readonly TokenLogprobs[];
}

export class PrefixCache {
  readonly #pages = new Map<string, number>();
  readonly #entries = new Map<number, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  has(page: number): boolean {
    return this.#entries.has(page);
  }

  /** The page that holds `tokenIds` directly after the tokens of `previous` and of all pages before that. */
  find(previous: number | undefined, tokenIds: readonly number[]): number | undefined {
    return this.#pages.get(keyOf(previous, tokenIds));
  }

  add(page: number, previous: number | undefined, tokenIds: readonly number[]): void {
    const key = keyOf(previous, tokenIds);
    assert(!this.#entries.has(page) && !this.#pages.has(key), `page ${page} is known already`);
    this.#pages.set(key, page);
    this.#entries.set(page, { key, previous, numNext: 0, scores: undefined });
    if (previous !== undefined) this.#entry(previous).numNext += 1;
  }

  scoresOf(page: number): PageScores | undefined {
    return this.#entry(page).scores;
  }

  keepScores(page: number, scores: PageScores): void {
    this.#entry(page).scores = scores;
  }

  /** Removes a page. No other may continue it: their keys hold its number, which will soon stand for other tokens. */
  remove(page: number): void {
    const { key, previous, numNext } = this.#entry(page);
    assert(numNext === 0, `page ${page} is forgotten before ${numNext} that continue it`);
    this.#pages.delete(key);
    this.#entries.delete(page);
    if (previous !== undefined) this.#entry(previous).numNext -= 1;
  }

  #entry(page: number): Entry {
    const entry = this.#entries.get(page);
    assert(entry !== undefined, `page ${page} is not known`);
    return entry;
  }
}

function keyOf(previous: number | undefined, tokenIds: readonly number[]): string {
  return `${previous ?? ""}:${tokenIds.join()}`;
}
