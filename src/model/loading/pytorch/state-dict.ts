// Reads the pickle of a state dict, which has ordered dictionaries, tensors, and storages by their key. Returns the tensors by name.
// Where a storage is in the file depends on the format: see `zip-file.ts` and `legacy-file.ts`.
// Source: torch/_utils.py (`_rebuild_tensor_v2`), torch/serialization.py (`persistent_id`).
import type { ByteCursor } from "./byte-cursor.ts";
import { readPickle, type Vocabulary } from "./pickle-reader.ts";
import { Callable, Dict, Storage, StorageType, TensorView, Tuple, type Value } from "./pickle-values.ts";

const TENSORS_MAX = 20_000;
const DIMENSIONS_MAX = 8;

const FUNCTIONS: readonly Callable[] = [
  new Callable("collections.OrderedDict", orderedDict),
  new Callable("torch._utils._rebuild_tensor", rebuildTensor),
  new Callable("torch._utils._rebuild_tensor_v2", rebuildTensor),
  new Callable("torch._utils._rebuild_parameter", ([tensor]) => asTensor(tensor)),
  new Callable("torch.Size", ([sizes]) => (Array.isArray(sizes) ? new Tuple(sizes) : asTuple(sizes))),
];

const STORAGE_TYPES: readonly (readonly [name: string, dtype: string, bytes: number])[] = [
  ["Double", "F64", 8],
  ["Float", "F32", 4],
  ["Half", "F16", 2],
  ["BFloat16", "BF16", 2],
  ["Long", "I64", 8],
  ["Int", "I32", 4],
  ["Short", "I16", 2],
  ["Char", "I8", 1],
  ["Byte", "U8", 1],
  ["Bool", "BOOL", 1],
];

/** Keys are `module name`. No module has a space in its name, so a key has only one meaning. */
const GLOBALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...FUNCTIONS.map((one) => [one.name.replace(/\.(?=\w+$)/, " "), one] as const),
  ...STORAGE_TYPES.map(
    ([name, dtype, bytes]) => [`torch ${name}Storage`, new StorageType(dtype, bytes)] as const,
  ),
]);

export interface StateDict {
  readonly tensors: ReadonlyMap<string, TensorView>;
  /** All storages of the pickle, by key. */
  readonly storages: ReadonlyMap<string, Storage>;
}

/** @throws GptError `invalid_checkpoint` */
export function readStateDict(cursor: ByteCursor): StateDict {
  const storages = new Map<string, Storage>();
  const vocabulary: Vocabulary = {
    global: (module, name) => GLOBALS.get(`${module} ${name}`),
    persistent: (id) => storageOf(id, storages),
  };
  const top = readPickle(cursor, vocabulary);
  const nested = top instanceof Dict ? top.entries.get("state_dict") : undefined;
  const dict = nested instanceof Dict ? nested : top;
  const tensors = new Map<string, TensorView>();
  for (const [name, value] of dict instanceof Dict ? dict.entries : []) {
    if (typeof name === "string" && value instanceof TensorView) tensors.set(name, value);
  }
  if (tensors.size === 0 || tensors.size > TENSORS_MAX) {
    throw cursor.file.invalid(`has ${tensors.size} tensors by name, expected 1 to ${TENSORS_MAX}`);
  }
  return { tensors, storages };
}

/** An empty vocabulary, for pickles of plain data. */
export const PLAIN: Vocabulary = { global: () => undefined, persistent: () => undefined };

/** `("storage", type, key, location, length)`. In the old format null follows. */
function storageOf(id: Value, known: Map<string, Storage>): Storage | undefined {
  const [word, type, key, location, length, ...rest] = id instanceof Tuple ? id.items : [];
  if (word !== "storage" || !(type instanceof StorageType) || typeof key !== "string") return undefined;
  if (typeof location !== "string" || !isCount(length) || rest.length > 1 || (rest[0] ?? null) !== null) {
    return undefined;
  }
  const before = known.get(key);
  if (before !== undefined) return before.type === type && before.length === length ? before : undefined;
  const storage = new Storage(type, key, length);
  known.set(key, storage);
  return storage;
}

/** Its argument is nothing, or a list of pairs, as Python 2 writes it. */
function orderedDict(args: readonly Value[]): Dict | undefined {
  const [pairs = [], ...others] = args;
  if (!Array.isArray(pairs) || others.length > 0) return undefined;
  const dict = new Dict();
  for (const pair of pairs) {
    const items = pair instanceof Tuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) return undefined;
    dict.entries.set(items[0] as Value, items[1] as Value);
  }
  return dict;
}

/**
 * `(storage, offset, size, stride, …)`. Then follow gradients, hooks, and notes such as that the numbers are negated, which are
 * refused.
 */
function rebuildTensor(args: readonly Value[]): TensorView | undefined {
  const [storage, offset, size, stride, , , notes] = args;
  if (notes instanceof Dict && [...notes.entries.values()].includes(true)) return undefined;
  const [shape, strides] = [countsOf(size), countsOf(stride)];
  if (!(storage instanceof Storage) || !isCount(offset)) return undefined;
  if (shape === undefined || shape.length !== strides?.length) return undefined;
  const numbers = shape.reduce((product, n) => product * n, 1);
  // Huge sums are rounded to doubles, but stay huge, so the comparison is right.
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * (strides[i] as number), offset);
  if (!Number.isSafeInteger(numbers) || (numbers > 0 && last >= storage.length)) return undefined;
  return new TensorView(storage, offset, shape, strides);
}

function countsOf(value: Value | undefined): readonly number[] | undefined {
  const items = value instanceof Tuple ? value.items : undefined;
  return items !== undefined && items.length <= DIMENSIONS_MAX && items.every(isCount) ? items : undefined;
}

function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function asTensor(value: Value | undefined): TensorView | undefined {
  return value instanceof TensorView ? value : undefined;
}

function asTuple(value: Value | undefined): Tuple | undefined {
  return value instanceof Tuple ? value : undefined;
}
