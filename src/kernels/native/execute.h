// Dispatches an instruction to its kernel. Included once for each instruction set, after its vectors. `../numbers.ts` lists the
// kernels with a native form and their arguments.
#include <string.h>

#include "kernels.h"

#include "shapes.h"
#include "vector-math.h"

#include "attention.h"
#include "int8.h"
#include "logits.h"
#include "matmul.h"
#include "rows.h"

static void run_instruction(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  const void *a = memory + instruction;
  switch (*(const int32_t *)a) {
    case OP_MATMUL: matmul(memory, a, first, last); break;
    case OP_ATTENTION: attention(memory, a, part, first, last); break;
    case OP_ATTENTION_INT8: attention_int8(memory, a, part, first, last); break;
    case OP_LAYER_NORM: layer_norm(memory, a, first, last); break;
    case OP_STORE_KV: store_kv(memory, a, first, last); break;
    case OP_STORE_KV_INT8: store_kv_int8(memory, a, first, last); break;
    case OP_READ_MEMORY: read_memory(memory, a, part, first, last); break;
    case OP_QUANTIZE: quantize(memory, a, first, last); break;
    case OP_MATMUL_INT8: matmul_int8(memory, a, first, last); break;
    case OP_QUANTIZE_ROTATED: quantize_rotated(memory, a, first, last); break;
    case OP_MATMUL_ROTATED: matmul_rotated(memory, a, first, last); break;
  }
}

static void compute_row_sum(uint8_t *memory, int sum, uint32_t scratch) {
  struct row_scratch *s = at(memory, scratch);
  const float *values = at(memory, s->input);
  double *masses = at(memory, s->masses);
  switch (sum) {
    case ROW_SUMS_WEIGHTS: weigh(masses, values, s->bound, s->count); break;
    case ROW_SUMS_TOTAL: s->result = sum_exp(values, s->bound, s->count); break;
    case ROW_SUMS_ABOVE: s->result = mass_above(masses, values, s->bound, s->count); break;
  }
}
