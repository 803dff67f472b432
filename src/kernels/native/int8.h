// y = x·W + b with 8-bit weights and 14-bit activations, with the bits of `../reference/int8.ts`. A vector's lanes are outputs.
// Quantised activations are stored in the order in which a tile of rows reads them: for each tile [K'/4][rows][4] words, and
// [K'/64][rows] scales. The layout of weights is described in `../wasm/int8.ts`.
#ifndef GPT2_INT8_H
#define GPT2_INT8_H

#define QUADS (GROUP / QUAD)     // of k in a group
#define QUAD_STEP (QUAD * BLOCK) // bytes from one quad of weights of an output to its next quad
#define LARGEST ((float)ACTIVATION_MAX)

/** The factor for a group whose largest magnitude is `top`. 0 if that is too small, or 0, so that all numbers become 0. */
INLINE float inverse_of(float top, float limit) {
  const float quotient = limit / top;
  return quotient < __builtin_inff() ? quotient : 0.0f;
}

/** The largest magnitude of a group. NaN if any number is NaN. */
INLINE float largest_magnitude(const float *x) {
  vi largest = zero();
  for (int i = 0; i < GROUP; i += LANES) largest = larger_bits(largest, absolute(load(x + i)));
  return largest_of_bits(largest);
}

/** Quantises a group to integers up to `limit`, as words. A quad is `stride` words from the next one. Returns the scale. */
INLINE float quantize_words(int16_t *q, size_t stride, const float *x, float limit) {
  const float top = largest_magnitude(x);
  const vf inverse = splat(inverse_of(top, limit));
  int16_t words[GROUP];
  for (int i = 0; i < GROUP; i += LANES) {
    const vf scaled = load(x + i) * inverse;
    store_words(words + i, if_nan(scaled, splat(0.0f), scaled));
  }
  for (int quad = 0; quad < QUADS; quad++) memcpy(q + quad * stride, words + QUAD * quad, QUAD * sizeof(int16_t));
  return top / limit;
}

/** `x` itself if it is a whole group. Otherwise a copy of its `count` numbers, padded with zeros. */
INLINE const float *whole_group(float *copy, const float *x, int count) {
  if (count == GROUP) return x;
  memset(copy, 0, GROUP * sizeof(float));
  memcpy(copy, x, (size_t)count * sizeof(float));
  return copy;
}

/** Bytes of one row's group of words. */
#define WORDS_OF_GROUP (GROUP * sizeof(int16_t))

/**
 * Quantises a group of `count` numbers, of row `r` in a tile of `rows` rows, and returns its scale. `to`: the group of the whole
 * tile.
 */
typedef float quantize_group(uint8_t *to, size_t rows, size_t r, const float *x, int count);

/** What `quantize_rows` reads and writes: x[rows, width], values and scales. */
struct quantization {
  const float *x;
  uint8_t *values;
  float *scales;
  int rows;
  int width;
};

/** Quantises groups `first` to `last` of all rows. A group of one row takes `group_bytes` of the values. */
INLINE void quantize_rows(struct quantization a, int first, int last, quantize_group *quantize, size_t group_bytes) {
  const size_t groups = (size_t)count_groups(a.width);
  const size_t stride = row_stride(a.width);
  const int tile = tile_rows(a.rows, INT8_ROWS);
  for (int start = 0; start < a.rows; start += tile) {
    const size_t count = (size_t)smaller(a.rows - start, tile);
    uint8_t *values = a.values + (size_t)start * groups * group_bytes;
    float *scales = a.scales + (size_t)start * groups;
    for (int group = first; group < last; group++) {
      const int k = group * GROUP;
      uint8_t *to = values + (size_t)group * count * group_bytes;
      for (size_t r = 0; r < count; r++) {
        const float *x = a.x + ((size_t)start + r) * stride + k;
        scales[(size_t)group * count + r] = quantize(to, count, r, x, smaller(a.width - k, GROUP));
      }
    }
  }
}

