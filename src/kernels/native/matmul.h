// y = x·W + b in f32, with the bits of `../reference/kernels.ts`: one accumulator for each output, k ascending, products rounded
// before they are added. A vector's lanes are outputs. Weights lie in panels of 16 outputs, [N/16][K][16].
#ifndef GPT2_MATMUL_H
#define GPT2_MATMUL_H

#define PANELS_1 (64 / LANES) // panels at a time for a single row: 8 independent vectors of sums hide the latency of additions
#define SUMS_MAX (F32_ROWS > PANELS_1 ? F32_ROWS : PANELS_1)

/** Panels that lie one after another, `floats` each, and what to prefetch: `next_step` bytes of the next panels with each k. */
struct panels {
  const float *weight;
  const uint8_t *next;
  size_t next_step;
  size_t floats;
};

/** Multiplies `rows` rows by `panels` panels. Writes `sums`, [panels][rows][outputs]. */
INLINE void sum_products(const int rows, const int panels, float *sums, const float *x, size_t x_stride,
                         const struct panels *w, int in_width) {
  vf sum[SUMS_MAX][VECTORS];
  for (int i = 0; i < rows * panels; i++) {
    for (int v = 0; v < VECTORS; v++) sum[i][v] = splat(0.0f);
  }
#pragma GCC unroll 2
  for (int k = 0; k < in_width; k++) {
    for (int p = 0; p < panels; p++) {
      const float *at = w->weight + (size_t)p * w->floats + (size_t)k * PANEL;
      __builtin_prefetch(w->next + (size_t)p * w->floats * 4 + (size_t)k * w->next_step, 0, 2);
      vf weight[VECTORS];
      for (int v = 0; v < VECTORS; v++) weight[v] = load(at + v * LANES);
      for (int r = 0; r < rows; r++) {
        const vf value = splat(x[(size_t)r * x_stride + (size_t)k]);
        for (int v = 0; v < VECTORS; v++) sum[p * rows + r][v] = sum[p * rows + r][v] + value * weight[v];
      }
    }
  }
  for (int i = 0; i < rows * panels; i++) {
    for (int v = 0; v < VECTORS; v++) store(sums + i * PANEL + v * LANES, sum[i][v]);
  }
}

APART void multiply_panel(int rows, float *sums, const float *x, size_t x_stride, const struct panels *w,
                           int in_width) {
  switch (rows) {
#define ROWS(n) \
  case n: \
    sum_products(n, 1, sums, x, x_stride, w, in_width); \
    break;
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5)
#if F32_ROWS > 5
    ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif
#undef ROWS
  }
}

/**
 * Panels `first` to `last` of y[rows, N]. All tiles of rows pass over a panel while it is in the cache. Meanwhile the next one is
 * prefetched.
 */
static void matmul(uint8_t *memory, const struct matmul_instruction *a, int first, int last) {
  const int rows = a->rows;
  const int in_width = a->in_width;
  const int epilogue = a->epilogue;
  const size_t x_stride = row_stride(in_width);
  const size_t out_stride = row_stride(a->out_width);
  const size_t panel_floats = (size_t)in_width * PANEL;
  const int tile = tile_rows(rows, F32_ROWS);
  const size_t step = LINE_BYTES / (size_t)count_tiles(rows, tile);
  const float *x = at(memory, a->x);
  const float *bias = at(memory, a->bias);
  float *out = at(memory, a->out);
  float sums[SUMS_MAX * PANEL];
  for (int panel = first; panel < last;) {
    // A single row is multiplied by several panels at a time.
    const int panels = rows == 1 && panel + PANELS_1 <= last ? PANELS_1 : 1;
    const float *weight = (const float *)at(memory, a->weight) + (size_t)panel * panel_floats;
    struct panels w = {weight, (const uint8_t *)(weight + (size_t)panels * panel_floats), step, panel_floats};
    for (int row = 0; row < rows; row += tile) {
      const int count = smaller(rows - row, tile);
      if (panels > 1) sum_products(1, PANELS_1, sums, x, x_stride, &w, in_width);
      else multiply_panel(count, sums, x + (size_t)row * x_stride, x_stride, &w, in_width);
      w.next += (size_t)in_width * step;
      const float *sum = sums;
      for (int column = panel * PANEL; column < (panel + panels) * PANEL; column += PANEL) {
        for (int r = 0; r < count; r++, sum += PANEL) {
          finish(out + (size_t)(row + r) * out_stride + column, sum, bias ? bias + column : 0, epilogue);
        }
      }
    }
    panel += panels;
  }
}

#endif
