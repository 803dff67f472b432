// The end of a group: its integer sums become floats, are scaled and added to their accumulators.

/** The four sums of four vectors, as one vector: unpack, add, unpack, add. */
// @ts-ignore: decorator
@inline
function reduce4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return i32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/** Adds the group sums a … d of four outputs to their accumulator. */
// @ts-ignore: decorator
@inline
export function addGroup(sum: v128, a: v128, b: v128, c: v128, d: v128, weightScales: v128, scale: usize): v128 {
  const scales = f32x4.mul(weightScales, v128.load32_splat(scale));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(reduce4(a, b, c, d)), scales));
}
