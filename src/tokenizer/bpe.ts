// Byte-pair encoding of one piece of text: UTF-8 bytes become single-byte tokens, then the adjacent pair with the lowest
// rank is merged, the leftmost first, until no adjacent pair has a rank (Sennrich et al. 2016; the order of merges is
// that of Hugging Face's `tokenizers`). It is not the tokenizer: cutting text into pieces is in tokenizer.ts.
import { MinHeap } from "./min-heap.ts";

/** Two adjacent tokens and the token they become, as ids. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

export interface BpeModel {
  /** The id of each single-byte token, by byte; undefined where the vocabulary lacks it. */
  readonly byteIds: readonly (number | undefined)[]; // [256]
  /** In order of rank, the first to be applied first. */
  readonly merges: readonly Merge[];
  /** Stands for a byte the vocabulary lacks; without it such a byte is left out. */
  readonly unknownId?: number | undefined;
  /** One unknown token for a whole run of unknown bytes. */
  readonly fuseUnknown?: boolean;
}

const NO_RANK = -1;
/** Queue keys are rank · 2^31 + position, exact in a double for ranks below 2^22. */
const POSITIONS = 2 ** 31;
export const MERGES_MAX = 2 ** 22;
/** Longer pieces are rare and hardly ever come twice. */
const CACHED_BYTES_MAX = 256;
const CACHE_GENERATION = 8192;

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Bpe {
  readonly #model: BpeModel;
  readonly #ranks: PairRanks;
  readonly #cache = new PieceCache(CACHE_GENERATION);

  constructor(model: BpeModel) {
    this.#model = model;
    this.#ranks = new PairRanks(model.merges);
  }

  /** The token ids of one piece. The time is n log n in its length, whatever it holds. */
  encode(piece: string): readonly number[] {
    const cached = this.#cache.get(piece);
    if (cached) return cached;
    const bytes = utf8Encoder.encode(piece);
    const ids = this.#merge(this.#symbols(bytes));
    // The key is made anew: a slice of a long text would keep the whole text in memory.
    if (bytes.length <= CACHED_BYTES_MAX) this.#cache.set(utf8Decoder.decode(bytes), ids);
    return ids;
  }

  #symbols(bytes: Uint8Array): number[] {
    const { byteIds, unknownId, fuseUnknown } = this.#model;
    const symbols: number[] = [];
    let afterUnknown = false;
    for (const byte of bytes) {
      const id = byteIds[byte];
      if (id !== undefined) symbols.push(id);
      else if (unknownId !== undefined && !(fuseUnknown && afterUnknown)) symbols.push(unknownId);
      afterUnknown = id === undefined;
    }
    return symbols;
  }

  /** A linked list of symbols and a queue of the pairs that can merge; entries of changed pairs are skipped. */
  #merge(symbols: readonly number[]): number[] {
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

    for (let position = 0; position < n; position++) offer(position);
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
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

/** Pairs of ids → rank, as a hash table in one array, which is filled several times as quickly as a `Map`. */
class PairRanks {
  readonly #slots: Int32Array; // left, right and rank, or NO_RANK in an empty slot
  readonly #mask: number;

  constructor(merges: readonly Merge[]) {
    const numSlots = 2 ** Math.ceil(Math.log2(2 * merges.length + 1));
    this.#mask = numSlots - 1;
    this.#slots = new Int32Array(3 * numSlots).fill(NO_RANK);
    for (let rank = 0; rank < merges.length; rank++) {
      const { left, right } = merges[rank]!;
      const at = this.#slotOf(left, right);
      this.#slots[at] = left;
      this.#slots[at + 1] = right;
      this.#slots[at + 2] = rank;
    }
  }

  get(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right) + 2]!;
  }

  /** Where the pair stands, or would stand. */
  #slotOf(left: number, right: number): number {
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) + right, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 3 * slot;
      const isThere = this.#slots[at] === left && this.#slots[at + 1] === right;
      if (isThere || this.#slots[at + 2] === NO_RANK) return at;
    }
  }
}

/** Bounded: when the younger generation is full, the older one is forgotten. */
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
