// The kernels of one instruction set, behind one function. What they compute, and every bit of it, is defined by
// `../reference.ts`; instructions are laid out by `../program.ts`.
#ifndef GPT2_KERNELS_H
#define GPT2_KERNELS_H

#include <stdint.h>

/** Runs the items `first` to `last` of the instruction at an address of `memory`, as thread `part`. */
typedef void execute(uint8_t *memory, uint32_t instruction, int part, int first, int last);

execute execute_avx2;
execute execute_avx512;

#endif
