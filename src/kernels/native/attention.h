// Causal attention over pages of keys and values, with the bits of `../reference/attention.ts`: one accumulator for each score,
// d ascending, and for each output, positions ascending. Neighbouring rows of one sequence read the same keys and values, so
// they are computed together, as a tile. `is_int8` and `rows` are constants wherever they are parameters.
#ifndef GPT2_ATTENTION_H
#define GPT2_ATTENTION_H

#include "keys-values.h"

/** Heads that are larger are computed row by row. GPT-2's have 64. */
#define TILE_SIZE_MAX (1 << 8)

/** Addresses of one head's keys and values in page 0, and the page numbers of the sequence. */
struct head {
  const uint8_t *keys;
  const uint8_t *values;
  const uint8_t *scales; // of the keys; the scales of the values follow
  size_t page_bytes;
  const int32_t *table;
  int size;
};

/** The address of position `j`'s value in a column. */
INLINE const uint8_t *value_at(const int is_int8, const struct head *head, int j, int column) {
  const uint8_t *page = head->values + (size_t)head->table[j / PAGE_POSITIONS] * head->page_bytes;
  const size_t before = (size_t)(j % PAGE_POSITIONS) * value_bytes(is_int8, head->size);
  return page + before + (size_t)column * number_bytes(is_int8);
}

/** The 16 scales of a page's keys or values. */
INLINE const uint16_t *scales_of(const struct head *head, int page, int of_values) {
  const uint8_t *scales = head->scales + (size_t)head->table[page] * head->page_bytes;
  return (const uint16_t *)scales + (of_values ? PAGE_POSITIONS : 0);
}

/** Scores of `rows` queries, q[i][row], for `pages` pages: Σ q[i]·k[i][position], i ascending, times `scale`. */
INLINE void score_pages(const int is_int8, const int rows, const int pages, float *scores, size_t stride, const float *q,
                        const struct head *head, int page, float scale) {
  const size_t number = number_bytes(is_int8);
  vf sum[ATTENTION_ROWS][4][VECTORS];
  const uint8_t *keys[4];
  for (int p = 0; p < pages; p++) {
    keys[p] = head->keys + (size_t)head->table[page + p] * head->page_bytes;
    for (int r = 0; r < rows; r++) {
      for (int v = 0; v < VECTORS; v++) sum[r][p][v] = splat(0.0f);
    }
  }
  for (int i = 0; i < head->size; i++) {
    for (int p = 0; p < pages; p++) {
      for (int v = 0; v < VECTORS; v++) {
        const vf key = load_numbers(is_int8, keys[p] + (size_t)(i * PAGE_POSITIONS + v * LANES) * number);
        for (int r = 0; r < rows; r++) sum[r][p][v] = sum[r][p][v] + times(key, q + i * rows + r);
      }
    }
  }
  for (int p = 0; p < pages; p++) {
    for (int v = 0; v < VECTORS; v++) {
      vf scales = splat(scale);
      if (is_int8) scales = scales * load_bf16(scales_of(head, page + p, 0) + v * LANES);
      float *to = scores + (page + p) * PAGE_POSITIONS + v * LANES;
      for (int r = 0; r < rows; r++) store(to + (size_t)r * stride, sum[r][p][v] * scales);
    }
  }
}

/**
 * Turns `count` scores into weights, e^(score − largest), and returns the sum of the weights. 8-bit values have scales, with which
 * the weights are then multiplied. Up to the end of the page it writes zeros.
 */
INLINE float softmax_weights(const int is_int8, float *scores, int count, const struct head *head) {
  const int end = (int)padded(count, PAGE_POSITIONS);
  for (int i = count; i < end; i++) scores[i] = -__builtin_inff();
  vf largest = load(scores);
  for (int i = LANES; i < end; i += LANES) largest = max_of(largest, load(scores + i));
  float lanes[PAGE_POSITIONS];
  store(lanes, largest);
  float top = lanes[0];
  for (int i = 1; i < LANES; i++) top = top != top || top > lanes[i] ? top : lanes[i];
  vf sums[VECTORS];
  for (int v = 0; v < VECTORS; v++) sums[v] = splat(0.0f);
  for (int i = 0; i < end; i += PAGE_POSITIONS) {
    const uint16_t *scales = is_int8 ? scales_of(head, i / PAGE_POSITIONS, 1) : 0;
    for (int v = 0; v < VECTORS; v++) {
      vf weight = exp_of(load(scores + i + v * LANES) - splat(top));
      sums[v] = sums[v] + weight;
      if (is_int8) weight = weight * load_bf16(scales + v * LANES);
      store(scores + i + v * LANES, weight);
    }
  }
  for (int v = 0; v < VECTORS; v++) store(lanes + v * LANES, sums[v]);
  return sum16(lanes);
}

