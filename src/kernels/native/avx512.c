// The kernels for processors with AVX-512 and VNNI.
#include "vectors-avx512.h"

#include "execute.h"

void run_avx512(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  run_instruction(memory, instruction, part, first, last);
}

void sum_avx512(uint8_t *memory, int sum, uint32_t scratch) { compute_row_sum(memory, sum, scratch); }
