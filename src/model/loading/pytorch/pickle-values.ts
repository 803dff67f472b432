// The values that a pickle can have here: numbers, texts, lists, tables, and stand-ins for the few Python names that a state dict
// needs. None of them can run code, and no object is created by a name in a file.

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Value[]
  | Tuple
  | Dict
  | Callable
  | StorageType
  | Storage
  | TensorView;

/** A Python tuple. */
export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** A Python dictionary, ordered or not. It is a Map, so that `__proto__` is a key like any other. */
export class Dict {
  readonly entries = new Map<Value, Value>();
}

/** A stand-in for a Python function that a pickle may call. */
export class Callable {
  readonly name: string;
  /** Undefined: the arguments are wrong. */
  readonly call: (args: readonly Value[]) => Value | undefined;

  constructor(name: string, call: Callable["call"]) {
    this.name = name;
    this.call = call;
  }
}

/** The type of a storage's numbers. */
export class StorageType {
  /** As safetensors names it. */
  readonly dtype: string;
  readonly bytes: number;

  constructor(dtype: string, bytes: number) {
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

/** A list of numbers in the file, outside of the pickle. */
export class Storage {
  readonly type: StorageType;
  readonly key: string;
  readonly length: number;

  constructor(type: StorageType, key: string, length: number) {
    this.type = type;
    this.key = key;
    this.length = length;
  }
}

/** Where a tensor's numbers are in a storage. They never reach beyond its end. */
export class TensorView {
  readonly storage: Storage;
  /** Index of the first number. `strides` are also counted in numbers. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}
