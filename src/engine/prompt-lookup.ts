// Guesses how a text goes on: as it did the last time when the same few tokens stood there, in the sequence itself or in
// another one of its request ("prompt lookup decoding", Saxena 2023). A wrong guess costs time and changes no answer, so the index may
// forget. Work for each token and memory are bounded.

/** Tokens that must be the same. The longest match is taken. */
const MATCH_MIN = 2;
const MATCH_MAX = 4;
/** Places of the index, at most: half a megabyte a request. */
const SLOTS_MAX = 2 ** 17;
/** By length of the match: how often it is right, before anything is known of the text. */
const ACCURACY_AT_FIRST = [0, 0, 0.1, 0.25, 0.4];
/** A right guess moves the estimate by this part of the way to 1, a wrong one by this part of the way to 0. */
const TRUST = 0.25;
const DISTRUST = 0.35;

export interface Guess {
  readonly tokenIds: readonly number[];
  /** Of each token, how likely it and all before it are right. */
  readonly chances: readonly number[];
}

export const NO_GUESS: Guess = { tokenIds: [], chances: [] };

/** What is known of one sequence. */
interface Line {
  tokenIds: readonly number[];
  /** n-grams that end before this position are in the index. */
  numIndexed: number;
  /** By length of the match: how often the next token was right of late. */
  readonly accuracy: Float64Array; // [MATCH_MAX + 1]
  /** What was guessed last, whether or not it was tried: the token at `begin` and those behind it. */
  last: { readonly tokenIds: readonly number[]; readonly begin: number; readonly match: number } | undefined;
}

export class PromptLookup {
  readonly #lines = new Map<number, Line>();
  /** Where an n-gram of this hash ended last, as `sequence · lengthMax + position + 1`; 0: nowhere. Later ones take the place. */
  readonly #slots: Int32Array;
  readonly #lengthMax: number;

  /** For sequences 0 to `width` − 1 of at most `lengthMax` tokens each, of which `promptLength` are the same. */
  constructor(width: number, promptLength: number, lengthMax: number) {
    const numTokens = promptLength + width * (lengthMax - promptLength);
    const wanted = 2 * (MATCH_MAX - MATCH_MIN + 1) * numTokens;
    this.#slots = new Int32Array(Math.min(SLOTS_MAX, 2 ** Math.ceil(Math.log2(wanted))));
    this.#lengthMax = lengthMax;
  }

  /**
   * How sequence `index` may go on, by at most `count` tokens. `tokenIds` are those it has, more than at the last call or as
   * many. What was guessed then is compared with what came: that costs nothing, and tells when guessing is worth it again.
   */
  guess(index: number, tokenIds: readonly number[], count: number): Guess {
    const line = this.#line(index, tokenIds);
    line.tokenIds = tokenIds;
    learn(line);
    this.#index(index, line);
    const found = this.#find(tokenIds);
    line.last = undefined;
    if (!found || count <= 0) return NO_GUESS;
    const begin = tokenIds.length;
    const source = this.#lines.get(found.index) as Line;
    const guessed = followers(
      source === line ? tokenIds : source.tokenIds,
      found.end,
      count,
      source === line,
    );
    line.last = { tokenIds: guessed, begin, match: found.match };
    let chance = 1;
    const chances = guessed.map((_, i) => {
      chance *= line.accuracy[Math.min(found.match + i, MATCH_MAX)] as number;
      return chance;
    });
    return { tokenIds: guessed, chances };
  }

  #line(index: number, tokenIds: readonly number[]): Line {
    const known = this.#lines.get(index);
    if (known) return known;
    const accuracy = Float64Array.from(ACCURACY_AT_FIRST);
    // The prompt of all sequences is indexed with the first of them.
    const [first] = this.#lines.values();
    const numIndexed = first ? samePrefix(first.tokenIds, tokenIds, first.numIndexed) : 0;
    const line: Line = { tokenIds, numIndexed, accuracy, last: undefined };
    this.#lines.set(index, line);
    return line;
  }

  /** Takes in the n-grams that a further token follows. */
  #index(index: number, line: Line): void {
    const { tokenIds } = line;
    for (let end = line.numIndexed; end < tokenIds.length - 1; end++) {
      let hash = 0;
      for (let n = 1; n <= Math.min(MATCH_MAX, end + 1); n++) {
        hash = mixed(hash, tokenIds[end - n + 1] as number);
        if (n >= MATCH_MIN) this.#slots[this.#slot(hash)] = index * this.#lengthMax + end + 1;
      }
    }
    line.numIndexed = Math.max(line.numIndexed, tokenIds.length - 1);
  }

  /** The place where the longest n-gram ended last that ends `tokenIds`, by sequence and position. */
  #find(tokenIds: readonly number[]): { index: number; end: number; match: number } | undefined {
    const last = tokenIds.length - 1;
    let found: { index: number; end: number; match: number } | undefined;
    let hash = 0;
    for (let n = 1; n <= Math.min(MATCH_MAX, last); n++) {
      hash = mixed(hash, tokenIds[last - n + 1] as number);
      const place = n < MATCH_MIN ? 0 : (this.#slots[this.#slot(hash)] as number);
      if (place === 0) continue;
      const index = Math.floor((place - 1) / this.#lengthMax);
      const end = (place - 1) % this.#lengthMax;
      if (this.#isSame(index, end, tokenIds, n)) found = { index, end, match: n };
    }
    return found;
  }

  /** Whether the `n` tokens up to `end` of a sequence are the last of `tokenIds`, and not by a chance of hashes. */
  #isSame(index: number, end: number, tokenIds: readonly number[], n: number): boolean {
    const source = this.#lines.get(index)?.tokenIds ?? [];
    for (let i = 0; i < n; i++) if (source[end - i] !== tokenIds.at(-1 - i)) return false;
    return end + 1 < source.length;
  }

  #slot(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }
}

/** Compares the last guess, as far as it goes, with what came in its place. */
function learn({ tokenIds, accuracy, last }: Line): void {
  if (!last) return;
  for (const [i, guessed] of last.tokenIds.entries()) {
    const came = tokenIds[last.begin + i];
    if (came === undefined) return;
    const match = Math.min(last.match + i, MATCH_MAX);
    const before = accuracy[match] as number;
    accuracy[match] = before + (came === guessed ? TRUST * (1 - before) : -DISTRUST * before);
    if (came !== guessed) return;
  }
}

/** The `count` tokens behind position `end`; a text that repeats itself goes on as it began, beyond its own end. */
function followers(tokenIds: readonly number[], end: number, count: number, repeats: boolean): number[] {
  const period = tokenIds.length - 1 - end;
  const numKnown = repeats ? count : Math.min(count, period);
  return Array.from({ length: numKnown }, (_, i) => tokenIds[end + 1 + (i % period)] as number);
}

/** The number of tokens, at most `most`, with which both begin. */
function samePrefix(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
}

function mixed(hash: number, tokenId: number): number {
  const x = Math.imul(hash ^ (tokenId + 1), 0x9e3779b1);
  return x ^ (x >>> 16);
}
