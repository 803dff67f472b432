// Writes files as `torch.save` does, in both of its formats, and single pickle operations for malicious files. conformance/pytorch
// checks it against PyTorch.

/** Pickle operations, and values that consist of several. */
export const op = {
  proto: (version = 2) => Buffer.of(0x80, version),
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  stackGlobal: (module: string, name: string) =>
    Buffer.concat([op.shortText(module), op.shortText(name), Buffer.of(0x93)]),
  text: (text: string) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([Buffer.from("X"), u32(bytes.length), bytes]);
  },
  shortText: (text: string) => Buffer.concat([Buffer.of(0x8c, Buffer.byteLength(text)), Buffer.from(text)]),
  /** An integer in its shortest form, as Python writes it. */
  int: (value: number) => {
    if (value >= 0 && value < 256) return Buffer.of(0x4b, value);
    if (value >= 0 && value < 65_536) return Buffer.concat([Buffer.from("M"), u16(value)]);
    if (value === (value | 0)) return Buffer.concat([Buffer.from("J"), u32(value >>> 0)]);
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return Buffer.concat([Buffer.of(0x8a, 8), bytes]);
  },
  mark: Buffer.from("("),
  none: Buffer.from("N"),
  false: Buffer.of(0x89),
  true: Buffer.of(0x88),
  emptyTuple: Buffer.from(")"),
  emptyList: Buffer.from("]"),
  emptyDict: Buffer.from("}"),
  tuple: (...items: readonly Buffer[]) => Buffer.concat([op.mark, ...items, Buffer.from("t")]),
  setItems: (...items: readonly Buffer[]) => Buffer.concat([op.mark, ...items, Buffer.from("u")]),
  appends: (...items: readonly Buffer[]) => Buffer.concat([op.mark, ...items, Buffer.from("e")]),
  put: (index: number) => Buffer.of(0x71, index),
  get: (index: number) => Buffer.of(0x68, index),
  reduce: Buffer.from("R"),
  build: Buffer.from("b"),
  persistent: Buffer.from("Q"),
  stop: Buffer.from("."),
} as const;

export interface SavedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number type, with the name of safetensors. */
  readonly dtype: string;
  /** The numbers of the whole storage. */
  readonly bytes: Uint8Array;
  /** Strides in numbers. Default: row-major. */
  readonly strides?: readonly number[];
  /** Index of the first number in the storage. */
  readonly offset?: number;
  /** Tensors with the same key share the storage of the first of them. */
  readonly storage?: string;
}

const TYPES: Record<string, readonly [name: string, bytes: number]> = {
  F64: ["Double", 8],
  F32: ["Float", 4],
  F16: ["Half", 2],
  BF16: ["BFloat16", 2],
  I64: ["Long", 8],
  U8: ["Byte", 1],
  BOOL: ["Bool", 1],
};

export interface StateDictOptions {
  readonly isLegacy?: boolean;
  /** Pickle protocol. From 4 on, names are taken from the stack. */
  readonly protocol?: number;
  /** True: with the metadata that a module's `state_dict()` has. */
  readonly metadata?: boolean;
  /** True: the tensors are in a dictionary under the key `state_dict`. */
  readonly nested?: boolean;
}

export interface SavedStorage {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** The pickle of a state dict, and the storages that it names. */
export function stateDictPickle(tensors: readonly SavedTensor[], options: StateDictOptions = {}) {
  const { isLegacy = false, protocol = 2, metadata = false, nested = false } = options;
  const global = protocol >= 4 ? op.stackGlobal : op.global;
  const dict = Buffer.concat([global("collections", "OrderedDict"), op.emptyTuple, op.reduce]);
  const storages = new Map<string, SavedStorage>();
  const items = tensors.flatMap((tensor, i) => {
    const { name, shape, dtype, bytes, offset = 0, storage: key = String(i) } = tensor;
    const [type, width] = TYPES[dtype] as readonly [string, number];
    const stored = storages.get(key) ?? { key, bytes, length: bytes.length / width };
    storages.set(key, stored);
    const id = [op.text("storage"), global("torch", `${type}Storage`), op.text(key), op.text("cpu")];
    const storage = op.tuple(...id, op.int(stored.length), ...(isLegacy ? [op.none] : []));
    const sizes = op.tuple(...shape.map(op.int));
    const strides = op.tuple(...(tensor.strides ?? rowMajor(shape)).map(op.int));
    const args = op.tuple(storage, op.persistent, op.int(offset), sizes, strides, op.false, dict);
    return [op.text(name), global("torch._utils", "_rebuild_tensor_v2"), args, op.reduce];
  });
  const state = Buffer.concat([
    ...[dict, op.setItems(...items)],
    ...(metadata ? [op.emptyDict, op.setItems(op.text("_metadata"), dict), op.build] : []),
  ]);
  const top = nested
    ? [op.emptyDict, op.setItems(op.text("epoch"), op.int(3), op.text("state_dict"), state)]
    : [state];
  const pickle = Buffer.concat([op.proto(protocol), ...top, op.stop]);
  return { pickle, storages: [...storages.values()] };
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, i) => shape.slice(i + 1).reduce((product, n) => product * n, 1));
}

