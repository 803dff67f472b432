// A part of a JSON file that remembers its path in the file, for messages. Its reader decides what is valid.

import type { GptError } from "../errors.ts";
import { quote } from "../wording.ts";
import { invalidTokenizer, isRecord, type JsonRecord } from "./tokenizer-parts.ts";

export class JsonPart {
  readonly file: string;
  /** Such as "pre_tokenizer.pretokenizers[1]". */
  readonly path: string;
  readonly value: unknown;

  constructor(file: string, path: string, value: unknown) {
    this.file = file;
    this.path = path;
    this.value = value;
  }

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** What kind of thing it is: its field `type`. */
  get type(): unknown {
    return this.#fields.type;
  }

  get #fields(): JsonRecord {
    return isRecord(this.value) ? this.value : {};
  }

  /** A field; absent when there is none. */
  part(name: string): JsonPart {
    return new JsonPart(this.file, `${this.path}.${name}`, this.#fields[name]);
  }

  /** @throws GptError when the field is no list */
  list(name: string): JsonPart[] {
    const part = this.part(name);
    if (!Array.isArray(part.value)) throw part.invalid("a list");
    return part.value.map((value: unknown, i) => new JsonPart(this.file, `${part.path}[${i}]`, value));
  }

  /** @throws GptError when the field is there and is neither true nor false */
  flag(name: string, preset: boolean): boolean {
    const part = this.part(name);
    if (part.isAbsent) return preset;
    if (typeof part.value !== "boolean") throw part.invalid("true or false");
    return part.value;
  }

  /** @throws GptError when the field is no string */
  text(name: string): string {
    const part = this.part(name);
    if (typeof part.value !== "string") throw part.invalid("a string");
    return part.value;
  }

  /** @throws GptError when the field is no integer of at least 0 */
  count(name: string): number {
    const part = this.part(name);
    if (Number.isInteger(part.value) && (part.value as number) >= 0) return part.value as number;
    throw part.invalid("an integer of at least 0");
  }

  /** The refusal of this part, which should have been something else. */
  invalid(expected: string): GptError {
    return invalidTokenizer(this.file, `${this.path} is ${quote(this.value)}; expected ${expected}`);
  }

  /** The refusal of a part of a kind that is not known here. */
  unknownType(known: readonly string[]): GptError {
    const expected = `one of ${known.join(", ")}`;
    if (!isRecord(this.value)) return this.invalid(`an object with a type, ${expected}`);
    return invalidTokenizer(this.file, `${this.path} is of type ${quote(this.type)}; expected ${expected}`);
  }
}

/** For each type of a part, the function that turns it into steps. */
export type PartReaders<Step> = Readonly<Record<string, (part: JsonPart) => readonly Step[]>>;

const DEPTH_MAX = 20;

/**
 * The steps of a part; those of a Sequence, which has its members in the field `members`, one after the other. None where
 * there is no part.
 * @throws GptError for a type that is not known, and what the readers throw
 */
export function readSteps<Step>(
  part: JsonPart,
  readers: PartReaders<Step>,
  members: string,
  depth = 0,
): readonly Step[] {
  const { type } = part;
  if (part.isAbsent && depth === 0) return [];
  if (depth > DEPTH_MAX) throw part.invalid(`at most ${DEPTH_MAX} sequences within each other`);
  if (type === "Sequence") {
    return part.list(members).flatMap((member) => readSteps(member, readers, members, depth + 1));
  }
  if (typeof type === "string" && Object.hasOwn(readers, type)) return readers[type]!(part);
  throw part.unknownType([...Object.keys(readers), "Sequence"]);
}
