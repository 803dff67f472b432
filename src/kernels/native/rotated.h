// y = x·W + b with rotated 8-bit weights and activations, with the bits of `../reference/int8.ts` and `../reference/rotation.ts`.
// If the processor has dot products of bytes, activations are stored as bytes. Then a tile of rows has [K'/64] groups, each of
// [quads][rows][4] bytes and [rows] integers, with which the sums of the group begin. On other processors the layout and the
// product are those of 14-bit activations.
#ifndef GPT2_ROTATED_H
#define GPT2_ROTATED_H

#define LARGEST_ROTATED ((float)ROTATED_MAX)

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

#if HAS_BYTE_DOTS

/** Bytes of one row's group: its numbers, and the integer with which its sums begin. */
#define BYTES_OF_GROUP (GROUP + sizeof(int32_t))

/**
 * Quantises a group to bytes, for row `r` of `rows`, and stores −128 times their sum. The instruction needs unsigned weights, so
 * 128 is added to each; the stored number cancels that. Returns the scale.
 */
INLINE float quantize_bytes(int8_t *q, size_t rows, size_t r, const float *x) {
  const float top = largest_magnitude(x);
  const vf inverse = splat(inverse_of(top, LARGEST_ROTATED));
  int8_t bytes[GROUP];
  for (int i = 0; i < GROUP; i += LANES) {
    const vf scaled = load(x + i) * inverse;
    store_bytes(bytes + i, if_nan(scaled, splat(0.0f), scaled));
  }
  const vi ones = _mm512_set1_epi8(1);
  const int32_t begin = -128 * sum_of_ints(_mm512_dpbusd_epi32(zero(), ones, load_bits(bytes)));
  for (int quad = 0; quad < QUADS; quad++) memcpy(q + ((size_t)quad * rows + r) * QUAD, bytes + QUAD * quad, QUAD);
  memcpy(q + (size_t)GROUP * rows + r * sizeof(begin), &begin, sizeof(begin));
  return top / LARGEST_ROTATED;
}

/** A tile of rows by all groups of 16 outputs, whose blocks lie one after another. */
INLINE void add_byte_groups(const int rows, float *sums, const int8_t *q, const float *scales, const int8_t *block,
                            int groups, struct ahead *ahead) {
  vf sum[INT8_ROWS];
  for (int r = 0; r < rows; r++) sum[r] = splat(0.0f);
  for (int group = 0; group < groups; group++) {
    prefetch_step(ahead);
    vi whole[INT8_ROWS];
    const int32_t *begins = (const int32_t *)(q + GROUP * rows);
    for (int r = 0; r < rows; r++) whole[r] = splat_int(begins[r]);
#pragma GCC unroll 4
    for (int quad = 0; quad < QUADS; quad++) {
      const vi w = without_sign(load_bits(block + quad * QUAD_STEP));
      for (int r = 0; r < rows; r++) whole[r] = dot_bytes(whole[r], w, q + (quad * rows + r) * QUAD);
    }
    const vf weight_scales = load((const float *)(block + BLOCK_SCALES));
    for (int r = 0; r < rows; r++) sum[r] = sum[r] + to_float(whole[r]) * (weight_scales * splat(scales[r]));
    q += BYTES_OF_GROUP * (size_t)rows;
    scales += rows;
    block += BLOCK_BYTES;
  }
  for (int r = 0; r < rows; r++) store(sums + r * BLOCK, sum[r]);
}

APART void multiply_bytes(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,
                           struct ahead *ahead) {
  switch (rows) {
#define ROWS(n) \
  case n: \
    add_byte_groups(n, sums, q, scales, block, groups, ahead); \
    break;
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#undef ROWS
  }
}

#else
#define BYTES_OF_GROUP WORDS_OF_GROUP
#define multiply_bytes multiply_words
#endif

INLINE float rotate_and_quantize(uint8_t *to, size_t rows, size_t r, const float *x, int count) {
  float rotated[GROUP];
  rotate(rotated, whole_group(rotated, x, count));
#if HAS_BYTE_DOTS
  return quantize_bytes((int8_t *)to, rows, r, rotated);
#else
  return quantize_words((int16_t *)to + QUAD * r, QUAD * rows, rotated, LARGEST_ROTATED);
#endif
}

static void quantize_rotated(uint8_t *memory, const struct quantize_rotated_instruction *a, int first, int last) {
  const struct quantization rows = {at(memory, a->x), at(memory, a->values), at(memory, a->scales), a->rows, a->width};
  quantize_rows(rows, first, last, rotate_and_quantize, BYTES_OF_GROUP);
}

static void matmul_rotated(uint8_t *memory, const struct matmul_int8_instruction *a, int first, int last) {
  multiply_blocks(memory, a, first, last, multiply_bytes, BYTES_OF_GROUP);
}

#endif
