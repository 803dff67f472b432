// Reads a pickle as data. It knows the operations that PyTorch writes, and the names of a `Vocabulary`. Any other operation, name or
// call is an error. A pickle cannot name a function of this process, so it cannot run any code.
// Operations: https://github.com/python/cpython/blob/main/Lib/pickletools.py
import type { GptError } from "../../../errors.ts";
import { quote } from "../../../wording.ts";
import type { ByteCursor } from "./byte-cursor.ts";
import { Callable, Dict, Tuple, type Value } from "./pickle-values.ts";

/** What a pickle may refer to besides plain data. */
export interface Vocabulary {
  /** The value of a Python name. Undefined: the name is unknown. */
  readonly global: (module: string, name: string) => Value | undefined;
  /** The value of a persistent id, which is outside the pickle. Undefined: the id is unknown. */
  readonly persistent: (id: Value) => Value | undefined;
}

/** A tensor takes about 30 operations. gpt2-xl has 581 tensors, and its masks. */
const OPERATIONS_MAX = 1_000_000;
/** Python writes at most 1000 entries of a list or table at once. */
const STACK_MAX = 100_000;
const MARKS_MAX = 1000;
const TEXT_BYTES_MAX = 4096;
const NAME_BYTES_MAX = 256;
const LONG_BYTES_MAX = 16;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Operation = (reader: PickleReader) => void;

const STOP = 0x2e;
/** The operations by their byte. */
const OPERATIONS: Readonly<Record<number, Operation>> = {
  128: (r) => r.protocol(r.cursor.byte()),
  149: (r) => r.cursor.next(8), // FRAME: a hint how much to read at once
  40: (r) => r.mark(),
  // Plain values
  78: (r) => r.push(null),
  136: (r) => r.push(true),
  137: (r) => r.push(false),
  75: (r) => r.push(r.cursor.byte()),
  77: (r) => r.push(r.cursor.next(2).readUInt16LE()),
  74: (r) => r.push(r.cursor.next(4).readInt32LE()),
  138: (r) => r.push(r.long(r.cursor.byte())),
  71: (r) => r.push(r.cursor.next(8).readDoubleBE()),
  88: (r) => r.push(r.text(r.cursor.next(4).readUInt32LE())),
  140: (r) => r.push(r.text(r.cursor.byte())),
  85: (r) => r.push(r.text(r.cursor.byte())), // SHORT_BINSTRING, by Python 2
  // Lists and tables
  41: (r) => r.push(new Tuple([])),
  93: (r) => r.push([]),
  125: (r) => r.push(new Dict()),
  116: (r) => r.push(new Tuple(r.popToMark())),
  133: (r) => r.push(new Tuple(r.popSome(1))),
  134: (r) => r.push(new Tuple(r.popSome(2))),
  135: (r) => r.push(new Tuple(r.popSome(3))),
  97: (r) => r.append(r.popSome(1)),
  101: (r) => r.append(r.popToMark()),
  115: (r) => r.setItems(r.popSome(2)),
  117: (r) => r.setItems(r.popToMark()),
  // Memory
  113: (r) => r.memo.set(r.cursor.byte(), r.top()),
  114: (r) => r.memo.set(r.cursor.next(4).readUInt32LE(), r.top()),
  148: (r) => r.memo.set(r.memo.size, r.top()),
  104: (r) => r.push(r.remembered(r.cursor.byte())),
  106: (r) => r.push(r.remembered(r.cursor.next(4).readUInt32LE())),
  // Names and calls
  99: (r) => r.global(r.line(), r.line()),
  147: (r) => r.stackGlobal(),
  81: (r) => r.persistent(),
  82: (r) => r.reduce(),
  98: (r) => r.build(),
};

/**
 * Reads the pickle at the cursor, and returns its value. The cursor is then after the pickle.
 * @throws GptError `invalid_checkpoint`
 */
export function readPickle(cursor: ByteCursor, vocabulary: Vocabulary): Value {
  return new PickleReader(cursor, vocabulary).read();
}

class PickleReader {
  readonly cursor: ByteCursor;
  readonly memo = new Map<number, Value>();
  readonly #vocabulary: Vocabulary;
  readonly #stack: Value[] = [];
  /** The height of the stack at each mark. */
  readonly #marks: number[] = [];

  constructor(cursor: ByteCursor, vocabulary: Vocabulary) {
    this.cursor = cursor;
    this.#vocabulary = vocabulary;
  }

  read(): Value {
    for (let done = 0; done < OPERATIONS_MAX; done++) {
      const code = this.cursor.byte();
      if (code === STOP) return this.#result();
      const operation = OPERATIONS[code];
      if (operation === undefined) {
        const hex = code.toString(16).padStart(2, "0");
        throw this.#invalid(`uses operation 0x${hex}, which no weights need; nothing of it was run`);
      }
      operation(this);
    }
    throw this.#invalid(`has more than ${OPERATIONS_MAX} operations`);
  }

