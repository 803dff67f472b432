// Files of `torch.save` before PyTorch 1.6, or with `_use_new_zipfile_serialization=False`: five pickles, then every storage as its
// number of elements and the elements. Source: torch/serialization.py, `_legacy_save`.
import { quote } from "../../../wording.ts";
import type { OpenFile } from "../open-file.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { Contents } from "./contents.ts";
import { readPickle } from "./pickle-reader.ts";
import { Dict, type Storage, type Value } from "./pickle-values.ts";
import { PLAIN, readStateDict } from "./state-dict.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** The limit for all pickles together. */
const PICKLE_BYTES_MAX = 64_000_000;
const LENGTH_BYTES = 8;

/** @throws GptError `invalid_checkpoint` */
export function readLegacyFile(file: OpenFile): Contents {
  const cursor = new ByteCursor(file, 0, Math.min(file.size, PICKLE_BYTES_MAX));
  if (readPickle(cursor, PLAIN) !== MAGIC) {
    throw file.invalid("is a pickle, but not one that torch.save wrote: it begins with another number");
  }
  const protocol = readPickle(cursor, PLAIN);
  if (protocol !== PROTOCOL) throw file.invalid(`its format is not ${PROTOCOL}, the only one there is`);
  const machine = readPickle(cursor, PLAIN);
  if (!(machine instanceof Dict && machine.entries.get("little_endian") === true)) {
    throw file.invalid("was not written by a little-endian machine");
  }
  const { tensors, storages } = readStateDict(cursor);
  const keys = readPickle(cursor, PLAIN);
  const places = placesOf(file, storages, keys, cursor.position);
  return { tensors, places, hash: cursor.digest() };
}

function placesOf(
  file: OpenFile,
  storages: ReadonlyMap<string, Storage>,
  keys: Value,
  position: number,
): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  let at = position;
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || places.has(storage.key)) {
      throw file.invalid("its list of storages is not that of its tensors");
    }
    const begin = at + LENGTH_BYTES;
    const end = begin + storage.length * storage.type.bytes;
    if (end > file.size) {
      throw file.invalid(`is truncated: storage ${quote(storage.key)} ends at byte ${end} of ${file.size}`);
    }
    const length = Number(file.bytes(at, LENGTH_BYTES).readBigUInt64LE());
    if (length !== storage.length) {
      throw file.invalid(
        `its storage ${quote(storage.key)} has ${length} numbers, expected ${storage.length}`,
      );
    }
    places.set(storage.key, begin);
    at = end;
  }
  if (places.size !== storages.size) throw file.invalid("its list of storages is not that of its tensors");
  return places;
}