export interface ZipItem {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** False values for the fields of the zip's directory. */
  readonly listed?: { readonly size?: number; readonly packed?: number; readonly position?: number };
  readonly method?: number;
  readonly flags?: number;
}

/** A zip file as PyTorch writes it: sizes after the data, data aligned to 64 bytes. */
export function zipOf(items: readonly ZipItem[], { zip64 = false } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const add = (...buffers: readonly Buffer[]) => {
    for (const buffer of buffers) at += parts.push(buffer) && buffer.length;
  };
  for (const { name, bytes, listed = {}, method = 0, flags = 0x0808 } of items) {
    const position = at;
    const rawName = Buffer.from(name);
    const padding = -(at + 30 + rawName.length + 4) & 63;
    const fixed = [u16(0), u16(flags), u16(method), u32(0), u32(0)]; // version, …, time and date, CRC
    add(u32(0x04034b50), ...fixed, u32(0), u32(0), u16(rawName.length), u16(padding + 4), rawName);
    add(u16(0x4246), u16(padding), Buffer.alloc(padding, "Z"));
    add(Buffer.from(bytes), u32(0x08074b50), u32(0), u32(bytes.length), u32(bytes.length));
    const { size = bytes.length, packed = size, position: listedAt = position } = listed;
    const [short, extra] = zip64
      ? [
          [u32(0xffffffff), u32(0xffffffff)],
          [u16(1), u16(24), u64(size), u64(packed), u64(listedAt)],
        ]
      : [[u32(packed), u32(size)], []];
    const extraBytes = Buffer.concat(extra);
    directory.push(u32(0x02014b50), u16(0), ...fixed, ...short, u16(rawName.length), u16(extraBytes.length));
    directory.push(Buffer.alloc(10), u32(zip64 ? 0xffffffff : listedAt), rawName, extraBytes);
  }
  const begin = at;
  add(...directory);
  const size = at - begin;
  if (zip64) {
    const end = at;
    add(u32(0x06064b50), u64(44), u32(0), u32(0), u32(0), u64(items.length), u64(items.length));
    add(u64(size), u64(begin), u32(0x07064b50), u32(0), u64(end), u32(1));
  }
  const counts = zip64 ? [u16(0xffff), u16(0xffff)] : [u16(items.length), u16(items.length)];
  add(
    u32(0x06054b50),
    u32(0),
    ...counts,
    u32(zip64 ? 0xffffffff : size),
    u32(zip64 ? 0xffffffff : begin),
    u16(0),
  );
  return Buffer.concat(parts);
}

export interface ZipOptions extends StateDictOptions {
  readonly zip64?: boolean;
}

/** The format since PyTorch 1.6: a zip file. */
export function zipFile(tensors: readonly SavedTensor[], options: ZipOptions = {}): Buffer {
  return zipOf(zipItems(tensors, options), options);
}

export function zipItems(tensors: readonly SavedTensor[], options: StateDictOptions = {}): ZipItem[] {
  const { pickle, storages } = stateDictPickle(tensors, options);
  return [
    { name: "archive/data.pkl", bytes: pickle },
    { name: "archive/byteorder", bytes: Buffer.from("little") },
    ...storages.map(({ key, bytes }) => ({ name: `archive/data/${key}`, bytes })),
    { name: "archive/version", bytes: Buffer.from("3\n") },
  ];
}

/** The format before PyTorch 1.6. */
export function legacyFile(tensors: readonly SavedTensor[], options: StateDictOptions = {}): Buffer {
  const { pickle, storages } = stateDictPickle(tensors, { ...options, isLegacy: true });
  return legacyOf(pickle, storages);
}

export function legacyOf(
  pickle: Uint8Array,
  storages: readonly SavedStorage[],
  keys = storages.map((s) => s.key),
): Buffer {
  const magic = Buffer.concat([Buffer.of(0x8a, 10), Buffer.from("6cfc9c46f9206aa85019", "hex")]);
  const machine = Buffer.concat([op.emptyDict, op.setItems(op.text("little_endian"), op.true)]);
  const list = Buffer.concat([op.emptyList, op.appends(...keys.map(op.text))]);
  const framed = (value: Buffer): Buffer => Buffer.concat([op.proto(), value, op.stop]);
  return Buffer.concat([
    ...[framed(magic), framed(op.int(1001)), framed(machine), pickle, framed(list)],
    ...storages.flatMap(({ bytes, length }) => [u64(length), Buffer.from(bytes)]),
  ]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
