// What is done to each row by itself, as `../wasm/rows.ts` and `../wasm/attention.ts` define it.
#ifndef GPT2_ROWS_H
#define GPT2_ROWS_H

/** Σ x or, with `squared`, Σ (x − mean)², over one row: 16 partial sums (index mod 16) in one fixed tree. */
INLINE float sum_row(const float *x, int width, float mean, const int squared) {
  vf sums[VECTORS];
  float lanes[16];
  for (int v = 0; v < VECTORS; v++) sums[v] = splat(0.0f);
  int i = 0;
  for (; i + 16 <= width; i += 16) {
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
static void layer_norm(float *out, const float *x, const float *weight, const float *bias, int width, float epsilon,
                       int first, int last) {
  const size_t stride = row_stride(width);
  for (int row = first; row < last; row++) {
    const float *from = x + (size_t)row * stride;
    float *to = out + (size_t)row * stride;
    const float mean = sum_row(from, width, 0.0f, 0) / (float)width;
    const float variance = sum_row(from, width, mean, 1) / (float)width;
    const float scale = 1.0f / __builtin_sqrtf(variance + epsilon);
    for (size_t i = 0; i < stride; i += LANES) {
      store(to + i, ((load(from + i) - splat(mean)) * splat(scale)) * load(weight + i) + load(bias + i));
    }
  }
}

/** Reads lines of 64 bytes in four streams, and puts what they come to at `result`, or nothing would be read. */
static void read_memory(const uint8_t *memory, int32_t *result, int first, int last) {
  const size_t run = (size_t)(last - first) / 4 * 64;
  const uint8_t *start = memory + (size_t)first * 64;
  vi sums[4] = {zero(), zero(), zero(), zero()};
  for (size_t at = 0; at < run; at += sizeof(vi)) {
    for (int stream = 0; stream < 4; stream++) {
      sums[stream] = sums[stream] ^ load_bits(start + (size_t)stream * run + at);
    }
  }
  const vi all = (sums[0] ^ sums[1]) ^ (sums[2] ^ sums[3]);
  memcpy(result, &all, sizeof(int32_t));
}

/** Where keys and values of rows go. `tables`: addresses in `memory`. */
struct pages {
  const uint8_t *memory;
  const int32_t *positions;
  const int32_t *tables;
  uint8_t *first;
  size_t bytes;
};

/** The head of an item of rows × heads, in the page of its row. */
INLINE float *head_in_page(const struct pages *pages, int item, int heads, size_t head_floats) {
  const int row = item / heads;
  const int32_t *table = (const int32_t *)(pages->memory + (uint32_t)pages->tables[row]);
  uint8_t *page = pages->first + (size_t)table[pages->positions[row] >> 4] * pages->bytes;
  return (float *)page + (size_t)(item % heads) * head_floats;
}

/** Items `first` to `last` of rows × heads: keys and values of qkv[rows, 3·heads·size] into the rows' pages. */
static void store_kv(const struct pages *pages, const float *qkv, int heads, int size, int first, int last) {
  const int width = heads * size;
  const size_t stride = row_stride(3 * width);
  const int padded = (size + 3) & ~3;
  const size_t head_floats = (size_t)(size + padded) * 16;
  for (int item = first; item < last; item++) {
    if (item + 1 < last) {
      // A key's line, last written a position ago, is in no cache: the next item's are fetched meanwhile.
      const float *next = head_in_page(pages, item + 1, heads, head_floats);
      for (int i = 0; i < size; i++) __builtin_prefetch(next + i * 16, 1);
    }
    const int row = item / heads;
    const int slot = pages->positions[row] & 15;
    const float *k = qkv + (size_t)row * stride + width + item % heads * size;
    float *keys = head_in_page(pages, item, heads, head_floats);
    float *values = keys + size * 16 + slot * padded;
    for (int i = 0; i < size; i++) keys[i * 16 + slot] = k[i];
    for (int i = 0; i < size; i++) values[i] = k[width + i];
    for (int i = size; i < padded; i++) values[i] = 0.0f;
  }
}

#endif
