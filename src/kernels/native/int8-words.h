// Activations as words of 16 bits, both 14-bit and rotated 8-bit ones, for processors that have exact dot products of words
// only. A tile of rows has [K'/64] groups of [16 quads][rows][4] words.
#ifndef GPT2_INT8_WORDS_H
#define GPT2_INT8_WORDS_H

/** Bytes of a group of one row. */
#define GROUP_BYTES(is_rotated) (GROUP * sizeof(int16_t))

/** Quantises a group, for row `r` of the `rows` at `to`. Returns the scale. */
INLINE float quantize_group(const int is_rotated, uint8_t *to, size_t rows, size_t r, const float *x) {
  const float limit = LIMIT(is_rotated);
  const float top = largest_magnitude(x);
  const vf inverse = splat(inverse_of(top, limit));
  int16_t words[GROUP];
  for (int i = 0; i < GROUP; i += LANES) store_words(words + i, scaled_numbers(load(x + i), inverse));
  int16_t *q = (int16_t *)to + QUAD * r;
  for (size_t quad = 0; quad < QUADS; quad++) memcpy(q + quad * QUAD * rows, words + QUAD * quad, QUAD * sizeof(int16_t));
  return top / limit;
}

/** Multiplies one group of `rows` rows by one block, and adds the results to `sums`, [rows][outputs]. */
INLINE void add_group(const int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block) {
  for (int h = 0; h < BLOCK; h += LANES) {
    vi a[INT8_ROWS], b[INT8_ROWS];
    for (int r = 0; r < rows; r++) a[r] = b[r] = zero();
#pragma GCC unroll 4
    for (int quad = 0; quad < QUADS; quad++) {
      const int8_t *w = block + quad * QUAD_STEP + h * QUAD;
      const vi low = widen(w);
      const vi high = widen(w + 2 * LANES);
      for (int r = 0; r < rows; r++) {
        const vi x = splat4(q + (quad * rows + r) * QUAD);
        a[r] = dot(a[r], low, x);
        b[r] = dot(b[r], high, x);
      }
    }
    const vf weight_scales = load((const float *)(block + BLOCK_SCALES) + h);
    for (int r = 0; r < rows; r++) {
      float *sum = sums + r * BLOCK + h;
      store(sum, load(sum) + to_float(add_pairs(a[r], b[r])) * (weight_scales * splat(scales[r])));
    }
  }
}

/** A tile of rows by all groups of 16 outputs, whose blocks lie one after another. */
INLINE void add_groups(const int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block,
                       int groups, struct ahead *ahead) {
  for (int i = 0; i < rows * BLOCK; i += LANES) store(sums + i, splat(0.0f));
  for (int group = 0; group < groups; group++) {
    prefetch_step(ahead);
    add_group(rows, sums, q, scales, block);
    q += GROUP * rows;
    scales += rows;
    block += BLOCK_BYTES;
  }
}

APART void multiply_words(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,
                           struct ahead *ahead) {
  switch (rows) {
#define ROWS(n) \
  case n: \
    add_groups(n, sums, q, scales, block, groups, ahead); \
    break;
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
#undef ROWS
  }
}

#define multiply_int8 multiply_words
#define multiply_rotated multiply_words

#endif
