// Layer norm, with the bits of `../reference/kernels.ts`; and the kernel that reads memory to measure its speed.
#ifndef GPT2_ROWS_H
#define GPT2_ROWS_H

/** Σ x over one row; Σ (x − mean)² if `squared`. There are 16 partial sums by index mod 16, added in one fixed tree. */
INLINE float sum_row(const float *x, int width, float mean, const int squared) {
  vf sums[VECTORS];
  float lanes[ROW_UNIT];
  for (int v = 0; v < VECTORS; v++) sums[v] = splat(0.0f);
  int i = 0;
  for (; i + ROW_UNIT <= width; i += ROW_UNIT) {
    for (int v = 0; v < VECTORS; v++) {
      vf value = load(x + i + v * LANES);
      if (squared) value = (value - splat(mean)) * (value - splat(mean));
      sums[v] = sums[v] + value;
    }
  }
  for (int v = 0; v < VECTORS; v++) store(lanes + v * LANES, sums[v]);
  for (int lane = 0; i < width; i++, lane++) {
    const float centred = x[i] - mean;
    lanes[lane] = lanes[lane] + (squared ? centred * centred : x[i]);
  }
  return sum16(lanes);
}

/** Rows `first` to `last`: (x − mean) / √(variance + ε) · weight + bias. */
static void layer_norm(uint8_t *memory, const struct layer_norm_instruction *a, int first, int last) {
  const int width = a->width;
  const size_t stride = row_stride(width);
  const float *weight = at(memory, a->weight);
  const float *bias = at(memory, a->bias);
  for (int row = first; row < last; row++) {
    const float *x = (const float *)at(memory, a->x) + (size_t)row * stride;
    float *out = (float *)at(memory, a->out) + (size_t)row * stride;
    const float mean = sum_row(x, width, 0.0f, 0) / (float)width;
    const float variance = sum_row(x, width, mean, 1) / (float)width;
    const float scale = 1.0f / __builtin_sqrtf(variance + a->epsilon);
    for (size_t i = 0; i < stride; i += LANES) {
      store(out + i, ((load(x + i) - splat(mean)) * splat(scale)) * load(weight + i) + load(bias + i));
    }
  }
}

/**
 * Items are cache lines, read in four streams. The result is of no use, but without one the compiler would remove the loop.
 */
static void read_memory(uint8_t *memory, const struct read_memory_instruction *a, int part, int first, int last) {
  const size_t run = (size_t)(last - first) / 4 * LINE_BYTES;
  const uint8_t *start = memory + a->start + (size_t)first * LINE_BYTES;
  vi sums[4] = {zero(), zero(), zero(), zero()};
  for (size_t byte = 0; byte < run; byte += sizeof(vi)) {
    for (int stream = 0; stream < 4; stream++) {
      sums[stream] = sums[stream] ^ load_bits(start + (size_t)stream * run + byte);
    }
  }
  const vi all = (sums[0] ^ sums[1]) ^ (sums[2] ^ sums[3]);
  memcpy(scratch_of(memory, a->scratch, a->scratch_bytes, part), &all, sizeof(int32_t));
}

#endif
