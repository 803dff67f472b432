// Undoes outlier channels that the next matrix cancels, before weights are quantised. Where a layer norm (or the value
// part of attention) makes a channel s times larger than the others and the matrix behind it s times smaller, the
// function needs neither, but 8-bit weights suffer: the small row is rounded by the scale of its large neighbours, and
// the large activation multiplies the error. What both have in common goes back from the one to the other (as in Nagel
// et al. 2019, arXiv:1906.04721), as a power of two, so that in f32 not a bit of the function changes. It needs no text
// to calibrate on, reads a matrix only where a channel stands out, and finds nothing to do where that is for a reason.

import { mapped, numbersOf, type Tensor } from "./tensor.ts";
import type { TensorSource } from "./tensor-source.ts";

const HEAD = "lm_head.weight";
const EMBEDDING = "wte.weight";
const NORM = /^(h\.\d+\.ln_[12]|ln_f)\.(weight|bias)$/;
const BEHIND_NORM = /^(h\.\d+\.)(attn\.c_attn|mlp\.c_fc)\.weight$/;
const ATTENTION = /^(h\.\d+\.attn\.)(c_attn|c_proj)\.(weight|bias)$/;

/** The same function as `source`. */
export function equalized(source: TensorSource): TensorSource {
  const { nEmbd, tieWordEmbeddings } = source.config;
  const factors = new Factors(source);
  const headFactors = factors.ofNorm("ln_f");
  return {
    // A head that is scaled is no longer the embedding.
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
      const columns = new Float32Array(3 * nEmbd).fill(1); // queries and keys stay
      columns.set(values.map(inverse), 2 * nEmbd);
      return scaleColumns(scaleRows(tensor, rows, width), columns);
    },
  };
}

const inverse = (factor: number): number => 1 / factor;
const isOne = (factor: number): boolean => factor === 1;

/** By how much each channel's weights grow and its activations shrink: [C], powers of two. */
class Factors {
  /** The tensor that is the head. */
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
      const [gains, biases] = ["weight", "bias"].map((part) =>
        numbersOf(this.#source.tensor(`${norm}.${part}`, [nEmbd]), 0, nEmbd),
      ) as [Float32Array, Float32Array];
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
 * For every channel the power of two by which its activations exceed the median and its weights fall short of theirs, or
 * the other way round; 1 where the two do not cancel. `weightsOf` is called when some activation is far from the median.
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

/** The largest power of two that is not above `ratio`, from its bits: logarithms may differ between machines. */
function powerOfTwo(ratio: number): number {
  const [, high = 0] = new Uint32Array(Float64Array.of(ratio).buffer);
  return 2 ** ((high >>> 20) - 1023);
}

function median(values: ArrayLike<number>): number {
  return Float64Array.from(values).sort()[values.length >> 1] as number;
}

/** Of how many numbers, evenly spaced, a norm is taken: what counts is within a factor of two. */
const SAMPLED = 256;

/** Of each row of a matrix [rows, width]. */
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

/** Of each column. */
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

/** Each row times its factor; no factors: as it is. */
function scaleRows(tensor: Tensor, factors: ArrayLike<number>, width: number): Tensor {
  if (Array.from(factors).every(isOne)) return tensor;
  return mapped(tensor, (value, i) => value * (factors[Math.floor(i / width)] as number));
}

/** Each column times its factor. */
function scaleColumns(tensor: Tensor, factors: Float32Array): Tensor {
  if (factors.every(isOne)) return tensor;
  return mapped(tensor, (value, i) => value * (factors[i % factors.length] as number));
}
