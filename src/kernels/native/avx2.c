// The kernels for processors with AVX2.
#include "vectors-avx2.h"

#include "execute.h"

void execute_avx2(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  run_instruction(memory, instruction, part, first, last);
}
