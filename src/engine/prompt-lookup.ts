// Guesses the next tokens of a text ("prompt lookup decoding", Saxena 2023). It looks for the last few tokens at an earlier place,
// in the sequence itself or in another one of the same request, and guesses that the text goes on as it did there. A wrong guess
// costs time but changes no answer, so the index may lose entries. Memory and the work for each token are bounded.

/** The length of a match in tokens. The longest match is used. */
const MATCH_MIN = 2;
const MATCH_MAX = 4;
/** The most slots of the index, 4 bytes each: half a megabyte per request. */
const SLOTS_MAX = 2 ** 17;
/** Indexed by the length of the match: the assumed accuracy of a guess before anything is known about the text. */
const ACCURACY_AT_FIRST = [0, 0, 0.1, 0.25, 0.4];
/** A right guess moves the estimate by the fraction `TRUST` towards 1, a wrong one by `DISTRUST` towards 0. */
const TRUST = 0.25;
const DISTRUST = 0.35;

export interface Guess {
  readonly tokenIds: readonly number[];
  /** `chances[i]`: the probability that guesses 0 to i are all right. */
  readonly chances: readonly number[];
}

export const NO_GUESS: Guess = { tokenIds: [], chances: [] };

/** The state of one sequence. */
interface Line {
  tokenIds: readonly number[];
  /** The n-grams that end before this position are in the index. */
  numIndexed: number;
  /** Indexed by the length of the match: the recent accuracy of the next token. */
  readonly accuracy: Float64Array; // [MATCH_MAX + 1]
  /** The last guess, for the tokens from position `begin` on, whether or not it was tried in a pass. */
  last: { readonly tokenIds: readonly number[]; readonly begin: number; readonly match: number } | undefined;
}

export class PromptLookup {
  readonly #lines = new Map<number, Line>();
  /**
   * A hash table of n-grams. A slot holds where an n-gram with this hash ended last, as `sequence · lengthMax + position + 1`; 0:
   * empty. Later entries overwrite earlier ones.
   */
  readonly #slots: Int32Array;
  readonly #lengthMax: number;

  /** For sequences 0 to `width` − 1 of at most `lengthMax` tokens each. The first `promptLength` tokens are the same in all. */
  constructor(width: number, promptLength: number, lengthMax: number) {
    const numTokens = promptLength + width * (lengthMax - promptLength);
    const wanted = 2 * (MATCH_MAX - MATCH_MIN + 1) * numTokens;
    this.#slots = new Int32Array(Math.min(SLOTS_MAX, 2 ** Math.ceil(Math.log2(wanted))));
    this.#lengthMax = lengthMax;
  }

  /**
   * Guesses at most `count` next tokens of sequence `index`. `tokenIds` are all its tokens, at least as many as at the last call.
   * The last guess is compared with the tokens that came. That costs nothing even if the guess was not tried, and shows when
   * guessing is worthwhile again.
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
    // All sequences share the prompt, so only the first one has it indexed.
    const [first] = this.#lines.values();
    const numIndexed = first ? samePrefix(first.tokenIds, tokenIds, first.numIndexed) : 0;
    const line: Line = { tokenIds, numIndexed, accuracy, last: undefined };
    this.#lines.set(index, line);
    return line;
  }

  /** Adds the n-grams that are followed by a token. */
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

  /** Finds the latest earlier place, as sequence and position, of the longest possible n-gram at the end of `tokenIds`. */
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

  /** Whether the `n` tokens up to `end` of a sequence equal the last `n` of `tokenIds`. Equal hashes do not prove that. */
  #isSame(index: number, end: number, tokenIds: readonly number[], n: number): boolean {
    const source = this.#lines.get(index)?.tokenIds ?? [];
    for (let i = 0; i < n; i++) if (source[end - i] !== tokenIds.at(-1 - i)) return false;
    return end + 1 < source.length;
  }

  #slot(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }
}

/** Compares the last guess with the tokens that came, and updates the accuracy. */
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

/** The `count` tokens after position `end`. With `repeats` the text is continued periodically beyond its own end. */
function followers(tokenIds: readonly number[], end: number, count: number, repeats: boolean): number[] {
  const period = tokenIds.length - 1 - end;
  const numKnown = repeats ? count : Math.min(count, period);
  return Array.from({ length: numKnown }, (_, i) => tokenIds[end + 1 + (i % period)] as number);
}

/** The length of the common prefix, but at most `most`. */
function samePrefix(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
}

function mixed(hash: number, tokenId: number): number {
  const x = Math.imul(hash ^ (tokenId + 1), 0x9e3779b1);
  return x ^ (x >>> 16);
}