  #result(): Value {
    const [value, ...others] = this.#stack;
    if (value === undefined || others.length > 0 || this.#marks.length > 0) {
      throw this.#invalid("ends with more or less than one value");
    }
    return value;
  }

  push(value: Value): void {
    if (this.#stack.length === STACK_MAX) throw this.#invalid(`has more than ${STACK_MAX} open values`);
    this.#stack.push(value);
  }

  mark(): void {
    if (this.#marks.length === MARKS_MAX) throw this.#invalid(`is nested deeper than ${MARKS_MAX} levels`);
    this.#marks.push(this.#stack.length);
  }

  /** Removes values from the top of the stack. Values below the last mark cannot be removed. */
  popSome(count: number): Value[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length - count < floor) throw this.#invalid("takes a value where none is");
    return this.#stack.splice(this.#stack.length - count);
  }

  popToMark(): Value[] {
    const floor = this.#marks.pop();
    if (floor === undefined) throw this.#invalid("takes values to a mark where none is");
    return this.#stack.splice(floor);
  }

  top(): Value {
    const [value] = this.popSome(1) as [Value];
    this.#stack.push(value);
    return value;
  }

  remembered(index: number): Value {
    const value = this.memo.get(index);
    if (value === undefined) throw this.#invalid(`recalls value ${index}, which it has not stored`);
    return value;
  }

  protocol(version: number): void {
    if (version < 2 || version > 5) throw this.#invalid(`has protocol ${version}, expected 2 to 5`);
  }

  /** An integer of `count` bytes in two's complement, little-endian. */
  long(count: number): number | bigint {
    if (count > LONG_BYTES_MAX) throw this.#invalid(`has a number of ${count} bytes`);
    const hex = Buffer.from(this.cursor.next(count)).reverse().toString("hex");
    const value = BigInt.asIntN(8 * count, BigInt(`0x${hex || "0"}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  text(count: number): string {
    if (count > TEXT_BYTES_MAX) {
      throw this.#invalid(`has a text of ${count} bytes, at most ${TEXT_BYTES_MAX} are read`);
    }
    return this.#decode(this.cursor.next(count));
  }

  line(): string {
    const bytes: number[] = [];
    for (let byte = this.cursor.byte(); byte !== 0x0a; byte = this.cursor.byte()) {
      if (bytes.push(byte) > NAME_BYTES_MAX) throw this.#invalid("names something at too great length");
    }
    return this.#decode(Uint8Array.from(bytes));
  }

  #decode(bytes: Uint8Array): string {
    try {
      return UTF8.decode(bytes);
    } catch {
      throw this.#invalid("has a text that is not UTF-8");
    }
  }

  append(values: Value[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.#invalid("appends to what is no list");
    for (const value of values) list.push(value);
  }

  setItems(values: Value[]): void {
    const dict = this.top();
    if (!(dict instanceof Dict) || values.length % 2 !== 0) {
      throw this.#invalid("sets an item of what is no dictionary");
    }
    for (let i = 0; i < values.length; i += 2) dict.entries.set(values[i] as Value, values[i + 1] as Value);
  }

  global(module: string, name: string): void {
    const value = this.#vocabulary.global(module, name);
    if (value === undefined) {
      const what = quote(`${module}.${name}`);
      throw this.#invalid(`asks for ${what}, which no weights need; nothing of it was run`);
    }
    this.push(value);
  }

  stackGlobal(): void {
    const [module, name] = this.popSome(2);
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.#invalid("asks for something by a name that is no text");
    }
    this.global(module, name);
  }

  persistent(): void {
    const value = this.#vocabulary.persistent(this.popSome(1)[0] as Value);
    if (value === undefined)
      throw this.#invalid("refers to outside of itself by something else than a storage");
    this.push(value);
  }

  reduce(): void {
    const [callable, args] = this.popSome(2);
    if (!(callable instanceof Callable && args instanceof Tuple)) {
      throw this.#invalid("calls what is no function");
    }
    const value = callable.call(args.items);
    if (value === undefined) throw this.#invalid(`calls ${callable.name} with other arguments than it has`);
    this.push(value);
  }

  /** Sets attributes of a Python object. Here that can only be a dictionary, whose attributes (`_metadata`) are ignored. */
  build(): void {
    this.popSome(1);
    if (!(this.top() instanceof Dict)) throw this.#invalid("sets attributes of what is no dictionary");
  }

  #invalid(problem: string): GptError {
    return this.cursor.file.invalid(`its pickle ${problem} (before byte ${this.cursor.position})`);
  }
}
