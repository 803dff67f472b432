// The end of a group: integer sums of four outputs become floats, are scaled and added to their accumulators.

/** Adds the group sums of four outputs to the accumulators at `acc`; `scales` are those of the weights. */
// @ts-ignore: decorator
@inline
export function addGroup(acc: usize, sums: v128, scales: v128, xScale: v128): void {
  const sum = f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(scales, xScale));
  v128.store(acc, f32x4.add(v128.load(acc), sum));
}
