// Sums of exponentials over one row of logits in double precision, with the bits of `../reference/plain-logits-row.ts`: eight
// partial sums by index mod 8, added in one fixed tree.
#ifndef GPT2_LOGITS_H
#define GPT2_LOGITS_H

#define DOUBLES (LANES / 2) // of a vector
#define PARTS (8 / DOUBLES) // vectors of eight partial sums

/** e^x for x ≤ 0, 0 below −708. */
INLINE vd exp_double(vd x) {
  const vd magic = splat_double(6755399441055744.0); // 1.5 · 2^52
  const vd shifted = x * splat_double(1.4426950408889634) + magic;
  const vd n = shifted - magic;
  const vd r = (x - n * splat_double(0.6931471803691238)) - n * splat_double(1.9082149292705877e-10);
  vd sum = splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11 / 12 / 13);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11 / 12);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6 / 7);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5 / 6);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4 / 5);
  sum = sum * r + splat_double(1.0 / 2 / 3 / 4);
  sum = sum * r + splat_double(1.0 / 2 / 3);
  sum = sum * r + splat_double(0.5);
  sum = sum * r + splat_double(1.0);
  sum = sum * r + splat_double(1.0);
  return if_above(x, splat_double(-708.0), sum * power_of_shifted(shifted));
}

/** Adds the partial sums in their tree: 8 → 4 → 2 → 1. */
INLINE double sum8(const vd *sums) {
  double p[8];
  for (int v = 0; v < PARTS; v++) store_doubles(p + v * DOUBLES, sums[v]);
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

/** masses[i] = e^(values[i] − largest); `count` is a multiple of 8. */
static void weigh(double *masses, const float *values, double largest, int count) {
  for (int i = 0; i < count; i += DOUBLES) {
    store_doubles(masses + i, exp_double(load_doubles(values + i) - splat_double(largest)));
  }
}

/** Σ e^(value − largest) over `count` values, a multiple of 8. */
static double sum_exp(const float *values, double largest, int count) {
  vd sums[PARTS];
  for (int v = 0; v < PARTS; v++) sums[v] = splat_double(0.0);
  for (int i = 0; i < count; i += 8) {
    for (int v = 0; v < PARTS; v++) {
      sums[v] = sums[v] + exp_double(load_doubles(values + i + v * DOUBLES) - splat_double(largest));
    }
  }
  return sum8(sums);
}

/** The sum of the masses whose values are above `threshold`; `count` is a multiple of 8. */
static double mass_above(const double *masses, const float *values, double threshold, int count) {
  vd sums[PARTS];
  for (int v = 0; v < PARTS; v++) sums[v] = splat_double(0.0);
  for (int i = 0; i < count; i += 8) {
    for (int v = 0; v < PARTS; v++) {
      const vd mass = read_doubles(masses + i + v * DOUBLES);
      const vd value = load_doubles(values + i + v * DOUBLES);
      sums[v] = sums[v] + if_above(value, splat_double(threshold), mass);
    }
  }
  return sum8(sums);
}

#endif
