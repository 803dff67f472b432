// Words for zod schemas and values: what a field expects, what came instead, the nearest known name. Messages, help texts and
// reference pages use these words, so they cannot drift from the schema. It also writes values as lines of JSON.
import { z } from "zod";

/** The part of JSON Schema that the schemas of this software use. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  /** Words for the expected value, if those from the schema would say too little. */
  readonly "x-expected"?: string;
}

/** The fields of an object schema, in order, as JSON Schema. */
export function fieldsOf(schema: z.ZodObject): Record<string, JsonSchema> {
  return z.toJSONSchema(schema, { io: "input" }).properties as Record<string, JsonSchema>;
}

/** "an integer from 1 to 256", "one of beam, greedy", "a number greater than 0". */
export function expectation(schema: JsonSchema): string {
  const { "x-expected": expected } = schema;
  if (expected) return expected;
  if (schema.anyOf) return schema.anyOf.map(expectation).join(" or ");
  if (schema.enum) return `one of ${schema.enum.join(", ")}`;
  switch (schema.type) {
    case "integer":
      return `an integer${range(schema)}`;
    case "number":
      return `a number${range(schema)}`;
    case "array":
      return `a list, each entry ${expectation(schema.items ?? {})}`;
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    default:
      return "a string";
  }
}

function range({ minimum, exclusiveMinimum, maximum }: JsonSchema): string {
  if (exclusiveMinimum !== undefined) return ` greater than ${exclusiveMinimum}`;
  if (minimum === undefined) return "";
  // Zod bounds every integer by the safe integers of a double. Readers do not need that.
  const unbounded = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER;
  return unbounded ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
}

/** Unicode line separators. JSON does not escape them, and many line readers split there. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

/** A value as one line of JSON with its line feed. Nothing inside can be mistaken for the end of the line. */
export function jsonLine(value: unknown): string {
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(LINE_ENDS, escaped)}\n`;
}

const SHOWN_MAX = 60;

/** A received value for messages, with its type if that is not obvious: `"ten" (a string)`, `300`, `a list`. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `${quote(value)} (a string)`;
    case "boolean":
      return `${value} (a boolean)`;
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "an object";
    default:
      return String(value);
  }
}

/** A value as JSON, shortened if it is long. A shortened string keeps its quotes. */
export function quote(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value);
  }
  const text = beginning(value, 0);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** The first characters of a value as JSON. It takes little time, however large or deep the value is. */
function beginning(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, SHOWN_MAX));
  if (typeof value !== "object" || value === null) return value === undefined ? "nothing" : String(value);
  const isList = Array.isArray(value);
  if (depth === SHOWN_MAX) return isList ? "[" : "{";
  const parts: string[] = [];
  for (const key in value) {
    const part = beginning((value as Record<string, unknown>)[key], depth + 1);
    parts.push(isList ? part : `${JSON.stringify(key.slice(0, SHOWN_MAX))}:${part}`);
    if (parts.length === SHOWN_MAX || part.length > SHOWN_MAX) break;
  }
  return isList ? `[${parts.join(",")}]` : `{${parts.join(",")}}`;
}

/** The known name that was probably meant: at most half of its characters have to be edited. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > 2 * SHOWN_MAX) return undefined;
  const ranked = known
    .map((candidate) => ({ candidate, edits: editDistance(name.toLowerCase(), candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.min(name.length, candidate.length) / 2)
    .sort((a, b) => a.edits - b.edits);
  return ranked[0]?.candidate;
}

/** Levenshtein's distance: insertions, deletions and substitutions. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, left] of [...a].entries()) {
    const current = [i + 1];
    for (const [j, right] of [...b].entries()) {
      const substituted = (previous[j] ?? 0) + (left === right ? 0 : 1);
      current.push(Math.min(substituted, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