INLINE float quantize_plain(uint8_t *to, size_t rows, size_t r, const float *x, int count) {
  float copy[GROUP];
  return quantize_words((int16_t *)to + QUAD * r, QUAD * rows, whole_group(copy, x, count), LARGEST);
}

static void quantize(uint8_t *memory, const struct quantize_instruction *a, int first, int last) {
  const struct quantization rows = {at(memory, a->x), at(memory, a->values), at(memory, a->scales), a->rows, a->width};
  quantize_rows(rows, first, last, quantize_plain, WORDS_OF_GROUP);
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

/** Weights to prefetch: those of the next 16 outputs. `step` bytes of them are prefetched with each group. */
struct ahead {
  const int8_t *next;
  size_t step;
};

INLINE void prefetch_step(struct ahead *ahead) {
  for (size_t byte = 0; byte < ahead->step; byte += LINE_BYTES) __builtin_prefetch(ahead->next + byte, 0, 2);
  ahead->next += ahead->step;
}

/** A tile of rows by all groups of 16 outputs, whose blocks lie one after another. */
INLINE void add_groups(const int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block,
                       int groups, struct ahead *ahead) {
  for (int r = 0; r < rows; r++) {
    for (int h = 0; h < BLOCK; h += LANES) store(sums + r * BLOCK + h, splat(0.0f));
  }
  for (int group = 0; group < groups; group++) {
    prefetch_step(ahead);
    add_group(rows, sums, q, scales, block);
    q += GROUP * rows;
    scales += rows;
    block += BLOCK_BYTES;
  }
}

/** Multiplies a tile of rows, whose groups are at `q`, by all groups of 16 outputs. Writes `sums`, [rows][outputs]. */
typedef void multiply_tile(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,
                           struct ahead *ahead);

APART void multiply_words(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,
                           struct ahead *ahead) {
  switch (rows) {
#define ROWS(n) \
  case n: \
    add_groups(n, sums, q, scales, block, groups, ahead); \
    break;
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
#if INT8_ROWS > 6
    ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif
#undef ROWS
  }
}

/**
 * Columns of blocks `first` to `last` of y[rows, N]. A group of one row of x takes `group_bytes`. All tiles of rows pass over a
 * column while it is in the cache. Meanwhile the next one is prefetched.
 */
INLINE void multiply_blocks(uint8_t *memory, const struct matmul_int8_instruction *a, int first, int last,
                            multiply_tile *multiply, size_t group_bytes) {
  const int groups = count_groups(a->in_width);
  const size_t block_bytes = (size_t)groups * BLOCK_BYTES;
  const size_t out_stride = row_stride(a->out_width);
  const int tile = tile_rows(a->rows, INT8_ROWS);
  const size_t tiles = (size_t)count_tiles(a->rows, tile);
  const size_t step = (BLOCK_BYTES / LINE_BYTES + tiles - 1) / tiles * LINE_BYTES;
  const uint8_t *x = at(memory, a->x);
  const float *scales = at(memory, a->x_scales);
  const float *bias = at(memory, a->bias);
  float *out = at(memory, a->out);
  float sums[INT8_ROWS * BLOCK];
  for (int block = first; block < last; block++) {
    const int8_t *w = (const int8_t *)at(memory, a->weight) + (size_t)block * block_bytes;
    struct ahead ahead = {w + block_bytes, step};
    for (int row = 0; row < a->rows; row += tile) {
      const int count = smaller(a->rows - row, tile);
      multiply(count, sums, x + (size_t)(row * groups) * group_bytes, scales + row * groups, w, groups, &ahead);
      for (int r = 0; r < count; r++) {
        float *y = out + (size_t)(row + r) * out_stride + block * BLOCK;
        finish(y, sums + r * BLOCK, bias ? bias + block * BLOCK : 0, a->epilogue);
      }
    }
  }
}

static void matmul_int8(uint8_t *memory, const struct matmul_int8_instruction *a, int first, int last) {
  multiply_blocks(memory, a, first, last, multiply_words, WORDS_OF_GROUP);
}

#endif
