// Sizes of rows and groups in memory, and how rows are cut into tiles. `../memory.ts` and `../program.ts` compute the same
// sizes for TypeScript.
#ifndef GPT2_SHAPES_H
#define GPT2_SHAPES_H

#include "numbers.generated.h"

#define INLINE static inline __attribute__((always_inline))
/** Not inlined. So the compiler gives the loops of this function all registers for their sums. */
#define APART static __attribute__((noinline))

#define VECTORS (PANEL / LANES) // of a panel

// The kernels use one number of vectors for a panel, a block, the positions of a page and the partial sums of a row.
_Static_assert(PANEL % LANES == 0 && BLOCK == PANEL && PAGE_POSITIONS == PANEL && ROW_UNIT == PANEL, "vectors");
_Static_assert(ATTENTION_ROWS <= ATTENTION_ROWS_MAX, "scratch");

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/** `count` rounded up to a multiple of `unit`. */
INLINE size_t padded(int count, int unit) { return (size_t)((count + unit - 1) / unit) * (size_t)unit; }

/** Floats from one row to the next. */
INLINE size_t row_stride(int width) { return padded(width, ROW_UNIT); }

/** Groups along k; the last one may be incomplete. */
INLINE int count_groups(int width) { return (width + GROUP - 1) / GROUP; }

/** The smallest number of tiles for `rows` rows, if a tile has at most `most` rows. */
INLINE int count_tiles(int rows, int most) { return (rows + most - 1) / most; }

/** Rows of a tile, about the same number in each. The last tile may have fewer. */
INLINE int tile_rows(int rows, int most) { return count_tiles(rows, count_tiles(rows, most)); }

/** A pointer to an address of linear memory. Address 0 means "none", and gives NULL. */
INLINE void *at(uint8_t *memory, uint32_t address) { return address ? memory + address : NULL; }

/** The scratch of thread `part`. */
INLINE void *scratch_of(uint8_t *memory, uint32_t scratch, int scratch_bytes, int part) {
  return memory + scratch + (size_t)part * (size_t)scratch_bytes;
}

#endif
