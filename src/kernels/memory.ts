// One linear memory shared by all threads, and the arena that lays it out. Everything is allocated once, at the start. Addresses
// are byte offsets. Nothing here knows what the memory is used for.
import { GptError } from "../errors.ts";
import { CONTROL_BYTES, LINE_BYTES, ROW_UNIT } from "./numbers.ts";

/** Floats from one row of activations to the next: the width, rounded up to whole vectors. */
export function rowStride(width: number): number {
  return Math.ceil(width / ROW_UNIT) * ROW_UNIT;
}

const PAGE_BYTES = 65536;
/** WebAssembly addresses memory with 32 bits. */
export const MEMORY_BYTES_MAX = 2 ** 32 - PAGE_BYTES;

/** V8 reserves guard addresses around a memory, so that it need not check the bounds of every access. */
const ADDRESS_SPACE_GIB = 10;

/** Hands out addresses in ascending order. `size` is how many bytes the memory needs. */
export class Arena {
  /** The threads' control block is at address 0. So no operand is, and address 0 can mean "none". */
  #next = CONTROL_BYTES;

  /** Reserves `bytes` on a cache-line boundary and returns the address. */
  allocate(bytes: number): number {
    const address = Math.ceil(this.#next / LINE_BYTES) * LINE_BYTES;
    this.#next = address + bytes;
    return address;
  }

  floats(count: number): number {
    return this.allocate(count * 4);
  }

  get size(): number {
    return this.#next;
  }
}

/**
 * WebAssembly's memory. The type `WebAssembly.Memory` is not used, because it exists only for programs that include the DOM's
 * types, and the package's types must work for all.
 */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** Shared memory with the typed views that TypeScript reads and writes it through. */
export class LinearMemory {
  readonly wasm: SharedMemory;
  readonly f32: Float32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;

  /** @throws GptError `invalid_config` when `bytes` is more than WebAssembly can address or the machine can give. */
  constructor(bytes: number) {
    const gib = (bytes / 2 ** 30).toFixed(1);
    if (bytes > MEMORY_BYTES_MAX) {
      throw new GptError(
        "invalid_config",
        `${gib} GiB are needed, and WebAssembly memory ends at 4 GiB: ` +
          "use --precision int8, a smaller checkpoint or a smaller --kv-cache-mb",
      );
    }
    const pages = Math.ceil(bytes / PAGE_BYTES);
    try {
      this.wasm = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (error) {
      throw new GptError(
        "invalid_config",
        `${gib} GiB of memory cannot be had: this machine has no more, or the address space of the process is limited ` +
          `(ulimit -v), of which WebAssembly reserves ${ADDRESS_SPACE_GIB} GiB for any memory`,
        { cause: error },
      );
    }
    this.f32 = new Float32Array(this.wasm.buffer);
    this.i32 = new Int32Array(this.wasm.buffer);
    this.f64 = new Float64Array(this.wasm.buffer);
  }

  /** A view of `count` floats at `address`. */
  floats(address: number, count: number): Float32Array {
    return this.f32.subarray(address >>> 2, (address >>> 2) + count);
  }

  /** A view of `count` bytes at `address`. */
  bytes(address: number, count: number): Uint8Array {
    return new Uint8Array(this.wasm.buffer, address, count);
  }

  /** A view of `count` integers at `address`. */
  ints(address: number, count: number): Int32Array {
    return this.i32.subarray(address >>> 2, (address >>> 2) + count);
  }

  /** A view of `count` doubles at `address`. */
  doubles(address: number, count: number): Float64Array {
    return this.f64.subarray(address >>> 3, (address >>> 3) + count);
  }
}
