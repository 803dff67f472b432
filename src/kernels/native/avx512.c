// The kernels for processors with AVX-512 and VNNI.
#include "vectors-avx512.h"

#include "execute.h"

void execute_avx512(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  run_instruction(memory, instruction, part, first, last);
}
