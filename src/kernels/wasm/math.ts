// The exponential, the error function and the activations, on four lanes; and the tree in which partial sums are added. The
// operations are those of `../reference/math.ts`, in the same order and never fused, so the bits are the same.
import {
  EPILOGUE_GELU10, EPILOGUE_GELU_ERF, EPILOGUE_GELU_TANH, EPILOGUE_HARD_SWISH,
  EPILOGUE_LEAKY_RELU, EPILOGUE_MISH, EPILOGUE_QUICK_GELU, EPILOGUE_RELU, EPILOGUE_RELU6,
  EPILOGUE_RELU_SQUARED, EPILOGUE_SIGMOID, EPILOGUE_SILU, EPILOGUE_TANH,
} from "./numbers.generated";

/** Adds 16 partial sums (index mod 16, four lanes each) in one fixed tree: 16 → 8 → 4 → 2 → 1. */
// @ts-ignore: decorator
@inline
export function sum16(a: v128, b: v128, c: v128, d: v128): f32 {
  const eight = f32x4.add(f32x4.add(a, c), f32x4.add(b, d));
  const two = f32x4.add(eight, i8x16.shuffle(eight, eight, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1);
}

/**
 * e^x for x ≤ 88. 0 below −87. Range reduction by ln 2 in two parts, then a polynomial of degree 5 with the coefficients of
 * `expf` in the Cephes library (S. Moshier). The error is below 2 units in the last place.
 */
// @ts-ignore: decorator
@inline
export function exp(value: v128): v128 {
  const x = f32x4.min(value, f32x4.splat(88.0));
  const magic = f32x4.splat(12582912.0); // 1.5 · 2^23. Adding and subtracting it rounds to the nearest integer.
  const n = f32x4.sub(f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), magic), magic);
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(-2.12194440e-4)),
  );
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1.0));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.and(f32x4.mul(y, power), f32x4.ge(value, f32x4.splat(-87.0)));
}

/**
 * erf(x) = x·P(x²)/Q(x²) on |x| ≤ 4: the rational approximation of Eigen and XLA for single precision.
 */
// @ts-ignore: decorator
@inline
export function erf(value: v128): v128 {
  const x = f32x4.max(f32x4.min(value, f32x4.splat(4.0)), f32x4.splat(-4.0));
  const t = f32x4.mul(x, x);
  let p = f32x4.splat(-2.72614225801306e-10);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(2.77068142495902e-8));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-2.10102402082508e-6));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-5.69250639462346e-5));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-7.34990630326855e-4));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-2.9545998085402e-3));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.60960333262415e-2));
  let q = f32x4.splat(-1.45660718464996e-5);
  q = f32x4.add(f32x4.mul(q, t), f32x4.splat(-2.13374055278905e-4));
  q = f32x4.add(f32x4.mul(q, t), f32x4.splat(-1.68282697438203e-3));
  q = f32x4.add(f32x4.mul(q, t), f32x4.splat(-7.37332916720468e-3));
  q = f32x4.add(f32x4.mul(q, t), f32x4.splat(-1.42647390514189e-2));
  return f32x4.div(f32x4.mul(x, p), q);
}

/** x / (1 + e^−s), that is x times the logistic function of s. */
// @ts-ignore: decorator
@inline
function timesSigmoid(x: v128, s: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1.0), exp(f32x4.neg(s))));
}

// @ts-ignore: decorator
@inline
function geluErf(x: v128): v128 {
  const e = erf(f32x4.mul(x, f32x4.splat(0.7071067811865476)));
  return f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), f32x4.add(f32x4.splat(1.0), e));
}

// @ts-ignore: decorator
@inline
function clamp(x: v128, least: f32, most: f32): v128 {
  return f32x4.min(f32x4.max(x, f32x4.splat(least)), f32x4.splat(most));
}

/** Applies an activation. `epilogue` is its number. */
export function activate(epilogue: i32, x: v128): v128 {
  if (epilogue == EPILOGUE_GELU_TANH) {
    // 0.5·x·(1 + tanh u) = x / (1 + e^(−2u)), u = √(2/π)·(x + 0.044715·x³).
    const cube = f32x4.mul(f32x4.mul(x, x), x);
    const inner = f32x4.add(x, f32x4.mul(f32x4.splat(0.044715), cube));
    return timesSigmoid(x, f32x4.mul(f32x4.splat(1.5957691216057308), inner));
  }
  if (epilogue == EPILOGUE_GELU_ERF) return geluErf(x);
  if (epilogue == EPILOGUE_RELU) return f32x4.max(x, f32x4.splat(0.0));
  if (epilogue == EPILOGUE_SILU) return timesSigmoid(x, x);
  if (epilogue == EPILOGUE_QUICK_GELU) return timesSigmoid(x, f32x4.mul(f32x4.splat(1.702), x));
  if (epilogue == EPILOGUE_TANH) {
    // tanh x = 2 / (1 + e^(−2x)) − 1.
    const e = exp(f32x4.mul(f32x4.splat(-2.0), x));
    return f32x4.sub(f32x4.div(f32x4.splat(2.0), f32x4.add(f32x4.splat(1.0), e)), f32x4.splat(1.0));
  }
  return activateRarely(epilogue, x);
}

/** The activations that few checkpoints use. */
function activateRarely(epilogue: i32, x: v128): v128 {
  if (epilogue == EPILOGUE_GELU10) return clamp(geluErf(x), -10.0, 10.0);
  if (epilogue == EPILOGUE_RELU_SQUARED) {
    const positive = f32x4.max(x, f32x4.splat(0.0));
    return f32x4.mul(positive, positive);
  }
  if (epilogue == EPILOGUE_RELU6) return clamp(x, 0.0, 6.0);
  if (epilogue == EPILOGUE_LEAKY_RELU) return f32x4.max(x, f32x4.mul(f32x4.splat(0.01), x));
  if (epilogue == EPILOGUE_SIGMOID) return timesSigmoid(f32x4.splat(1.0), x);
  if (epilogue == EPILOGUE_HARD_SWISH) {
    const part = clamp(f32x4.add(x, f32x4.splat(3.0)), 0.0, 6.0);
    return f32x4.mul(x, f32x4.mul(part, f32x4.splat(0.16666666666666666)));
  }
  if (epilogue == EPILOGUE_MISH) {
    const e = exp(f32x4.min(x, f32x4.splat(20.0)));
    const n = f32x4.mul(e, f32x4.add(e, f32x4.splat(2.0)));
    return f32x4.mul(x, f32x4.div(n, f32x4.add(n, f32x4.splat(2.0))));
  }
  // EPILOGUE_LAPLACE
  const e = erf(f32x4.mul(f32x4.sub(x, f32x4.splat(0.707107)), f32x4.splat(2.5066264)));
  return f32x4.mul(f32x4.add(f32x4.splat(1.0), e), f32x4.splat(0.5));
}
