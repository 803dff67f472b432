// Removes outlier channels that the next matrix cancels, before weights are quantised (cross-layer equalization, Nagel et al.
// 2019, arXiv:1906.04721). A layer norm, or the value part of attention, may make a channel s times larger than the others, and
// the next matrix may have s times smaller weights for it. The function would be the same without both. But 8-bit weights lose
// precision: the small weights are rounded with the scale of their large neighbours, and the large activation multiplies the
// error. So the common factor is moved from the one to the other. It is a power of two, so in f32 the function keeps every bit.
// This needs no calibration text. A matrix is read only if a channel stands out. A channel whose weights are not small is left
// as it is.

import { mapped, numbersOf, type Tensor } from "./tensor.ts";
import type { TensorSource } from "./tensor-source.ts";

const HEAD = "lm_head.weight";
const EMBEDDING = "wte.weight";
const NORM = /^(h\.\d+\.ln_[12]|ln_f)\.(weight|bias)$/;
const BEHIND_NORM = /^(h\.\d+\.)(attn\.c_attn|mlp\.c_fc)\.weight$/;
const ATTENTION = /^(h\.\d+\.attn\.)(c_attn|c_proj)\.(weight|bias)$/;

/** Tensors that compute the same function as those of `source`. */
export function equalized(source: TensorSource): TensorSource {
  const { nEmbd, tieWordEmbeddings } = source.config;
  const factors = new Factors(source);
  const headFactors = factors.ofNorm("ln_f");
  return {
    // A scaled head is no longer the same matrix as the embedding.
    config: { ...source.config, tieWordEmbeddings: tieWordEmbeddings && headFactors.every(isOne) },
    tensor(name, shape) {
      if (name === HEAD) return scaleColumns(source.tensor(factors.head, shape), headFactors);
      const tensor = source.tensor(name, shape);
      const norm = NORM.exec(name)?.[1];
      if (norm !== undefined) return scaleColumns(tensor, factors.ofNorm(norm).map(inverse));
      const width = shape.at(-1) as number;
      const behind = BEHIND_NORM.exec(name);
      const rows = behind ? factors.ofNorm(`${behind[1]}${behind[2] === "mlp.c_fc" ? "ln_2" : "ln_1"}`) : [];
      const [, attention, matrix, part] = ATTENTION.exec(name) ?? [];
      if (attention === undefined) return scaleRows(tensor, rows, width);
      const values = factors.ofValues(attention); // [C]
      if (matrix === "c_proj") return part === "weight" ? scaleRows(tensor, values, width) : tensor;
      const columns = new Float32Array(3 * nEmbd).fill(1); // queries and keys are not scaled
      columns.set(values.map(inverse), 2 * nEmbd);
      return scaleColumns(scaleRows(tensor, rows, width), columns);
    },
  };
}

const inverse = (factor: number): number => 1 / factor;
const isOne = (factor: number): boolean => factor === 1;

/** The factor of each channel, [C], powers of two: its weights are multiplied by it, and its activations divided by it. */
class Factors {
  /** The name of the tensor that is the output head. */
  readonly head: string;
  readonly #source: TensorSource;
  readonly #known = new Map<string, Float32Array>();

  constructor(source: TensorSource) {
    this.#source = source;
    this.head = source.config.tieWordEmbeddings ? EMBEDDING : HEAD;
  }

