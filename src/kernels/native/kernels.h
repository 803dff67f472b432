// The kernels of one instruction set, behind two functions. What they compute, and every bit of it, is defined by
// `../reference/`.
#ifndef GPT2_KERNELS_H
#define GPT2_KERNELS_H

#include <stdint.h>

/** Runs the items `first` to `last` of the instruction at an address of `memory`, as thread `part`. */
typedef void run_kernel(uint8_t *memory, uint32_t instruction, int part, int first, int last);

/** Computes a sum over what the row scratch at an address of `memory` names, and stores it there. */
typedef void sum_row_of_logits(uint8_t *memory, int sum, uint32_t scratch);

run_kernel run_avx2, run_avx512;
sum_row_of_logits sum_avx2, sum_avx512;

#endif
