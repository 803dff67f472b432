// The kernels for processors with AVX2.
#include "vectors-avx2.h"

#include "execute.h"

void run_avx2(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  run_instruction(memory, instruction, part, first, last);
}

void sum_avx2(uint8_t *memory, int sum, uint32_t scratch) { compute_row_sum(memory, sum, scratch); }
