// Sizes of rows and groups in memory. `../memory.ts` and `../program.ts` compute the same for TypeScript.
import { GROUP, PANEL, ROW_UNIT } from "./numbers.generated";

/** Bytes of the weights of one k in a panel; also of one row's sums of a panel. */
export const PANEL_BYTES: usize = 4 * PANEL;

/** `count` rounded up to a multiple of `unit`, a power of two. */
// @ts-ignore: decorator
@inline
export function padded(count: i32, unit: i32): i32 {
  return (count + unit - 1) & -unit;
}

/** Bytes from one row of floats to the next. */
// @ts-ignore: decorator
@inline
export function rowBytes(width: i32): usize {
  return <usize>padded(width, ROW_UNIT) << 2;
}

/** Groups along k; the last one may be incomplete. */
// @ts-ignore: decorator
@inline
export function countGroups(width: i32): i32 {
  return padded(width, GROUP) / GROUP;
}
