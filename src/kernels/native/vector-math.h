// The exponential, the error function and the activations, on whole vectors. The operations are those of `../reference/math.ts`
// in the same order, and compiled without fused multiply-add. So the bits are the same.
#ifndef GPT2_VECTOR_MATH_H
#define GPT2_VECTOR_MATH_H

/** The larger of two. NaN where either is NaN. */
INLINE vf max_of(vf a, vf b) { return if_nan(a, a, max_or_b(a, b)); }

/** Adds 16 partial sums in one fixed tree: 16 → 8 → 4 → 2 → 1. */
INLINE float sum16(const float *p) {
  float four[4];
  for (int i = 0; i < 4; i++) four[i] = (p[i] + p[i + 8]) + (p[i + 4] + p[i + 12]);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/** e^x for x ≤ 88; 0 below −87 and for NaN. */
INLINE vf exp_of(vf value) {
  const vf x = min_or_b(splat(88.0f), value);
  const vf magic = splat(12582912.0f); // 1.5 · 2^23
  const vf n = (x * splat(1.44269504088896341f) + magic) - magic;
  const vf r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
  vf p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  const vf y = (p * (r * r) + r) + splat(1.0f);
  return if_at_least(value, splat(-87.0f), y * power_of_two(n));
}

/** erf(x) = x·P(x²)/Q(x²) on |x| ≤ 4. */
INLINE vf erf_of(vf value) {
  const vf x = max_or_b(splat(-4.0f), min_or_b(splat(4.0f), value));
  const vf t = x * x;
  vf p = splat(-2.72614225801306e-10f);
  p = p * t + splat(2.77068142495902e-8f);
  p = p * t + splat(-2.10102402082508e-6f);
  p = p * t + splat(-5.69250639462346e-5f);
  p = p * t + splat(-7.34990630326855e-4f);
  p = p * t + splat(-2.9545998085402e-3f);
  p = p * t + splat(-1.60960333262415e-2f);
  vf q = splat(-1.45660718464996e-5f);
  q = q * t + splat(-2.13374052778905e-4f);
  q = q * t + splat(-1.68282697438203e-3f);
  q = q * t + splat(-7.37332916720468e-3f);
  q = q * t + splat(-1.42647390514189e-2f);
  return (x * p) / q;
}

/** x times the logistic function of s. */
INLINE vf times_sigmoid(vf x, vf s) { return x / (splat(1.0f) + exp_of(-s)); }

INLINE vf gelu_erf(vf x) { return (x * splat(0.5f)) * (splat(1.0f) + erf_of(x * splat(0.7071067811865476f))); }

INLINE vf clamp(vf x, float least, float most) { return min_or_b(splat(most), max_of(x, splat(least))); }

/** Applies an activation. `epilogue` is its number. */
static vf activate(int epilogue, vf x) {
  switch (epilogue) {
    case EPILOGUE_GELU_TANH: {
      const vf inner = x + splat(0.044715f) * ((x * x) * x);
      return times_sigmoid(x, splat(1.5957691216057308f) * inner);
    }
    case EPILOGUE_GELU_ERF:
      return gelu_erf(x);
    case EPILOGUE_RELU:
      return max_of(x, splat(0.0f));
    case EPILOGUE_SILU:
      return times_sigmoid(x, x);
    case EPILOGUE_QUICK_GELU:
      return times_sigmoid(x, splat(1.702f) * x);
    case EPILOGUE_TANH:
      return splat(2.0f) / (splat(1.0f) + exp_of(splat(-2.0f) * x)) - splat(1.0f);
    case EPILOGUE_GELU10:
      return clamp(gelu_erf(x), -10.0f, 10.0f);
    case EPILOGUE_RELU_SQUARED:
      return max_of(x, splat(0.0f)) * max_of(x, splat(0.0f));
    case EPILOGUE_RELU6:
      return clamp(x, 0.0f, 6.0f);
    case EPILOGUE_LEAKY_RELU:
      return max_of(x, splat(0.01f) * x);
    case EPILOGUE_SIGMOID:
      return times_sigmoid(splat(1.0f), x);
    case EPILOGUE_HARD_SWISH:
      return x * (clamp(x + splat(3.0f), 0.0f, 6.0f) * splat(0.16666666666666666f));
    case EPILOGUE_MISH: {
      const vf e = exp_of(min_or_b(splat(20.0f), x));
      const vf n = e * (e + splat(2.0f));
      return x * (n / (n + splat(2.0f)));
    }
    default: // EPILOGUE_LAPLACE
      return (splat(1.0f) + erf_of((x - splat(0.707107f)) * splat(2.5066264f))) * splat(0.5f);
  }
}

/** Adds the bias, if there is one, to 16 sums, applies the epilogue and stores the outputs. */
INLINE void finish(float *out, const float *sums, const float *bias, int epilogue) {
  for (int i = 0; i < PANEL; i += LANES) {
    vf y = load(sums + i);
    if (bias) y = y + load(bias + i);
    if (epilogue == EPILOGUE_ADD) y = load(out + i) + y;
    else if (epilogue != EPILOGUE_STORE) y = activate(epilogue, y);
    store(out + i, y);
  }
}

#endif
