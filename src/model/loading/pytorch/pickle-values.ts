// All that a pickle can become here: numbers, texts, lists, tables, and tokens for the few Python names that the state of a
// model needs. Nothing in it can be run, and no object is ever made by a name that stands in a file.

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

/** A list that does not change. */
export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** A Python dictionary, ordered or not. A map, so that a key such as `__proto__` is a key. */
export class Dict {
  readonly entries = new Map<Value, Value>();
}

/** One of the functions of Python that a pickle may ask for, as what it does to data. */
export class Callable {
  readonly name: string;
  /** Undefined: these arguments are none of its own. */
  readonly call: (args: readonly Value[]) => Value | undefined;

  constructor(name: string, call: Callable["call"]) {
    this.name = name;
    this.call = call;
  }
}

/** The type of all numbers of a storage. */
export class StorageType {
  /** As safetensors names it. */
  readonly dtype: string;
  readonly bytes: number;

  constructor(dtype: string, bytes: number) {
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

/** A row of numbers that lies in the file outside of the pickle. */
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

/** Where the numbers of a tensor lie in a storage: always inside of it. */
export class TensorView {
  readonly storage: Storage;
  /** Of the first number, in numbers; so are the strides. */
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
