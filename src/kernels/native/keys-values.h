// Pages of keys and values: addresses in them, and the kernel that stores the keys and values of a pass, as floats or in 8 bits.
// `../wasm/attention.ts` describes the layout, and `../reference/attention.ts` defines the bits. `is_int8` is a constant
// wherever it is a parameter.
#ifndef GPT2_KEYS_VALUES_H
#define GPT2_KEYS_VALUES_H

/** Bytes of a key or value. */
INLINE size_t number_bytes(const int is_int8) { return is_int8 ? sizeof(int8_t) : sizeof(float); }

/** Bytes from the values of one position to those of the next. */
INLINE size_t value_bytes(const int is_int8, int size) { return padded(size, VALUE_UNIT) * number_bytes(is_int8); }

/** Bytes of one head's keys in a page. The values follow. */
INLINE size_t keys_bytes(const int is_int8, int size) { return (size_t)size * PAGE_POSITIONS * number_bytes(is_int8); }

/** Bytes of one head in a page. With 8 bits the scales are the last bytes, and the size is whole cache lines. */
INLINE size_t head_bytes(const int is_int8, int size) {
  const size_t numbers = keys_bytes(is_int8, size) + PAGE_POSITIONS * value_bytes(is_int8, size);
  return is_int8 ? padded((int)numbers + 2 * PAGE_POSITIONS * KV_SCALE_BYTES, LINE_BYTES) : numbers;
}

/** Bytes from the beginning of an 8-bit head to the scales of its keys. The scales of its values follow. */
INLINE size_t scales_begin(int size) { return head_bytes(1, size) - 2 * PAGE_POSITIONS * KV_SCALE_BYTES; }

/** Loads a vector of keys or values, as floats. */
INLINE vf load_numbers(const int is_int8, const uint8_t *p) {
  return is_int8 ? load_bytes((const int8_t *)p) : load((const float *)p);
}

/** Loads one key or value, as a float. */
INLINE float load_number(const int is_int8, const uint8_t *p) {
  return is_int8 ? (float)*(const int8_t *)p : *(const float *)p;
}

/** The address of an item's head in the page of its row's position. Items are rows × heads. */
INLINE uint8_t *head_in_page(const int is_int8, uint8_t *memory, const struct store_kv_instruction *a, int item) {
  const int row = item / a->heads;
  const int32_t *positions = at(memory, a->positions);
  const int32_t *tables = at(memory, a->page_tables);
  const int32_t *table = at(memory, (uint32_t)tables[row]);
  uint8_t *page = memory + a->pages + (size_t)table[positions[row] / PAGE_POSITIONS] * (size_t)a->page_bytes;
  return page + (size_t)(item % a->heads) * head_bytes(is_int8, a->head_size);
}

/** The bits of the smallest bfloat16 that is not below x ≥ 0. */
INLINE uint16_t bf16_above(float x) {
  if (x != x) return 0x7fc0;
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return (uint16_t)((bits + 0xffff) >> 16);
}

/** The vector at `x`. If there are fewer than `LANES` numbers, zeros follow them. */
INLINE vf load_some(const float *x, int count) {
  if (count >= LANES) return load(x);
  float copy[LANES] = {0};
  memcpy(copy, x, (size_t)count * sizeof(float));
  return load(copy);
}

/**
 * Stores `size` floats as bytes that are `step` bytes apart. Returns the bits of their scale, rounded up so that none is above
 * 127.
 */
INLINE uint16_t quantize_head(uint8_t *out, const size_t step, const float *x, int size) {
  vi most = zero();
  for (int i = 0; i < size; i += LANES) most = larger_bits(most, absolute(load_some(x + i, size - i)));
  const uint16_t bits = bf16_above(largest_of_bits(most) / (float)KV_MAX);
  const uint32_t wide = (uint32_t)bits << 16;
  float scale;
  memcpy(&scale, &wide, sizeof(scale));
  const float quotient = 1.0f / scale;
  const vf inverse = splat(quotient < __builtin_inff() ? quotient : 0.0f);
  for (int i = 0; i < size; i += LANES) {
    const vf scaled = load_some(x + i, size - i) * inverse;
    int8_t bytes[LANES];
    store_bytes(bytes, if_nan(scaled, splat(0.0f), scaled));
    const int count = smaller(LANES, size - i);
    for (int lane = 0; lane < count; lane++) out[(size_t)(i + lane) * step] = (uint8_t)bytes[lane];
  }
  return bits;
}

/** Items `first` to `last` of rows × heads: stores keys and values in the row's page. qkv: [rows, 3·heads·size]. */
INLINE void store_kv_as(const int is_int8, uint8_t *memory, const struct store_kv_instruction *a, int first, int last) {
  const int heads = a->heads;
  const int size = a->head_size;
  const size_t stride = row_stride(3 * heads * size);
  const size_t number = number_bytes(is_int8);
  const int32_t *positions = at(memory, a->positions);
  for (int item = first; item < last; item++) {
    if (item + 1 < last) {
      // These lines were last written for the previous position, and have left the cache since. So the next item's are
      // prefetched.
      const uint8_t *next = head_in_page(is_int8, memory, a, item + 1);
      for (size_t byte = 0; byte < keys_bytes(is_int8, size); byte += LINE_BYTES) __builtin_prefetch(next + byte, 1);
    }
    const int row = item / heads;
    const size_t slot = (size_t)positions[row] % PAGE_POSITIONS;
    const float *k = (const float *)at(memory, a->qkv) + (size_t)row * stride + heads * size + item % heads * size;
    const float *v = k + heads * size;
    uint8_t *head = head_in_page(is_int8, memory, a, item);
    uint8_t *keys = head + slot * number;
    uint8_t *values = head + keys_bytes(is_int8, size) + slot * value_bytes(is_int8, size);
    if (is_int8) {
      uint16_t *scales = (uint16_t *)(head + scales_begin(size)) + slot;
      scales[0] = quantize_head(keys, PAGE_POSITIONS, k, size);
      scales[PAGE_POSITIONS] = quantize_head(values, 1, v, size);
    } else {
      for (int i = 0; i < size; i++) ((float *)keys)[i * PAGE_POSITIONS] = k[i];
      for (int i = 0; i < size; i++) ((float *)values)[i] = v[i];
    }
    for (size_t byte = (size_t)size * number; byte < value_bytes(is_int8, size); byte++) values[byte] = 0;
  }
}

static void store_kv(uint8_t *memory, const struct store_kv_instruction *a, int first, int last) {
  store_kv_as(0, memory, a, first, last);
}

static void store_kv_int8(uint8_t *memory, const struct store_kv_instruction *a, int first, int last) {
  store_kv_as(1, memory, a, first, last);
}

#endif
