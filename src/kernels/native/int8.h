// y = x·W + b with 8-bit weights and 14-bit activations, as `../wasm/int8.ts` defines it. A vector's lanes are outputs.
// Activations lie as tiles of rows want them, so that one register reaches them all: the rows of a tile side by side,
// [K'/4][rows][4] words and [K'/64][rows] scales, tile after tile. Layout of the weights: see `../program.ts`.
#ifndef GPT2_INT8_H
#define GPT2_INT8_H

#define BLOCK_BYTES 1088 // 16 outputs × 64 weights, 16 scales
#define QUADS 16         // of k in a group
#define LARGEST 8191.0f  // 14 bits with sign

/** A group of at most 64 values of one row, to its words of every quad, `stride` words apart. Returns its scale. */
static float quantize_group(int16_t *q, size_t stride, const float *x, int count) {
  float values[64] = {0};
  if (count < 64) {
    memcpy(values, x, (size_t)count * sizeof(float));
    x = values;
  }
  vi largest = zero();
  for (int i = 0; i < 64; i += LANES) largest = larger_bits(largest, absolute(load(x + i)));
  const float top = largest_of_bits(largest);
  const vf inverse = splat(top > 0.0f ? LARGEST / top : 0.0f);
  int16_t words[64];
  for (int i = 0; i < 64; i += LANES) {
    const vf scaled = load(x + i) * inverse;
    store_words(words + i, if_nan(scaled, splat(0.0f), scaled));
  }
  for (int quad = 0; quad < QUADS; quad++) memcpy(q + quad * stride, words + 4 * quad, 4 * sizeof(int16_t));
  return top / LARGEST;
}

/** Groups `first` to `last` of all rows of x[rows, K], to tiles of words and scales. */
static void quantize(int16_t *q, float *scales, const float *x, int width, int rows, int first, int last) {
  const size_t groups = (size_t)(width + 63) >> 6;
  const size_t stride = row_stride(width);
  const int tile = tile_rows(rows, INT8_ROWS);
  for (int start = 0; start < rows; start += tile) {
    const size_t count = (size_t)smaller(rows - start, tile);
    int16_t *words = q + (size_t)start * (groups << 6);
    float *scale = scales + (size_t)start * groups;
    for (int group = first; group < last; group++) {
      const size_t at = (size_t)group << 6;
      const int values = smaller(width - (int)at, 64);
      for (size_t r = 0; r < count; r++) {
        const float *from = x + ((size_t)start + r) * stride + at;
        scale[(size_t)group * count + r] = quantize_group(words + at * count + 4 * r, 4 * count, from, values);
      }
    }
  }
}

/** Adds one group of `rows` rows against one block to their sums, [rows][16]. */
INLINE void add_group(const int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block) {
  for (int h = 0; h < 16; h += LANES) {
    vi a[INT8_ROWS], b[INT8_ROWS];
    for (int r = 0; r < rows; r++) a[r] = b[r] = zero();
#pragma GCC unroll 4
    for (int quad = 0; quad < QUADS; quad++) {
      const int8_t *w = block + quad * 64 + h * 4;
      const vi low = widen(w);
      const vi high = widen(w + 2 * LANES);
      for (int r = 0; r < rows; r++) {
        const vi x = splat4(q + (quad * rows + r) * 4);
        a[r] = dot(a[r], low, x);
        b[r] = dot(b[r], high, x);
      }
    }
    const vf weight_scales = load((const float *)(block + 1024) + h);
    for (int r = 0; r < rows; r++) {
      float *sum = sums + r * 16 + h;
      store(sum, load(sum) + to_float(add_pairs(a[r], b[r])) * (weight_scales * splat(scales[r])));
    }
  }
}

/** A part of the weights that come next, to be fetched from memory a little with each group of those at hand. */
struct ahead {
  const int8_t *at;
  size_t step;
};

/** All groups of a tile of rows against a block of 16 outputs. */
INLINE void add_groups(const int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block,
                       int groups, struct ahead *ahead) {
  for (int r = 0; r < rows; r++) {
    for (int h = 0; h < 16; h += LANES) store(sums + r * 16 + h, splat(0.0f));
  }
  for (int group = 0; group < groups; group++) {
    for (size_t byte = 0; byte < ahead->step; byte += 64) __builtin_prefetch(ahead->at + byte, 0, 2);
    ahead->at += ahead->step;
    add_group(rows, sums, q, scales, block);
    q += 64 * rows;
    scales += rows;
    block += BLOCK_BYTES;
  }
}

static void multiply_tile(int rows, float *sums, const int16_t *q, const float *scales, const int8_t *block, int groups,
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
 * Blocks `first` to `last` of y[rows, N]. All tiles of rows pass over a block while it is in the cache, and meanwhile the
 * next block is fetched.
 */
static void matmul_int8(float *out, const int16_t *q, const float *scales, const int8_t *weight, const float *bias,
                        int rows, int in_width, int out_width, int epilogue, int first, int last) {
  const int groups = (in_width + 63) >> 6;
  const size_t block_bytes = (size_t)groups * BLOCK_BYTES;
  const size_t out_stride = row_stride(out_width);
  const int tile = tile_rows(rows, INT8_ROWS);
  const size_t tiles = (size_t)count_tiles(rows, tile);
  const size_t step = (BLOCK_BYTES / 64 + tiles - 1) / tiles * 64;
  float sums[INT8_ROWS * 16];
  for (int block = first; block < last; block++) {
    const int8_t *w = weight + (size_t)block * block_bytes;
    struct ahead ahead = {w + block_bytes, step};
    for (int row = 0; row < rows; row += tile) {
      const int count = smaller(rows - row, tile);
      multiply_tile(count, sums, q + (size_t)row * (size_t)groups * 64, scales + row * groups, w, groups, &ahead);
      for (int r = 0; r < count; r++) {
        float *y = out + (size_t)(row + r) * out_stride + block * 16;
        finish(y, sums + r * 16, bias ? bias + block * 16 : 0, epilogue);
      }
    }
  }
}

#endif
