// The two functions of each instruction set. `../reference/` defines what they compute, to the bit.
#ifndef GPT2_KERNELS_H
#define GPT2_KERNELS_H

#include <stdint.h>

/** Computes items `first` to `last` of the instruction at an address in `memory`, as thread `part`. */
typedef void run_kernel(uint8_t *memory, uint32_t instruction, int part, int first, int last);

/** Computes a sum. The row scratch at an address in `memory` has its input and gets its result. */
typedef void sum_row_of_logits(uint8_t *memory, int sum, uint32_t scratch);

run_kernel run_avx2, run_avx512;
sum_row_of_logits sum_avx2, sum_avx512;

#endif
