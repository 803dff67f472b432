// Half precision (IEEE 754 binary16), both ways, exactly as hardware converts.

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

/** Rounds to the nearest half, to even on a tie; `value` is an f32 of magnitude up to `HALF_MAX`. */
export function toHalf(value: number): number {
  word[0] = value;
  const bits = wordBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // Below 2^−14 the result is subnormal: a multiple of 2^−24, found by adding a number whose last place is that.
  if (magnitude < 0x38800000) {
    word[0] = Math.abs(value) + 0.5;
    return sign | ((wordBits[0] as number) - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}
