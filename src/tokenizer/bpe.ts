// Byte-pair encoding of one piece of text (Sennrich et al. 2016). The piece's bytes, or characters, become tokens. Then the
// adjacent pair with the lowest rank is merged, the leftmost first, until no adjacent pair has a rank. The order of merges is
// that of Hugging Face's `tokenizers`. Splitting a text into pieces happens elsewhere.
import { MinHeap } from "./min-heap.ts";
import { PairTable } from "./pair-table.ts";
import { type SymbolModel, Symbols } from "./symbols.ts";
import { endlessWork, runToEnd, type Steps, type Work } from "./work.ts";

/** Two adjacent tokens and the token they become, as ids. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

export interface BpeModel extends SymbolModel {
  /** In order of rank, the first to be applied first. Of equal pairs the last counts. */
  readonly merges: readonly Merge[];
  /** A piece that is a token is that token, whatever the merges would make of it. */
  readonly ignoreMerges?: boolean;
}

const NO_RANK = -1;
/** Queue keys are rank · 2^31 + position, exact in a double for ranks below 2^22. */
const POSITIONS = 2 ** 31;
export const MERGES_MAX = 2 ** 22;
/** Longer pieces are rare and hardly ever repeat, so they are not cached. */
const CACHED_LENGTH_MAX = 128;
const CACHE_GENERATION = 8192;
/** The cost of merging one symbol, in units of work. */
const MERGE_WORK = 8;

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Bpe {
  readonly #model: BpeModel;
  readonly #ranks: PairTable;
  readonly #symbols: Symbols;
  /** No token is merged from more symbols than it has UTF-16 units. */
  readonly #symbolsMax: number;
  readonly #cache = new PieceCache(CACHE_GENERATION);

  constructor(model: BpeModel) {
    this.#model = model;
    this.#ranks = new PairTable(model.merges.length);
    for (const [rank, { left, right }] of model.merges.entries()) this.#ranks.set(left, right, rank);
    this.#symbols = new Symbols(model);
    let longest = 1;
    for (const token of model.vocab.keys()) longest = Math.max(longest, token.length);
    this.#symbolsMax = longest;
  }

  /** The token ids of one piece. The time is n log n in its length, whatever it holds. */
  encode(piece: string): readonly number[] {
    const cached = this.#cache.get(piece);
    if (cached) return cached;
    const ids = runToEnd(this.encodeInSteps(piece, endlessWork()))!;
    // The key is copied: a slice of a long text would keep the whole text in memory.
    if (piece.length <= CACHED_LENGTH_MAX)
      this.#cache.set(utf8Decoder.decode(utf8Encoder.encode(piece)), ids);
    return ids;
  }

  /** The same for a piece of any length; undefined when they are surely more than `maxTokens`, which shows before the end. */
  *encodeInSteps(
    piece: string,
    work: Work,
    maxTokens = Number.POSITIVE_INFINITY,
  ): Steps<readonly number[] | undefined> {
    const whole = this.#model.ignoreMerges ? this.#symbols.tokenOf(piece) : undefined;
    if (whole !== undefined) return [whole];
    const symbols = yield* this.#symbols.of(piece, work, maxTokens * this.#symbolsMax);
    return symbols && (yield* this.#merge(symbols, work));
  }

  /** A linked list of symbols and a queue of the pairs that can merge; entries of changed pairs are skipped. */
  *#merge(symbols: readonly number[], work: Work): Steps<number[]> {
    const n = symbols.length;
    const ids = Int32Array.from(symbols);
    const next = Int32Array.from(symbols, (_, i) => i + 1); // n: no symbol follows
    const previous = Int32Array.from(symbols, (_, i) => i - 1); // -1: none precedes
    const rankAt = new Int32Array(n); // rank of the pair that starts here
    const queue = new MinHeap();

    const offer = (position: number): void => {
      const right = next[position]!;
      const rank = right < n ? this.#ranks.get(ids[position]!, ids[right]!) : NO_RANK;
      rankAt[position] = rank;
      if (rank !== NO_RANK) queue.push(rank * POSITIONS + position);
    };

    for (let position = 0; position < n; position++) {
      offer(position);
      if (--work.left < 0) yield undefined;
    }
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      work.left -= MERGE_WORK;
      if (work.left < 0) yield undefined;
      const position = key % POSITIONS;
      const rank = (key - position) / POSITIONS;
      if (rankAt[position] !== rank) continue;
      const right = next[position]!;
      const after = next[right]!;
      ids[position] = this.#model.merges[rank]!.merged;
      rankAt[right] = NO_RANK;
      next[position] = after;
      if (after < n) previous[after] = position;
      offer(position);
      if (previous[position]! >= 0) offer(previous[position]!);
    }

    const merged: number[] = [];
    for (let position = 0; position < n; position = next[position]!) merged.push(ids[position]!);
    return merged;
  }
}

/** A bounded cache in two generations: when the younger one is full, the older one is dropped. */
class PieceCache {
  readonly #capacity: number;
  #young = new Map<string, readonly number[]>();
  #old = new Map<string, readonly number[]>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(piece: string): readonly number[] | undefined {
    return this.#young.get(piece) ?? this.#old.get(piece);
  }

  set(piece: string, ids: readonly number[]): void {
    if (this.#young.size >= this.#capacity) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(piece, ids);
  }
}
