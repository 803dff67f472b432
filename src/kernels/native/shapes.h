// How rows lie in memory and how they are cut into tiles.
#ifndef GPT2_SHAPES_H
#define GPT2_SHAPES_H

#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

#define VECTORS (16 / LANES) // of a panel of 16 outputs

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/** Floats from one row to the next: the same as `rowStride` in `../memory.ts`. */
INLINE size_t row_stride(int width) { return (size_t)((width + 15) & ~15); }

/** As few tiles as possible for `rows` rows, at most `most` in each. */
INLINE int count_tiles(int rows, int most) { return (rows + most - 1) / most; }

/** Rows of each of them but the last, which may have fewer: about the same number. */
INLINE int tile_rows(int rows, int most) { return count_tiles(rows, count_tiles(rows, most)); }

#endif
