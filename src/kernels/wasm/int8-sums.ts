// What the two ways to multiply a group share (`int8-words.ts` and `int8-halves.ts`): sizes in memory, and the end of a group,
// where integer sums become floats.
import { BLOCK, BLOCK_SCALES, GROUP, QUAD } from "./numbers.generated";

/** Bytes from one quad of weights of an output to its next quad. */
export const QUAD_STEP: usize = QUAD * BLOCK;
/** Bytes from the beginning of a block to its scales. */
export const SCALES: usize = BLOCK_SCALES;
/** Bytes of the sums of one row against one block. */
export const ROW_SUMS: usize = 4 * BLOCK;
/** Bytes of a group of activations: one word each, or two bytes each. */
export const GROUP_BYTES: usize = 2 * GROUP;

/** Adds the integer sums of four outputs to the accumulators at `acc`. `scales`: of the weights. `xScale`: of the activations. */
// @ts-ignore: decorator
@inline
export function addGroup(acc: usize, sums: v128, scales: v128, xScale: v128): void {
  const sum = f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(scales, xScale));
  v128.store(acc, f32x4.add(v128.load(acc), sum));
}