  /** Between a layer norm and the matrix behind it. */
  ofNorm(norm: string): Float32Array {
    return this.#once(norm, () => {
      const { nEmbd, nInner, vocabSize } = this.#source.config;
      const gains = numbersOf(this.#source.tensor(`${norm}.weight`, [nEmbd]), 0, nEmbd);
      const biases = numbersOf(this.#source.tensor(`${norm}.bias`, [nEmbd]), 0, nEmbd);
      const activations = gains.map((g, k) =>
        Math.sqrt(g * g + (biases[k] as number) * (biases[k] as number)),
      ); // √E[(g·x̂ + b)²] if E[x̂²] = 1
      return commonFactors(activations, () => {
        if (norm === "ln_f") return columnNorms(this.#source, this.head, [vocabSize, nEmbd]);
        return norm.endsWith("1")
          ? rowNorms(this.#source, norm.replace("ln_1", "attn.c_attn.weight"), [nEmbd, 3 * nEmbd])
          : rowNorms(this.#source, norm.replace("ln_2", "mlp.c_fc.weight"), [nEmbd, nInner]);
      });
    });
  }

  /** Between the values of an attention and its projection. */
  ofValues(attention: string): Float32Array {
    return this.#once(attention, () => {
      const { nEmbd } = this.#source.config;
      const qkv = columnNorms(this.#source, `${attention}c_attn.weight`, [nEmbd, 3 * nEmbd]);
      return commonFactors(qkv.subarray(2 * nEmbd), () =>
        rowNorms(this.#source, `${attention}c_proj.weight`, [nEmbd, nEmbd]),
      );
    });
  }

  #once(key: string, make: () => Float32Array): Float32Array {
    const factors = this.#known.get(key) ?? make();
    this.#known.set(key, factors);
    return factors;
  }
}

/**
 * The factor of each channel: the largest power of two by which its activations are above the median of all channels and its
 * weights are below theirs; or the other way round. 1 if the two do not cancel. `weightsOf` is called only if the activations of
 * some channel are far from the median.
 */
export function commonFactors(
  activations: ArrayLike<number>,
  weightsOf: () => ArrayLike<number>,
): Float32Array {
  const activation = median(activations);
  const excesses = Float64Array.from(activations, (value) => value / activation);
  if (!excesses.some((excess) => excess >= 2 || excess <= 0.5))
    return new Float32Array(excesses.length).fill(1);
  const weights = weightsOf();
  const weight = median(weights);
  return Float32Array.from(excesses, (excess, k) => {
    const shortfall = weight / (weights[k] as number);
    if (excess === 0 || shortfall === Number.POSITIVE_INFINITY) return 1; // a channel of zeros
    if (excess > 1 && shortfall > 1) return powerOfTwo(Math.min(excess, shortfall));
    if (excess < 1 && shortfall < 1) return 1 / powerOfTwo(Math.min(1 / excess, 1 / shortfall));
    return 1;
  });
}

/** The largest power of two that is not above `ratio`. It is read from the bits, since logarithms may differ between machines. */
function powerOfTwo(ratio: number): number {
  const [, high = 0] = new Uint32Array(Float64Array.of(ratio).buffer);
  return 2 ** ((high >>> 20) - 1023);
}

function median(values: ArrayLike<number>): number {
  return Float64Array.from(values).sort()[values.length >> 1] as number;
}

/** A norm is computed from about so many evenly spaced numbers. Only a factor of two matters. */
const SAMPLED = 256;

/** The norm of each row of a matrix [rows, width]. */
function rowNorms(source: TensorSource, name: string, shape: readonly [number, number]): Float64Array {
  const [rows, width] = shape;
  const tensor = source.tensor(name, shape);
  const step = Math.ceil(width / SAMPLED);
  return Float64Array.from({ length: rows }, (_, row) => {
    const numbers = numbersOf(tensor, row * width, width);
    let sum = 0;
    for (let i = row % step; i < width; i += step) sum += (numbers[i] as number) * (numbers[i] as number);
    return Math.sqrt(sum);
  });
}

/** The norm of each column of a matrix [rows, width]. */
function columnNorms(source: TensorSource, name: string, shape: readonly [number, number]): Float64Array {
  const [rows, width] = shape;
  const tensor = source.tensor(name, shape);
  const sums = new Float64Array(width);
  for (let row = 0; row < rows; row += Math.ceil(rows / SAMPLED)) {
    const numbers = numbersOf(tensor, row * width, width);
    for (let k = 0; k < width; k++)
      sums[k] = (sums[k] as number) + (numbers[k] as number) * (numbers[k] as number);
  }
  return sums.map(Math.sqrt);
}

/** Multiplies each row by its factor. Without factors the tensor stays as it is. */
function scaleRows(tensor: Tensor, factors: ArrayLike<number>, width: number): Tensor {
  if (Array.from(factors).every(isOne)) return tensor;
  return mapped(tensor, (value, i) => value * (factors[Math.floor(i / width)] as number));
}

/** Multiplies each column by its factor. */
function scaleColumns(tensor: Tensor, factors: Float32Array): Tensor {
  if (factors.every(isOne)) return tensor;
  return mapped(tensor, (value, i) => value * (factors[i % factors.length] as number));
}
