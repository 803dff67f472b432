// Pages of keys and values: addresses in them, and the kernel that stores the keys and values of a pass, as f32 or in 8 bits.
// `attention.ts` reads them, and describes the layout.
import { KV_MAX, KV_SCALE_BYTES, LINE_BYTES, PAGE_POSITIONS, StoreKvInstruction, VALUE_UNIT } from "./numbers.generated";
import { padded, rowBytes } from "./shapes";

const LARGEST: f32 = <f32>KV_MAX;

/** Bytes of the values of one position. */
// @ts-ignore: decorator
@inline
export function valueBytes<T>(headSize: i32): usize {
  return <usize>padded(headSize, VALUE_UNIT) * sizeof<T>();
}

/** Bytes of one head's keys in a page. The values follow. */
// @ts-ignore: decorator
@inline
export function keysBytes<T>(headSize: i32): usize {
  return <usize>(headSize * PAGE_POSITIONS) * sizeof<T>();
}

/** Bytes of one head of one layer in a page. With 8 bits the scales are the last bytes, and the size is whole cache lines. */
// @ts-ignore: decorator
@inline
export function headBytes<T>(headSize: i32): usize {
  const numbers = keysBytes<T>(headSize) + <usize>PAGE_POSITIONS * valueBytes<T>(headSize);
  return isFloat<T>() ? numbers : padded(<i32>numbers + 2 * KV_SCALE_BYTES * PAGE_POSITIONS, LINE_BYTES);
}

/**
 * The address in the page of a position that corresponds to the address `pages` in page 0. `table`: the sequence's page numbers.
 */
// @ts-ignore: decorator
@inline
export function pageOf(pages: usize, pageBytes: usize, table: usize, position: u32): usize {
  return pages + <usize>load<i32>(table + (<usize>(position / PAGE_POSITIONS) << 2)) * pageBytes;
}

/** Items `first` to `last` of rows × heads: stores keys and values in the row's page. qkv: [rows, 3·heads·headSize]. */
export function storeKv<T>(a: StoreKvInstruction, first: i32, last: i32): void {
  const heads = a.heads;
  const headSize = a.headSize;
  const width = heads * headSize;
  const stride = rowBytes(3 * width);
  for (let item = first; item < last; item++) {
    const row = <usize>(item / heads);
    const head = item % heads;
    const position = load<u32>(a.positions + (row << 2));
    const table = <usize>load<i32>(a.pageTables + (row << 2));
    const inPage = pageOf(a.pages, a.pageBytes, table, position) + <usize>head * headBytes<T>(headSize);
    const slot = <usize>(position % PAGE_POSITIONS);
    const k = a.qkv + row * stride + (<usize>(width + head * headSize) << 2);
    const v = k + (<usize>width << 2);
    const keys = inPage + slot * sizeof<T>();
    const values = inPage + keysBytes<T>(headSize) + slot * valueBytes<T>(headSize);
    if (isFloat<T>()) {
      for (let i: usize = 0; i < <usize>headSize; i++) {
        store<f32>(keys + i * PAGE_POSITIONS * sizeof<T>(), load<f32>(k + (i << 2)));
        store<f32>(values + (i << 2), load<f32>(v + (i << 2)));
      }
    } else {
      const scales = inPage + headBytes<T>(headSize) + (slot - 2 * PAGE_POSITIONS) * KV_SCALE_BYTES;
      store<u16>(scales, quantizeHead(keys, PAGE_POSITIONS, k, headSize));
      store<u16>(scales + PAGE_POSITIONS * KV_SCALE_BYTES, quantizeHead(values, 1, v, headSize));
    }
    for (let i = <usize>headSize * sizeof<T>(); i < valueBytes<T>(headSize); i++) store<u8>(values + i, 0);
  }
}

/**
 * Stores `size` floats as bytes that are `step` bytes apart. Returns the bits of their scale, rounded up so that none is above
 * 127.
 */
function quantizeHead(out: usize, step: usize, x: usize, size: i32): u16 {
  const end = x + (<usize>size << 2);
  let most = f32x4.splat(0);
  let p = x;
  for (; p + 16 <= end; p += 16) most = f32x4.max(most, f32x4.abs(v128.load(p)));
  let largest = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  for (; p < end; p += 4) largest = max(largest, abs(load<f32>(p)));
  const bits = bf16Above(largest / LARGEST);
  const quotient: f32 = <f32>1 / reinterpret<f32>(<u32>bits << 16);
  const inverse: f32 = quotient < Infinity ? quotient : 0;
  const v = f32x4.splat(inverse);
  for (; x + 16 <= end; x += 16, out += 4 * step) {
    const four = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), v)));
    store<i8>(out, <i8>i32x4.extract_lane(four, 0));
    store<i8>(out + step, <i8>i32x4.extract_lane(four, 1));
    store<i8>(out + 2 * step, <i8>i32x4.extract_lane(four, 2));
    store<i8>(out + 3 * step, <i8>i32x4.extract_lane(four, 3));
  }
  for (; x < end; x += 4, out += step) store<i8>(out, <i8>(<i32>nearest<f32>(load<f32>(x) * inverse)));
  return bits;
}

/** The bits of the smallest bfloat16 that is not below x ≥ 0. */
// @ts-ignore: decorator
@inline
function bf16Above(x: f32): u16 {
  if (x != x) return 0x7fc0;
  return <u16>((reinterpret<u32>(x) + 0xffff) >>> 16);
}
