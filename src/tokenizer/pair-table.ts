// A hash table in one array from pairs of integers to an integer. It fills several times as fast as a `Map` and takes a
// fraction of its memory. It grows; nothing is ever removed.

const NONE = -1;
const SLOTS_MIN = 16;

export class PairTable {
  #slots: Int32Array; // Left, right and value, or NONE as the value of an empty slot.
  #mask: number;
  #size = 0;

  constructor(capacity = 0) {
    const numSlots = Math.max(SLOTS_MIN, 2 ** Math.ceil(Math.log2(2 * capacity + 1)));
    this.#mask = numSlots - 1;
    this.#slots = new Int32Array(3 * numSlots).fill(NONE);
  }

  /** The value of a pair, which is never negative, or −1. */
  get(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right) + 2]!;
  }

  set(left: number, right: number, value: number): void {
    if (2 * (this.#size + 1) > this.#mask + 1) this.#grow();
    const at = this.#slotOf(left, right);
    if (this.#slots[at + 2] === NONE) this.#size++;
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = value;
  }

  #grow(): void {
    const before = this.#slots;
    this.#mask = 2 * this.#mask + 1;
    this.#slots = new Int32Array(2 * before.length).fill(NONE);
    this.#size = 0;
    for (let at = 0; at < before.length; at += 3) {
      if (before[at + 2] !== NONE) this.set(before[at]!, before[at + 1]!, before[at + 2]!);
    }
  }

  /** Where the pair stands, or would stand. */
  #slotOf(left: number, right: number): number {
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) + right, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 3 * slot;
      const isThere = this.#slots[at] === left && this.#slots[at + 1] === right;
      if (isThere || this.#slots[at + 2] === NONE) return at;
    }
  }
}
