// y = x·W + b with 8-bit weights, and with 14-bit or rotated 8-bit activations. `../reference/int8.ts` defines the bits. A
// vector's lanes are outputs. Quantised activations are stored in the order in which a tile of rows reads them: for each tile
// what `int8-bytes.h` or `int8-words.h` describe, and [K'/64][rows] scales. The layout of weights: see `../wasm/int8.ts`.
#ifndef GPT2_INT8_H
#define GPT2_INT8_H

#include "rotation.h"

#define QUADS (GROUP / QUAD)     // of k in a group
#define QUAD_STEP (QUAD * BLOCK) // bytes from one quad of weights of an output to its next quad
#define LIMIT(is_rotated) ((float)((is_rotated) ? ROTATED_MAX : ACTIVATION_MAX))

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

/** Numbers times the factor of their group, to be rounded. 0 instead of NaN. */
INLINE vf scaled_numbers(vf x, vf inverse) {
  const vf scaled = x * inverse;
  return if_nan(scaled, splat(0.0f), scaled);
}

/** `x` itself if it is a whole group. Otherwise a copy of its `count` numbers, padded with zeros. */
INLINE const float *whole_group(float *copy, const float *x, int count) {
  if (count == GROUP) return x;
  memset(copy, 0, GROUP * sizeof(float));
  memcpy(copy, x, (size_t)count * sizeof(float));
  return copy;
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

/** Multiplies a tile of rows, whose groups are at `q`, by all groups of 16 outputs. Writes `sums`, [rows][outputs]. */
typedef void multiply_tile(int rows, float *sums, const void *q, const float *scales, const int8_t *block, int groups,
                           struct ahead *ahead);

#if HAS_BYTE_DOTS
#include "int8-bytes.h"
#else
#include "int8-words.h"
#endif

/** What `quantize_groups` reads and writes: x[rows, width], values and scales. */
struct quantization {
  const float *x;
  uint8_t *values;
  float *scales;
  int rows;
  int width;
};

/** Quantises groups `first` to `last` of all rows. */
INLINE void quantize_groups(const int is_rotated, const struct quantization a, int first, int last) {
  const size_t groups = (size_t)count_groups(a.width);
  const size_t stride = row_stride(a.width);
  const int tile = tile_rows(a.rows, INT8_ROWS);
  for (int start = 0; start < a.rows; start += tile) {
    const size_t count = (size_t)smaller(a.rows - start, tile);
    uint8_t *values = a.values + (size_t)start * groups * GROUP_BYTES(is_rotated);
    float *scales = a.scales + (size_t)start * groups;
    for (int group = first; group < last; group++) {
      const int k = group * GROUP;
      uint8_t *to = values + (size_t)group * count * GROUP_BYTES(is_rotated);
      for (size_t r = 0; r < count; r++) {
        float copy[GROUP];
        const float *whole = whole_group(copy, a.x + ((size_t)start + r) * stride + k, smaller(a.width - k, GROUP));
        if (is_rotated) {
          rotate(copy, whole);
          whole = copy;
        }
        scales[(size_t)group * count + r] = quantize_group(is_rotated, to, count, r, whole);
      }
    }
  }
}

static void quantize(uint8_t *memory, const struct quantize_instruction *a, int first, int last) {
  const struct quantization to = {at(memory, a->x), at(memory, a->values), at(memory, a->scales), a->rows, a->width};
  quantize_groups(0, to, first, last);
}

static void quantize_rotated(uint8_t *memory, const struct quantize_rotated_instruction *a, int first, int last) {
  const struct quantization to = {at(memory, a->x), at(memory, a->values), at(memory, a->scales), a->rows, a->width};
  quantize_groups(1, to, first, last);
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
  multiply_blocks(memory, a, first, last, multiply_int8, GROUP_BYTES(0));
}

static void matmul_rotated(uint8_t *memory, const struct matmul_int8_instruction *a, int first, int last) {
  multiply_blocks(memory, a, first, last, multiply_rotated, GROUP_BYTES(1));
}

#endif
