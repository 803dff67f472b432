// The form of the parameters, made from the server's list: which are shown in a mode, how the text of a box is read, and the body of the
// request. Defaults are not sent, so that the body stays short.
import type { Facts, Field } from "../../dialects/playground/events.ts";

/** The texts of changed boxes, by parameter. */
export type Entries = Readonly<Record<string, string>>;

/** Fields with a place of their own, or that the page sets itself. */
const OUTSIDE = new Set(["input", "mode", "prompt_token_ids", "logprobs", "echo"]);
/** The parameters that people change most, in the order of the form. */
const FIRST = ["max_length", "max_new_tokens", "num_return_sequences", "seed"];

export interface FieldGroups {
  /** Parameters that this mode reads, but not every mode. */
  readonly ofMode: readonly Field[];
  readonly lengthAndSeed: readonly Field[];
  readonly further: readonly Field[];
}

/** The fields that a mode reads. */
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

/** The value of a box's text. An empty box means the default. */
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

/** Lists and objects are written as JSON. If plain text is allowed too, everything else is text. */
function parseJson({ range }: Field, entry: string): Parsed | undefined {
  try {
    return { value: JSON.parse(entry) };
  } catch {
    return range.startsWith("a string") ? { value: entry } : undefined;
  }
}

export interface FormResult {
  readonly body: Readonly<Record<string, unknown>>;
  /** The faults, by parameter. */
  readonly problems: Readonly<Record<string, string>>;
}

/** The parameters of the mode that differ from the server's defaults. */
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

/** The n-gram ban has a default in beam mode only, and other modes read it only if it is sent. So it is always sent. */
function isSame(value: unknown, field: Field): boolean {
  return field.name !== "no_repeat_ngram_size" && JSON.stringify(value) === JSON.stringify(field.default);
}

/** The boxes for parameters of a preset, a link or the history. */
export function entriesOf(parameters: Readonly<Record<string, unknown>>, fields: readonly Field[]): Entries {
  const entries: Record<string, string> = {};
  for (const { name, type } of fields) {
    const value = parameters[name];
    if (OUTSIDE.has(name) || value === undefined || value === null) continue;
    entries[name] = typeof value === "string" && type !== "json" ? value : JSON.stringify(value);
  }
  return entries;
}
