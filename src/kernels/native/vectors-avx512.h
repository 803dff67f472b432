// Vectors of 16 floats, for processors with AVX-512 and its dot products of words (VNNI). See `vectors-avx2.h`.
#ifndef GPT2_VECTORS_H
#define GPT2_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

#define LANES 16
/** Rows of a tile: the most whose sums stay in the 32 registers. For 8-bit weights, f32 weights, and attention. */
#define INT8_ROWS 12
#define F32_ROWS 12
#define ATTENTION_ROWS 8
/** VNNI has an exact dot product of bytes: see `int8-bytes.h`. */
#define HAS_BYTE_DOTS 1

typedef __m512 vf;
typedef __m512i vi;
typedef __m512d vd;

static inline vf load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf splat(float x) { return _mm512_set1_ps(x); }

/**
 * x times the number at `p`. A multiplication can broadcast one operand from memory at no cost. Compilers prefer one broadcast
 * for several multiplications. But on AMD's Zen 4 a broadcast of its own occupies a unit that could multiply.
 */
static inline vf times(vf x, const float *p) {
  vf product;
  __asm__("vmulps %2%{1to16%}, %1, %0" : "=v"(product) : "v"(x), "m"(*p));
  return product;
}

/** Where either is NaN, the result is `b`. */
static inline vf min_or_b(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf max_or_b(vf a, vf b) { return _mm512_max_ps(a, b); }

/** `yes` where x is NaN, else `no`. */
static inline vf if_nan(vf x, vf yes, vf no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), no, yes);
}

/** y where x ≥ bound, else 0. */
static inline vf if_at_least(vf x, vf bound, vf y) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, bound, _CMP_GE_OQ), y);
}

/** 2^n for whole n from −126 to 127. */
static inline vf power_of_two(vf n) {
  const vi exponent = _mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}

static inline vf absolute(vf x) { return _mm512_abs_ps(x); }

// For numbers without a sign, the bits, read as integers, have the same order as the numbers. NaN is above all numbers.
static inline vi larger_bits(vi a, vf b) { return _mm512_max_epi32(a, _mm512_castps_si512(b)); }
static inline float largest_of_bits(vi x) {
  const int32_t bits = _mm512_reduce_max_epi32(x);
  float largest;
  __builtin_memcpy(&largest, &bits, sizeof(largest));
  return largest;
}

/** One stage of a rotation: sums and differences of lanes that are `apart` lanes apart. */
static inline vf butterfly(vf x, const int apart) {
  vf other;
  __mmask16 differences;
  switch (apart) {
    case 8: other = _mm512_shuffle_f32x4(x, x, 0x4e), differences = 0xff00; break;
    case 4: other = _mm512_shuffle_f32x4(x, x, 0xb1), differences = 0xf0f0; break;
    case 2: other = _mm512_permute_ps(x, 0x4e), differences = 0xcccc; break;
    default: other = _mm512_permute_ps(x, 0xb1), differences = 0xaaaa;
  }
  return _mm512_mask_sub_ps(_mm512_add_ps(other, x), differences, other, x);
}

/** Rounds to integers, ties to even. */
static inline vi to_ints(vf x) { return _mm512_cvtps_epi32(x); }

/** Stores the low byte of each integer. */
static inline void store_low_bytes(int8_t *p, vi x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x)); }

/** Rounds to integers, ties to even, and stores them as bytes. They must fit. */
static inline void store_bytes(int8_t *p, vf x) { store_low_bytes(p, to_ints(x)); }

/** Loads bytes, as floats. */
static inline vf load_bytes(const int8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/** Loads bfloat16 numbers, as floats. */
static inline vf load_bf16(const uint16_t *p) {
  const vi wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vi splat_int(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi add_ints(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline int32_t sum_of_ints(vi x) { return _mm512_reduce_add_epi32(x); }
/** The low bits of each integer, as a number without a sign. */
static inline vi low_bits(vi x, const int bits) { return _mm512_and_epi32(x, _mm512_set1_epi32((1 << bits) - 1)); }
static inline vi shift_left(vi x, const int bits) { return _mm512_slli_epi32(x, (unsigned)bits); }
/** Rounds towards minus infinity. */
static inline vi shift_right(vi x, const int bits) { return _mm512_srai_epi32(x, (unsigned)bits); }

/** Adds 128 to each signed byte, which makes it unsigned. */
static inline vi without_sign(vi x) { return x ^ _mm512_set1_epi8(-128); }

/** Adds products of bytes to the sums, four to each lane: unsigned bytes `w` by four signed bytes `x`, repeated. */
static inline vi dot_bytes(vi sum, vi w, const int8_t *x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(four));
}

static inline vi load_bits(const void *p) { return _mm512_loadu_si512(p); }
static inline vi zero(void) { return _mm512_setzero_si512(); }
static inline vf to_float(vi x) { return _mm512_cvtepi32_ps(x); }

// Doubles, half as many.
static inline vd splat_double(double x) { return _mm512_set1_pd(x); }
static inline vd read_doubles(const double *p) { return _mm512_loadu_pd(p); }
static inline void store_doubles(double *p, vd x) { _mm512_storeu_pd(p, x); }

/** Loads floats, as doubles. */
static inline vd load_doubles(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }

/** y where x > bound, else 0. */
static inline vd if_above(vd x, vd bound, vd y) {
  return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, bound, _CMP_GT_OQ), y);
}

/** 2^n for the whole n that stands in the low bits of n + 1.5 · 2^52. */
static inline vd power_of_shifted(vd shifted) {
  const vi bias = _mm512_set1_epi64(1023LL << 52);
  return _mm512_castsi512_pd(_mm512_add_epi64(_mm512_slli_epi64(_mm512_castpd_si512(shifted), 52), bias));
}

#endif
