// Packs a checkpoint's tensors into the layouts that the kernels read, a piece at a time. A piece is read into staging memory,
// widened to f32 there, and packed into its place by all threads. So no whole tensor is held outside its place.
// `kernels/reference/pack.ts` describes the layouts.
import { GptError } from "../../errors.ts";
import { type Arena, type LinearMemory, rowStride } from "../../kernels/memory.ts";
import { GROUP, PANEL } from "../../kernels/numbers.ts";
import type { Kernels, Linear, Piece } from "../../kernels/program.ts";
import type { Gpt2Config } from "../gpt2-config.ts";
import type { Tensor } from "./tensor.ts";

/** Staging memory. */
export interface Staging {
  readonly size: number; // how many numbers fit
  readonly values: number; // [size], f32
  readonly stored: number; // [size], 16-bit numbers as they are stored
  /** Address of a number that is too large for half precision. If it is 0, there was none. */
  readonly tooLarge: number;
}

const STAGED_NUMBERS = 2 ** 20;

/** There must be room for at least one group of rows of the widest matrix. */
export function allocateStaging(arena: Arena, { nEmbd, nInner }: Gpt2Config): Staging {
  const size = Math.max(STAGED_NUMBERS, GROUP * rowStride(Math.max(3 * nEmbd, nInner)));
  const [values, stored] = [arena.floats(size), arena.allocate(2 * size)];
  return { size, values, stored, tooLarge: arena.floats(1) };
}

export class Packer {
  readonly #kernels: Kernels;
  readonly #memory: LinearMemory;
  readonly #staging: Staging;

  constructor(kernels: Kernels, staging: Staging) {
    this.#kernels = kernels;
    this.#memory = kernels.memory;
    this.#staging = staging;
  }

  /** Copies a matrix [rows, width] to padded rows. A vector is one row. */
  rows(address: number, tensor: Tensor, [rows, width]: readonly [number, number]): void {
    for (const { begin, count } of this.#pieces(tensor, [rows, width], 1)) {
      for (let row = 0; row < count; row++) {
        const values = this.#memory.floats(this.#staging.values + 4 * row * width, width);
        this.#memory.floats(address + 4 * (begin + row) * rowStride(width), width).set(values);
      }
    }
  }

  /** Packs a matrix that is stored [in, out]. */
  inOut(linear: Linear, tensor: Tensor): void {
    for (const piece of this.#pieces(tensor, [linear.inWidth, linear.outWidth], GROUP)) {
      this.#kernels.packInOut(linear, this.#staging.values, piece);
      this.#kernels.run();
    }
  }

  /**
   * Packs a matrix that is stored [out, in]. If `halves` is not 0, the matrix is also stored there, in half precision.
   * @throws GptError `invalid_checkpoint` when a number is too large for half precision.
   */
  outIn(linears: readonly Linear[], tensor: Tensor, shape: readonly [number, number], halves = 0): void {
    const { values, tooLarge } = this.#staging;
    for (const piece of this.#pieces(tensor, shape, PANEL)) {
      for (const linear of linears) this.#kernels.packOutIn(linear, values, piece);
      if (halves !== 0) {
        const [address, count] = [halves + 2 * piece.begin * shape[1], piece.count * shape[1]];
        this.#kernels.narrowHalves(address, values, count, tooLarge);
      }
      this.#kernels.run();
      const value = this.#memory.f32[tooLarge >>> 2];
      if (value === 0) continue;
      throw new GptError(
        "invalid_checkpoint",
        `the embedding holds ${value}, too large for int8: use --precision f32`,
      );
    }
  }

  /** Stages a matrix in pieces. A piece has as many rows as fit, rounded down to a multiple of `multiple`. */
  *#pieces(tensor: Tensor, [rows, width]: readonly [number, number], multiple: number): Generator<Piece> {
    const fitting = Math.floor(this.#staging.size / width / multiple) * multiple;
    for (let begin = 0; begin < rows; begin += fitting) {
      const count = Math.min(fitting, rows - begin);
      this.#stage(tensor, begin * width, count * width);
      yield { begin, count };
    }
  }

  /** @throws GptError `invalid_checkpoint` for NaN or infinity: a single one would spoil every answer. */
  #stage({ dtype, read, label = "a tensor" }: Tensor, first: number, count: number): void {
    const { values, stored } = this.#staging;
    const place =
      dtype === "F32" ? this.#memory.bytes(values, 4 * count) : this.#memory.bytes(stored, 2 * count);
    read(first, place);
    const wrong = firstNotFinite(place, dtype);
    if (wrong !== undefined) {
      const problem = `${label} holds a number that is not finite at index ${first + wrong} (NaN or infinity)`;
      throw new GptError(
        "invalid_checkpoint",
        `${problem}: the checkpoint is damaged, or its training diverged`,
      );
    }
    if (dtype === "F32") return;
    this.#kernels.widen(dtype, values, stored, count);
    this.#kernels.run();
  }
}

/** The bits of the exponent. Only in NaN and infinity all of them are set. */
const EXPONENTS = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/** The index of the first number that is NaN or infinite. */
function firstNotFinite(
  { buffer, byteOffset, length }: Uint8Array,
  dtype: Tensor["dtype"],
): number | undefined {
  const exponent = EXPONENTS[dtype];
  const bits =
    dtype === "F32"
      ? new Int32Array(buffer, byteOffset, length / 4)
      : new Uint16Array(buffer, byteOffset, length / 2);
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & exponent) === exponent) return i;
  return undefined;
}
