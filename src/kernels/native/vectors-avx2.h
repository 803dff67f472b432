// Vectors of 8 floats, for processors with AVX2. `vectors-avx512.h` defines the same names for 16 lanes. So each kernel is written
// once, and compiled for both.
#ifndef GPT2_VECTORS_H
#define GPT2_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

#define LANES 8
/** Rows of a tile: the most whose sums stay in the 16 registers. For 8-bit weights, f32 weights, and attention. */
#define INT8_ROWS 6
#define F32_ROWS 5
#define ATTENTION_ROWS 2
/** AVX2's dot product of bytes saturates: see `int8-words.h`. */
#define HAS_BYTE_DOTS 0

typedef __m256 vf;
typedef __m256i vi;
typedef __m256d vd;

static inline vf load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vf splat(float x) { return _mm256_set1_ps(x); }

/** x times the number at `p`. */
static inline vf times(vf x, const float *p) { return x * splat(*p); }

/** Where either is NaN, the result is `b`. */
static inline vf min_or_b(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf max_or_b(vf a, vf b) { return _mm256_max_ps(a, b); }

/** `yes` where x is NaN, else `no`. */
static inline vf if_nan(vf x, vf yes, vf no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)); }

/** y where x ≥ bound, else 0. */
static inline vf if_at_least(vf x, vf bound, vf y) { return _mm256_and_ps(y, _mm256_cmp_ps(x, bound, _CMP_GE_OQ)); }

/** 2^n for whole n from −126 to 127. */
static inline vf power_of_two(vf n) {
  const vi exponent = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

static inline vf absolute(vf x) { return _mm256_andnot_ps(splat(-0.0f), x); }

// For numbers without a sign, the bits, read as integers, have the same order as the numbers. NaN is above all numbers.
static inline vi larger_bits(vi a, vf b) { return _mm256_max_epi32(a, _mm256_castps_si256(b)); }
static inline float largest_of_bits(vi x) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/** One stage of a rotation: sums and differences of lanes that are `apart` lanes apart. */
static inline vf butterfly(vf x, const int apart) {
  switch (apart) {
    case 4: {
      const vf other = _mm256_permute2f128_ps(x, x, 1);
      return _mm256_blend_ps(other + x, other - x, 0xf0);
    }
    case 2: {
      const vf other = _mm256_permute_ps(x, 0x4e);
      return _mm256_blend_ps(other + x, other - x, 0xcc);
    }
    default: {
      const vf other = _mm256_permute_ps(x, 0xb1);
      return _mm256_blend_ps(other + x, other - x, 0xaa);
    }
  }
}

/** Rounds to integers, ties to even, and stores them as words. */
static inline void store_words(int16_t *p, vf x) {
  const vi whole = _mm256_cvtps_epi32(x);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  _mm_storeu_si128((__m128i *)p, words);
}

/** Rounds to integers, ties to even, and stores them as bytes. They must fit. */
static inline void store_bytes(int8_t *p, vf x) {
  const vi whole = _mm256_cvtps_epi32(x);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
}

/** Loads bytes, as floats. */
static inline vf load_bytes(const int8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/** Loads bfloat16 numbers, as floats. */
static inline vf load_bf16(const uint16_t *p) {
  const vi wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vi load_bits(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vi zero(void) { return _mm256_setzero_si256(); }
static inline vf to_float(vi x) { return _mm256_cvtepi32_ps(x); }

/** Loads quads of weights of `LANES / 2` outputs, widened to words. */
static inline vi widen(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }

/** Repeats four activations through the whole vector. */
static inline vi splat4(const int16_t *p) { return _mm256_set1_epi64x(*(const int64_t *)p); }

/** Adds products of words to the sums, two to each lane. */
static inline vi dot(vi sum, vi w, vi x) { return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x)); }

/** Sums of neighbouring lanes: those of a, then those of b. */
static inline vi add_pairs(vi a, vi b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8); }

// Vectors of doubles: half as many lanes.
static inline vd splat_double(double x) { return _mm256_set1_pd(x); }
static inline vd read_doubles(const double *p) { return _mm256_loadu_pd(p); }
static inline void store_doubles(double *p, vd x) { _mm256_storeu_pd(p, x); }

/** Loads floats, as doubles. */
static inline vd load_doubles(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }

/** y where x > bound, else 0. */
static inline vd if_above(vd x, vd bound, vd y) { return _mm256_and_pd(y, _mm256_cmp_pd(x, bound, _CMP_GT_OQ)); }

/** 2^n for the whole n that stands in the low bits of n + 1.5 · 2^52. */
static inline vd power_of_shifted(vd shifted) {
  const vi bias = _mm256_set1_epi64x(1023LL << 52);
  return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_slli_epi64(_mm256_castpd_si256(shifted), 52), bias));
}

#endif
