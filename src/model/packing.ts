// From a checkpoint's matrices to the layouts that the kernels read. f32: panels of 16 outputs, [N/16][K][16]. int8:
// blocks of four outputs by a group of 64 along k, [N/4][K/64], each 4 × 64 weights and then the four scales.
// Everything is padded with zeros.
import { GptError } from "../errors.ts";
import { HALF_MAX, toHalf } from "../kernels/half.ts";
import { type LinearMemory, rowStride } from "../kernels/memory.ts";
import { BLOCK, BLOCK_BYTES, GROUP, type Linear, PANEL, WEIGHT_MAX } from "../kernels/program.ts";
import type { Precision } from "./weights.ts";

/** Bytes of a packed matrix. */
export function linearBytes(precision: Precision, inWidth: number, outWidth: number): number {
  if (precision === "f32") return 4 * inWidth * rowStride(outWidth);
  return Math.ceil(outWidth / BLOCK) * Math.ceil(inWidth / GROUP) * BLOCK_BYTES;
}

/** Packs a matrix that is stored [in, out]. */
export function packInOut(memory: LinearMemory, linear: Linear, matrix: Float32Array): void {
  const { inWidth, outWidth } = linear;
  if (linear.kind === "int8") {
    packInt8(memory, linear, matrix, { k: outWidth, n: 1 });
    return;
  }
  const panels = memory.floats(linear.weight, inWidth * rowStride(outWidth));
  for (let first = 0; first < outWidth; first += PANEL) {
    const last = Math.min(first + PANEL, outWidth);
    for (let k = 0; k < inWidth; k++) {
      panels.set(matrix.subarray(k * outWidth + first, k * outWidth + last), first * inWidth + k * PANEL);
    }
  }
}

/** Packs a matrix that is stored [out, in]. */
export function packOutIn(memory: LinearMemory, linear: Linear, matrix: Float32Array): void {
  const { inWidth, outWidth } = linear;
  if (linear.kind === "int8") {
    packInt8(memory, linear, matrix, { k: 1, n: inWidth });
    return;
  }
  const panels = memory.floats(linear.weight, inWidth * rowStride(outWidth));
  for (let n = 0; n < outWidth; n++) {
    const panel = Math.floor(n / PANEL) * PANEL * inWidth + (n % PANEL);
    for (let k = 0; k < inWidth; k++) panels[panel + k * PANEL] = matrix[n * inWidth + k] as number;
  }
}

/** Quantises a matrix whose element (k, n) is at k · stride.k + n · stride.n; the largest of a group sets its scale. */
function packInt8(
  memory: LinearMemory,
  { weight, inWidth, outWidth }: Linear,
  matrix: Float32Array,
  stride: { readonly k: number; readonly n: number },
): void {
  const groups = Math.ceil(inWidth / GROUP);
  const bytes = new Int8Array(memory.wasm.buffer, weight, linearBytes("int8", inWidth, outWidth));
  const scales = memory.floats(weight, bytes.length / 4);
  for (let n = 0; n < outWidth; n++) {
    const lane = n % BLOCK;
    for (let group = 0; group < groups; group++) {
      const block = (Math.floor(n / BLOCK) * groups + group) * BLOCK_BYTES;
      const first = group * GROUP;
      const last = Math.min(first + GROUP, inWidth);
      let largest = 0;
      for (let k = first; k < last; k++) {
        const magnitude = Math.abs(matrix[k * stride.k + n * stride.n] as number);
        if (magnitude > largest) largest = magnitude;
      }
      const inverse = largest > 0 ? WEIGHT_MAX / largest : 0;
      const at = block + lane * GROUP - first;
      for (let k = first; k < last; k++) {
        bytes[at + k] = Math.round((matrix[k * stride.k + n * stride.n] as number) * inverse);
      }
      scales[(block + BLOCK * GROUP) / 4 + lane] = largest / WEIGHT_MAX;
    }
  }
}

/** Stores a matrix in half precision. */
export function packHalves(memory: LinearMemory, address: number, matrix: Float32Array): void {
  const halves = new Uint16Array(memory.wasm.buffer, address, matrix.length);
  for (let i = 0; i < matrix.length; i++) {
    const value = matrix[i] as number;
    if (!(Math.abs(value) <= HALF_MAX)) {
      throw new GptError(
        "invalid_checkpoint",
        `the embedding holds ${value}, too large for int8: use --precision f32`,
      );
    }
    halves[i] = toHalf(value);
  }
}
