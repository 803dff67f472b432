// The rotation of a group, with the bits of `../reference/rotation.ts`.
#ifndef GPT2_ROTATION_H
#define GPT2_ROTATION_H

/** Multiplies a group by the orthonormal Walsh–Hadamard matrix, in six stages. The first one combines numbers 32 apart. */
INLINE void rotate(float *out, const float *x) {
  enum { COUNT = GROUP / LANES };
  vf v[COUNT];
  for (int i = 0; i < COUNT; i++) v[i] = load(x + i * LANES);
  for (int apart = COUNT / 2; apart >= 1; apart /= 2) {
    for (int i = 0; i < COUNT; i++) {
      if (i & apart) continue;
      const vf a = v[i], b = v[i + apart];
      v[i] = a + b;
      v[i + apart] = a - b;
    }
  }
  for (int i = 0; i < COUNT; i++) {
#if LANES > 8
    v[i] = butterfly(v[i], 8);
#endif
    v[i] = butterfly(butterfly(butterfly(v[i], 4), 2), 1);
    store(out + i * LANES, v[i] * splat(0.125f));
  }
}

#endif
