// Converts half precision (IEEE 754 binary16) to f32 and back, exactly as hardware does.

/** All 65,536 half-precision numbers, as f32. */
const VALUES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
});

export function fromHalf(bits: number): number {
  return VALUES[bits] as number;
}

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/** Rounds to the nearest half, ties to even. `value` is an f32 of magnitude up to `HALF_MAX`. */
export function toHalf(value: number): number {
  word[0] = value;
  const bits = wordBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // Below 2^−14 a half is a multiple of 2^−24. The last bit of an f32 near 0.5 is worth 2^−24, so adding 0.5 rounds to one.
  if (magnitude < 0x38800000) {
    word[0] = Math.abs(value) + 0.5;
    return sign | ((wordBits[0] as number) - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}
