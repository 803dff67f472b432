// Reads the arguments of an instruction and calls its kernel. Included once for each instruction set, after its vectors.
#include <string.h>

#include "kernels.h"

#include "shapes.h"
#include "vector-math.h"

#include "attention.h"
#include "int8.h"
#include "logits.h"
#include "matmul.h"
#include "rows.h"

// The same numbers as `OP` in `../program.ts`; NATIVE_OPS in `../native.ts` names those that come here.
enum { LAYER_NORM = 2, MATMUL = 3, STORE_KV = 4, ATTENTION = 5, QUANTIZE = 8, MATMUL_INT8 = 9, READ_MEMORY = 11 };
enum { WEIGH = 12, SUM_EXP = 13, MASS_ABOVE = 14 };

union argument {
  uint32_t address;
  int32_t number;
  float real;
};

/** Doubles take two arguments; the last two hold what comes back. */
enum { BOUND = 4, RESULT = 6 };

static void run_instruction(uint8_t *memory, uint32_t instruction, int part, int first, int last) {
  const union argument *a = (const union argument *)(memory + instruction);
#define AT(i) ((void *)(memory + a[i].address))
#define AT_OR_NONE(i) (a[i].address ? AT(i) : NULL)
  switch (a[0].number) {
    case MATMUL:
      matmul(AT(2), AT(3), AT(4), AT_OR_NONE(5), a[6].number, a[7].number, a[8].number, a[9].number, first, last);
      break;
    case ATTENTION: {
      float *scratch = (float *)(memory + a[11].address + (size_t)part * a[12].address);
      attention(memory, AT(2), AT(3), AT(4), AT(5), a[6].number, a[7].number, a[8].real, AT(9), a[10].address, scratch,
                a[12].address / sizeof(float) / ATTENTION_ROWS, first, last);
      break;
    }
    case LAYER_NORM:
      layer_norm(AT(2), AT(3), AT(4), AT(5), a[6].number, a[7].real, first, last);
      break;
    case STORE_KV: {
      const struct pages pages = {memory, AT(3), AT(4), AT(7), a[8].address};
      store_kv(&pages, AT(2), a[5].number, a[6].number, first, last);
      break;
    }
    case READ_MEMORY:
      read_memory(AT(2), (int32_t *)(memory + a[3].address + (size_t)part * a[4].address), first, last);
      break;
    case WEIGH:
      weigh(AT(2), AT(3), *(const double *)&a[BOUND], last);
      break;
    case SUM_EXP:
      *(double *)(memory + instruction + RESULT * sizeof(*a)) = sum_exp(AT(3), *(const double *)&a[BOUND], last);
      break;
    case MASS_ABOVE:
      *(double *)(memory + instruction + RESULT * sizeof(*a)) =
          mass_above(AT(2), AT(3), *(const double *)&a[BOUND], last);
      break;
    case QUANTIZE:
      quantize(AT(2), AT(3), AT(4), a[5].number, a[6].number, first, last);
      break;
    case MATMUL_INT8:
      matmul_int8(AT(2), AT(3), AT(4), AT(5), AT_OR_NONE(6), a[7].number, a[8].number, a[9].number, a[10].number, first,
                  last);
      break;
  }
}
