// The rotation of a group of 64 numbers: a product with the orthonormal Walsh–Hadamard matrix. The dot product of two groups does
// not change if both are rotated. But an outlier is spread over the whole group, so it no longer forces a coarse scale on its
// neighbours (QuaRot, Ashkboos et al. 2024, arXiv:2404.00456). This is the definition of the bits: six stages of sums and
// differences in f32, first of numbers 32 apart, and then a factor of 1/8.
import { GROUP } from "../numbers.ts";

/** Rotates [64] in place. */
export function rotate(x: Float32Array): void {
  for (let apart = GROUP / 2; apart >= 1; apart /= 2) {
    for (let i = 0; i < GROUP; i++) {
      if (i & apart) continue;
      const [a, b] = [x[i] as number, x[i + apart] as number];
      x[i] = a + b;
      x[i + apart] = a - b;
    }
  }
  for (let i = 0; i < GROUP; i++) x[i] = (x[i] as number) / 8;
}