/**
 * `vectors` vectors of columns of `rows` outputs: Σ_j w[j]·v[j], j ascending, divided by the row's total. Row r has `count + r`
 * positions.
 */
INLINE void weigh_columns(const int is_int8, const int rows, const int vectors, float *out, size_t out_stride,
                          const float *weights, size_t stride, const float *totals, const struct head *head, int column,
                          int count) {
  const size_t vector_bytes = LANES * number_bytes(is_int8);
  vf sum[ATTENTION_ROWS][4];
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) sum[r][v] = splat(0.0f);
  }
  for (int begin = 0; begin < count; begin += PAGE_POSITIONS) {
    const int end = smaller(begin + PAGE_POSITIONS, count);
    const uint8_t *value = value_at(is_int8, head, begin, column);
    for (int j = begin; j < end; j++, value += value_bytes(is_int8, head->size)) {
      vf values[4];
      for (int v = 0; v < vectors; v++) values[v] = load_numbers(is_int8, value + (size_t)v * vector_bytes);
      for (int r = 0; r < rows; r++) {
        const vf weight = splat(weights[(size_t)r * stride + (size_t)j]);
        for (int v = 0; v < vectors; v++) sum[r][v] = sum[r][v] + weight * values[v];
      }
    }
  }
  // Each row has one position more than the row before it.
  for (int r = 1; r < rows; r++) {
    for (int j = count; j < count + r; j++) {
      const uint8_t *value = value_at(is_int8, head, j, column);
      const vf weight = splat(weights[(size_t)r * stride + (size_t)j]);
      for (int v = 0; v < vectors; v++) {
        sum[r][v] = sum[r][v] + weight * load_numbers(is_int8, value + (size_t)v * vector_bytes);
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) {
      store(out + (size_t)r * out_stride + column + v * LANES, sum[r][v] / splat(totals[r]));
    }
  }
}

/** One column of one row. For the columns after the last whole vector. */
INLINE float weigh_column(const int is_int8, const float *weights, float total, const struct head *head, int column,
                          int count) {
  float sum = 0.0f;
  for (int j = 0; j < count; j++) {
    sum = sum + weights[j] * load_number(is_int8, value_at(is_int8, head, j, column));
  }
  return sum / total;
}

/** One head of `rows` neighbouring rows. The first row sees `count` positions. `scores` has `stride` floats for each row. */
INLINE void attend(const int is_int8, const int rows, float *out, size_t out_stride, const float *q, size_t q_stride,
                   const struct head *head, int count, float scale, float *scores, size_t stride) {
  const int pages = (count + rows - 1 + PAGE_POSITIONS - 1) / PAGE_POSITIONS;
  // The queries of a tile side by side: then one address leads to all of them.
  float copy[ATTENTION_ROWS * TILE_SIZE_MAX];
  const float *side = q;
  if (rows > 1) {
    for (int r = 0; r < rows; r++) {
      for (int i = 0; i < head->size; i++) copy[i * rows + r] = q[(size_t)r * q_stride + (size_t)i];
    }
    side = copy;
  }
  int page = 0;
  // Several pages at a time give independent sums, which hide the latency of additions.
  if (rows == 1) {
    for (; page + 4 <= pages; page += 4) score_pages(is_int8, rows, 4, scores, stride, side, head, page, scale);
  }
  for (; page + 2 <= pages; page += 2) score_pages(is_int8, rows, 2, scores, stride, side, head, page, scale);
  if (page < pages) score_pages(is_int8, rows, 1, scores, stride, side, head, page, scale);
  float totals[ATTENTION_ROWS];
  for (int r = 0; r < rows; r++) {
    totals[r] = softmax_weights(is_int8, scores + (size_t)r * stride, count + r, head);
  }
  int column = 0;
  for (; column + 4 * LANES <= head->size; column += 4 * LANES) {
    weigh_columns(is_int8, rows, 4, out, out_stride, scores, stride, totals, head, column, count);
  }
  for (; column + LANES <= head->size; column += LANES) {
    weigh_columns(is_int8, rows, 1, out, out_stride, scores, stride, totals, head, column, count);
  }
  for (; column < head->size; column++) {
    for (int r = 0; r < rows; r++) {
      out[(size_t)r * out_stride + (size_t)column] =
          weigh_column(is_int8, scores + (size_t)r * stride, totals[r], head, column, count + r);
    }
  }
}

