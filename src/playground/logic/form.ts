// The form of the parameters, from the server's own list of them: which are shown in a mode, what a text in a box means, and the body
// of the request. What is left at its default is not sent, so that the body is as short as the request is simple.
import type { Facts, Field } from "../../dialects/playground/events.ts";

/** What stands in the boxes that somebody changed, by the name of the parameter. */
export type Entries = Readonly<Record<string, string>>;

/** Fields that have a place of their own, or that the page sets. */
const OUTSIDE = new Set(["input", "mode", "prompt_token_ids", "logprobs", "echo"]);
/** What people change most, in the order in which they think of it. */
const FIRST = ["max_length", "max_new_tokens", "num_return_sequences", "seed"];

export interface FieldGroups {
  /** What this mode alone, or with some others, reads. */
  readonly ofMode: readonly Field[];
  readonly lengthAndSeed: readonly Field[];
  readonly further: readonly Field[];
}

/** The fields that a mode reads, and no other. */
export function fieldGroups(fields: readonly Field[], mode: string): FieldGroups {
  const shown = fields.filter(({ name, modes }) => !OUTSIDE.has(name) && (!modes || modes.includes(mode)));
  const isFirst = ({ name }: Field): boolean => FIRST.includes(name);
  const ofMode = shown.filter((field) => field.modes && !isFirst(field));
  return {
    ofMode,
    lengthAndSeed: shown.filter(isFirst).sort((a, b) => FIRST.indexOf(a.name) - FIRST.indexOf(b.name)),
    further: shown.filter((field) => !isFirst(field) && !ofMode.includes(field)),
  };
}

export type Parsed = { readonly value: unknown } | { readonly problem: string };

/** What the text in a box means; an empty one means the default. */
export function parseEntry(field: Field, entry: string): Parsed {
  const text = entry.trim();
  if (field.type === "string") return { value: entry };
  if (text === "") return { value: undefined };
  const problem = { problem: `must be ${field.range}` };
  if (field.type === "boolean")
    return text === "true" || text === "false" ? { value: text === "true" } : problem;
  if (field.type === "enum") return field.values?.includes(text) ? { value: text } : problem;
  if (field.type === "json") return parseJson(field, entry) ?? problem;
  const value = Number(text);
  const { minimum = -Infinity, maximum = Infinity, isAbove } = field;
  const fits =
    Number.isFinite(value) && value >= minimum && value <= maximum && !(isAbove && value === minimum);
  return fits && (field.type === "number" || Number.isInteger(value)) ? { value } : problem;
}

/** Lists and objects are written as JSON; where a plain text is allowed too, everything else is one. */
function parseJson({ range }: Field, entry: string): Parsed | undefined {
  try {
    return { value: JSON.parse(entry) };
  } catch {
    return range.startsWith("a string") ? { value: entry } : undefined;
  }
}

export interface FormResult {
  readonly body: Readonly<Record<string, unknown>>;
  /** What is wrong, by the name of the parameter. */
  readonly problems: Readonly<Record<string, string>>;
}

/** The parameters that differ from what the server takes by itself, of those that the mode reads. */
export function bodyOf(
  facts: Pick<Facts, "modes">,
  fields: readonly Field[],
  mode: string,
  entries: Entries,
): FormResult {
  const body: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  const isDefaultMode =
    fields.find(({ name }) => name === "mode")?.default === mode || mode === facts.modes[0]?.name;
  if (!isDefaultMode) body.mode = mode;
  const { ofMode, lengthAndSeed, further } = fieldGroups(fields, mode);
  for (const field of [...lengthAndSeed, ...ofMode, ...further]) {
    const entry = entries[field.name];
    if (entry === undefined) continue;
    const parsed = parseEntry(field, entry);
    if ("problem" in parsed) problems[field.name] = parsed.problem;
    else if (parsed.value !== undefined && !isSame(parsed.value, field)) body[field.name] = parsed.value;
  }
  return { body, problems };
}

/** A rule that only counts when it is sent has a default in one mode and none in the others, so it always goes with the request. */
function isSame(value: unknown, field: Field): boolean {
  return field.name !== "no_repeat_ngram_size" && JSON.stringify(value) === JSON.stringify(field.default);
}

/** The boxes for parameters that come from elsewhere: a preset, a link, the history. */
export function entriesOf(parameters: Readonly<Record<string, unknown>>, fields: readonly Field[]): Entries {
  const entries: Record<string, string> = {};
  for (const { name, type } of fields) {
    const value = parameters[name];
    if (OUTSIDE.has(name) || value === undefined || value === null) continue;
    entries[name] = typeof value === "string" && type !== "json" ? value : JSON.stringify(value);
  }
  return entries;
}
