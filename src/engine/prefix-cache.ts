// Which tokens the full pages hold, so that a later prompt finds them. A page is named by the page before it and by its
// own token ids, hence by everything from the first token on; names are compared whole, never by a hash. It owns no
// page and decides nothing about their lives: that is the pool's.
import type { LogprobOptions, TokenLogprobs } from "../decoding/token-logprobs.ts";
import { assert } from "../errors.ts";

interface Entry {
  readonly key: string;
  /** The page before it; undefined: it holds a text's first tokens. */
  readonly previous: number | undefined;
  /** Known pages that continue it. */
  numNext: number;
  /** How likely its tokens are, once somebody wanted to know. */
  scores: PageScores | undefined;
}

/** How likely the tokens of a page are; those of the first page lack the text's first token, which has nothing before it. */
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

  /** The page that holds `tokenIds` right after the tokens of `previous` and of all pages before that. */
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

  /** Forgets a page. None may continue it: its number, which is a part of their names, will stand for other tokens. */
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
