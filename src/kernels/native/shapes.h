// How rows, groups and heads lie in memory, as `../memory.ts` and `../program.ts` have it, and how rows are cut into tiles.
#ifndef GPT2_SHAPES_H
#define GPT2_SHAPES_H

#include "numbers.generated.h"

#define INLINE static inline __attribute__((always_inline))
/** A function that is never inlined, so that its loops have all registers for their sums. */
#define APART static __attribute__((noinline))

#define VECTORS (PANEL / LANES) // of a panel

// A panel, a block, the positions of a page and the partial sums of a row are whole vectors, and as many.
_Static_assert(PANEL % LANES == 0 && BLOCK == PANEL && PAGE_POSITIONS == PANEL && ROW_UNIT == PANEL, "vectors");
_Static_assert(ATTENTION_ROWS <= ATTENTION_ROWS_MAX, "scratch");

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/** `count` rounded up to a multiple of `unit`. */
INLINE size_t padded(int count, int unit) { return (size_t)((count + unit - 1) / unit) * (size_t)unit; }

/** Floats from one row to the next. */
INLINE size_t row_stride(int width) { return padded(width, ROW_UNIT); }

/** Groups along k; the last one may be incomplete. */
INLINE int count_groups(int width) { return (width + GROUP - 1) / GROUP; }

/** As few tiles as possible for `rows` rows, at most `most` in each. */
INLINE int count_tiles(int rows, int most) { return (rows + most - 1) / most; }

/** Rows of each of them but the last, which may have fewer: about the same number. */
INLINE int tile_rows(int rows, int most) { return count_tiles(rows, count_tiles(rows, most)); }

/** What lies at an address of linear memory; address 0 means nothing. */
INLINE void *at(uint8_t *memory, uint32_t address) { return address ? memory + address : NULL; }

/** The scratch of thread `part`. */
INLINE void *scratch_of(uint8_t *memory, uint32_t scratch, int scratch_bytes, int part) {
  return memory + scratch + (size_t)part * (size_t)scratch_bytes;
}

#endif
