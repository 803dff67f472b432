// The definition of the arithmetic, one number at a time, in the order of operations that all kernels use. Every product, sum,
// quotient and root is rounded to f32. `Math.fround` of a double result is the correctly rounded f32 result.
import { EPILOGUE } from "../numbers.ts";
import { ACTIVATIONS, type Activation } from "../program.ts";

const f = Math.fround;

/** Adds 16 partial sums in one fixed tree: 16 → 8 → 4 → 2 → 1. */
export function sum16(s: Float32Array): number {
  const at = (i: number): number => s[i] as number;
  const eight = Array.from({ length: 8 }, (_, i) => f(at(i) + at(i + 8)));
  const four = Array.from({ length: 4 }, (_, i) => f((eight[i] as number) + (eight[i + 4] as number)));
  return f(f((four[0] as number) + (four[2] as number)) + f((four[1] as number) + (four[3] as number)));
}

/** Σ term(i) for i < count, as 16 partial sums by index mod 16. */
export function partialSums(count: number, term: (index: number) => number): number {
  const sums = new Float32Array(16);
  for (let i = 0; i < count; i++) sums[i & 15] = (sums[i & 15] as number) + term(i);
  return sum16(sums);
}

function horner(coefficients: readonly number[], x: number): number {
  let sum = f(coefficients[0] as number);
  for (const c of coefficients.slice(1)) sum = f(f(sum * x) + f(c));
  return sum;
}

// Cephes `expf` (S. Moshier).
const EXP = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
];

/** 2^n for −126 ≤ n ≤ 127, made from its bits. */
function power(n: number): number {
  return new Float32Array(Int32Array.of((n + 127) << 23).buffer)[0] as number;
}

/** e^x for x ≤ 88. 0 below −87. */
export function exp(value: number): number {
  if (!(value >= -87)) return 0;
  const x = Math.min(value, 88);
  const magic = 12582912;
  const n = f(f(f(x * f(Math.LOG2E)) + magic) - magic);
  const r = f(f(x - f(n * f(0.693359375))) - f(n * f(-2.1219444e-4)));
  const y = f(f(f(horner(EXP, r) * f(r * r)) + r) + 1);
  return f(y * power(n));
}

// The rational approximation of Eigen and XLA for single precision, on |x| ≤ 4.
const ERF_P = [
  -2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5,
  -7.34990630326855e-4, -2.9545998085402e-3, -1.60960333262415e-2,
];
const ERF_Q = [
  -1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3,
  -1.42647390514189e-2,
];

export function erf(value: number): number {
  const x = Math.max(Math.min(value, 4), -4);
  const t = f(x * x);
  return f(f(x * horner(ERF_P, t)) / horner(ERF_Q, t));
}

/** x / (1 + e^−s) */
function timesSigmoid(x: number, s: number): number {
  return f(x / f(1 + exp(-s)));
}

function geluTanh(x: number): number {
  const inner = f(x + f(f(0.044715) * f(f(x * x) * x)));
  return timesSigmoid(x, f(f(1.5957691216057308) * inner));
}

function tanh(x: number): number {
  return f(f(2 / f(1 + exp(f(-2 * x)))) - 1);
}

function geluErf(x: number): number {
  return f(f(x * 0.5) * f(1 + erf(f(x * f(Math.SQRT1_2)))));
}

function clamp(x: number, least: number, most: number): number {
  return Math.min(Math.max(x, least), most);
}

/** x · tanh(ln(1 + e^x)) = x · n / (n + 2) with n = e^x (e^x + 2). From x = 20 on, the quotient is 1. */
function mish(x: number): number {
  const e = exp(Math.min(x, 20));
  const n = f(e * f(e + 2));
  return f(x * f(n / f(n + 2)));
}

/** The distribution function of a normal variable with mean 0.707107 and deviation 0.282095. */
function laplace(x: number): number {
  return f(f(1 + erf(f(f(x - f(LAPLACE_MEAN)) * f(LAPLACE_SCALE)))) * 0.5);
}

// biome-ignore lint/suspicious/noApproximativeNumericConstant: the paper rounds √½ here, and so does everybody.
const LAPLACE_MEAN = 0.707107;
/** 1 / (0.282095 · √2) */
const LAPLACE_SCALE = 2.5066264;

export const ACTIVATE: Record<Activation, (x: number) => number> = {
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  gelu: geluErf,
  relu: (x) => Math.max(x, 0),
  silu: (x) => timesSigmoid(x, x),
  swish: (x) => timesSigmoid(x, x),
  tanh,
  quick_gelu: (x) => timesSigmoid(x, f(f(1.702) * x)),
  gelu_10: (x) => clamp(geluErf(x), -10, 10),
  relu2: (x) => f(Math.max(x, 0) * Math.max(x, 0)),
  relu6: (x) => clamp(x, 0, 6),
  leaky_relu: (x) => Math.max(x, f(f(0.01) * x)),
  linear: (x) => x,
  sigmoid: (x) => timesSigmoid(1, x),
  hardswish: (x) => f(x * f(clamp(f(x + 3), 0, 6) * f(1 / 6))),
  mish,
  laplace,
};

/** The function of an epilogue's number: from a finished sum and the output's previous value to its new value. */
export function epilogueOf(number: number): (sum: number, before: number) => number {
  if (number === EPILOGUE.store) return (sum) => sum;
  if (number === EPILOGUE.add) return (sum, before) => f(before + sum);
  const name = (Object.keys(ACTIVATIONS) as Activation[]).find(
    (activation) => ACTIVATIONS[activation] === number,
  );
  return ACTIVATE[name as Activation];
}