/** `rows` may be up to ATTENTION_ROWS. `attend` is compiled for each number of them. */
#define ATTEND(name, is_int8)                                                                                         \
  APART void name(int rows, float *out, size_t out_stride, const float *q, size_t q_stride, const struct head *head,  \
                  int count, float scale, float *scores, size_t stride) {                                             \
    switch (rows) {                                                                                                   \
      ROWS(is_int8, 1) ROWS(is_int8, 2) MORE_ROWS(is_int8)                                                            \
    }                                                                                                                 \
  }
#define ROWS(is_int8, n)                                                                                              \
  case n:                                                                                                             \
    attend(is_int8, n, out, out_stride, q, q_stride, head, count, scale, scores, stride);                             \
    break;
#if ATTENTION_ROWS > 2
#define MORE_ROWS(is_int8)                                                                                            \
  ROWS(is_int8, 3) ROWS(is_int8, 4) ROWS(is_int8, 5) ROWS(is_int8, 6) ROWS(is_int8, 7) ROWS(is_int8, 8)
#else
#define MORE_ROWS(is_int8)
#endif
ATTEND(attend_f32, 0)
ATTEND(attend_int8, 1)
#undef MORE_ROWS
#undef ROWS
#undef ATTEND

/** How many rows from `row` on are neighbouring positions of one sequence. */
static int run_length(const int32_t *tables, const int32_t *positions, int row, int end) {
  int count = 1;
  while (row + count < end && tables[row + count] == tables[row] && positions[row + count] == positions[row] + count) {
    count++;
  }
  return count;
}

/**
 * Items `first` to `last` of rows × heads. Rows of one sequence whose heads are all among the items are computed head after head,
 * in tiles, because the keys and values of one head stay in the cache. Other rows are computed one by one: their heads lie
 * side by side in memory.
 */
INLINE void attention_as(const int is_int8, uint8_t *memory, const struct attention_instruction *a, int part, int first,
                         int last) {
  const int32_t *positions = at(memory, a->positions);
  const int32_t *tables = at(memory, a->page_tables);
  float *scores = scratch_of(memory, a->scratch, a->scratch_bytes, part);
  const size_t scores_stride = (size_t)a->scratch_bytes / sizeof(float) / ATTENTION_ROWS;
  const int heads = a->heads;
  const int size = a->head_size;
  const size_t qkv_stride = row_stride(3 * heads * size);
  const size_t out_stride = row_stride(heads * size);
  while (first < last) {
    const int row = first / heads;
    const int end = smaller((row + 1) * heads, last);
    const int run = first % heads == 0 && end % heads == 0 ? run_length(tables, positions, row, last / heads) : 1;
    const int tile = size <= TILE_SIZE_MAX ? tile_rows(run, ATTENTION_ROWS) : 1;
    const int32_t *table = at(memory, (uint32_t)tables[row]);
    for (int item = first; item < end; item++) {
      const int h = item % heads;
      const uint8_t *keys = memory + a->pages + (size_t)h * head_bytes(is_int8, size);
      const struct head head = {
          keys, keys + keys_bytes(is_int8, size), keys + scales_begin(size), (size_t)a->page_bytes, table, size,
      };
      for (int r = 0; r < run; r += tile) {
        const float *q = (const float *)at(memory, a->qkv) + (size_t)(row + r) * qkv_stride + h * size;
        float *out = (float *)at(memory, a->out) + (size_t)(row + r) * out_stride + h * size;
        const int rows = smaller(tile, run - r);
        const int count = positions[row + r] + 1;
        if (is_int8) attend_int8(rows, out, out_stride, q, qkv_stride, &head, count, a->scale, scores, scores_stride);
        else attend_f32(rows, out, out_stride, q, qkv_stride, &head, count, a->scale, scores, scores_stride);
      }
    }
    first = end + (run - 1) * heads;
  }
}

static void attention(uint8_t *memory, const struct attention_instruction *a, int part, int first, int last) {
  attention_as(0, memory, a, part, first, last);
}

static void attention_int8(uint8_t *memory, const struct attention_instruction *a, int part, int first, int last) {
  attention_as(1, memory, a, part, first, last);
}

#endif
