// Activations as bytes, for processors that have dot products of bytes. One instruction then multiplies twice as many pairs as
// one on words does. Rotated activations are bytes already. A 14-bit one is split in two, x = 128·high + low, and takes two
// instructions. That is as many as words take, but the weights need no widening. A tile of rows has [K'/64] groups. Each has one
// or two planes of bytes, high before low, [16 quads][rows][4], and then [rows] integers, with which the sums of the group begin.
#ifndef GPT2_INT8_BYTES_H
#define GPT2_INT8_BYTES_H

#define LOW_BITS 7

/** Bytes of a group of one row. */
#define GROUP_BYTES(is_rotated) ((size_t)((is_rotated) ? 1 : 2) * GROUP + sizeof(int32_t))

/** Copies a row's quads to their places in a plane of `rows` rows. */
INLINE void scatter_quads(uint8_t *plane, size_t rows, size_t r, const int8_t *bytes) {
  for (size_t quad = 0; quad < QUADS; quad++) memcpy(plane + (quad * rows + r) * QUAD, bytes + quad * QUAD, QUAD);
}

/**
 * Quantises a group, for row `r` of the `rows` at `to`, and stores −128 times the sum of its integers. The instruction needs
 * unsigned weights, so 128 is added to each, and the stored number cancels that. Returns the scale.
 */
INLINE float quantize_group(const int is_rotated, uint8_t *to, size_t rows, size_t r, const float *x) {
  const float limit = LIMIT(is_rotated);
  const float top = largest_magnitude(x);
  const vf inverse = splat(inverse_of(top, limit));
  int8_t high[GROUP], low[GROUP];
  vi sum = zero();
  for (int i = 0; i < GROUP; i += LANES) {
    const vi whole = to_ints(scaled_numbers(load(x + i), inverse));
    sum = add_ints(sum, whole);
    store_low_bytes(low + i, is_rotated ? whole : low_bits(whole, LOW_BITS));
    if (!is_rotated) store_low_bytes(high + i, shift_right(whole, LOW_BITS));
  }
  if (!is_rotated) {
    scatter_quads(to, rows, r, high);
    to += GROUP * rows;
  }
  scatter_quads(to, rows, r, low);
  const int32_t begin = -128 * sum_of_ints(sum);
  memcpy(to + GROUP * rows + r * sizeof(begin), &begin, sizeof(begin));
  return top / limit;
}

/** Multiplies `planes` planes of `rows` rows by a block, and adds the results to `sums`, [planes][rows]. */
INLINE void add_planes(const int planes, const int rows, vi *sums, const int8_t *q, const int8_t *block) {
#pragma GCC unroll 4
  for (int quad = 0; quad < QUADS; quad++) {
    const vi w = without_sign(load_bits(block + quad * QUAD_STEP));
    for (int p = 0; p < planes; p++) {
      const int8_t *plane = q + p * GROUP * rows;
      for (int r = 0; r < rows; r++) sums[p * rows + r] = dot_bytes(sums[p * rows + r], w, plane + (quad * rows + r) * QUAD);
    }
  }
}

/** Multiplies one group of `rows` rows by one block. The integer sums, [rows], are exact. */
INLINE void sum_group(const int is_rotated, const int rows, vi *sums, const int8_t *q, const int8_t *block) {
  // An addition to a sum waits for the one before it. With few rows, both planes together keep more sums in flight.
  const int planes = !is_rotated && 2 * rows <= INT8_ROWS ? 2 : 1;
  const int32_t *begins = (const int32_t *)(q + (is_rotated ? 1 : 2) * GROUP * rows);
  vi high[INT8_ROWS];
  for (int i = 0; i < planes * rows; i++) high[i] = zero();
  add_planes(planes, rows, high, q, block);
  for (int r = 0; r < rows; r++) {
    sums[r] = splat_int(begins[r]);
    if (is_rotated) sums[r] = add_ints(sums[r], high[r]);
    else sums[r] = add_ints(sums[r], shift_left(high[r], LOW_BITS));
    if (planes == 2) sums[r] = add_ints(sums[r], high[rows + r]);
  }
  if (!is_rotated && planes == 1) add_planes(1, rows, sums, q + GROUP * rows, block);
}

/** A tile of rows by all groups of 16 outputs, whose blocks lie one after another. */
INLINE void add_groups(const int is_rotated, const int rows, float *sums, const int8_t *q, const float *scales,
                       const int8_t *block, int groups, struct ahead *ahead) {
  vf sum[INT8_ROWS];
  for (int r = 0; r < rows; r++) sum[r] = splat(0.0f);
  for (int group = 0; group < groups; group++) {
    prefetch_step(ahead);
    vi whole[INT8_ROWS];
    sum_group(is_rotated, rows, whole, q, block);
    const vf weight_scales = load((const float *)(block + BLOCK_SCALES));
    for (int r = 0; r < rows; r++) sum[r] = sum[r] + to_float(whole[r]) * (weight_scales * splat(scales[r]));
    q += GROUP_BYTES(is_rotated) * (size_t)rows;
    scales += rows;
    block += BLOCK_BYTES;
  }
  for (int r = 0; r < rows; r++) store(sums + r * BLOCK, sum[r]);
}

#define MULTIPLY(name, is_rotated)                                                                                    \
  APART void name(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,         \
                  struct ahead *ahead) {                                                                              \
    switch (rows) {                                                                                                   \
      ROWS(is_rotated, 1) ROWS(is_rotated, 2) ROWS(is_rotated, 3) ROWS(is_rotated, 4) ROWS(is_rotated, 5)             \
      ROWS(is_rotated, 6) ROWS(is_rotated, 7) ROWS(is_rotated, 8) ROWS(is_rotated, 9) ROWS(is_rotated, 10)            \
      ROWS(is_rotated, 11) ROWS(is_rotated, 12)                                                                       \
    }                                                                                                                 \
  }
#define ROWS(is_rotated, n)                                                                                           \
  case n:                                                                                                             \
    add_groups(is_rotated, n, sums, q, scales, block, groups, ahead);                                                 \
    break;
MULTIPLY(multiply_int8, 0)
MULTIPLY(multiply_rotated, 1)
#undef ROWS
#undef MULTIPLY

#endif
