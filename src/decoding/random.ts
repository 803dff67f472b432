// Counter-based random numbers: Philox 4×32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
// 1, 2, 3"). A draw is a pure function of (seed, sequence, position). There is no state, so other requests cannot change it.

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** The high and low 32 bits of the product of two 32-bit numbers. */
function multiply(a: number, b: number): [high: number, low: number] {
  const low = Math.imul(a, b) >>> 0;
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  const high = aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(cross / 65536);
  return [high >>> 0, low];
}

export type Block = readonly [number, number, number, number];

/** One block of four random 32-bit words. */
export function philox(counter: Block, key: readonly [number, number]): Block {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiply(MULTIPLIERS[0], c0);
    const [high1, low1] = multiply(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A uniform number in [0, 1) with 53 random bits, for the token at `position` of sequence `sequence`. */
export function uniform(seed: number, sequence: number, position: number): number {
  const [a, b] = philox([position, sequence, 0, 0], [seed, 0]);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}
