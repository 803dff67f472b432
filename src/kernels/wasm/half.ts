// Converts half precision (IEEE 754 binary16) to f32 and back, four numbers at a time. `../reference/half.ts` is the definition.

/** Four halves, each in the lower 16 bits of its lane, to f32; exact. */
// @ts-ignore: decorator
@inline
export function widen(bits: v128): v128 {
  // The shift moves the exponent to its place in f32. The product corrects its bias, which is right for subnormals too.
  const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
  const value = f32x4.mul(magnitude, i32x4.splat(0x77800000)); // 2^112
  const isInfinite = i32x4.gt_s(magnitude, i32x4.splat(0x0f7fffff));
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, sign), v128.and(isInfinite, i32x4.splat(0x7f800000)));
}

/** Four f32 of magnitude up to `HALF_MAX` to halves in the lower 16 bits. Rounds to nearest, ties to even. */
// @ts-ignore: decorator
@inline
export function narrow(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - 0x38000000)), odd), 13);
  // Below 2^−14 a half is a multiple of 2^−24. The last bit of an f32 near 0.5 is worth 2^−24, so adding 0.5 rounds to one.
  const subnormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const bits = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  return v128.or(bits, v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000)));
}
