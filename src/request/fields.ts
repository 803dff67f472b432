// Checks the fields of an object against a schema and describes the first one that does not fit. It knows no field by name:
// the schemas belong to the dialects.
import type { z } from "zod";
import { GptError } from "../errors.ts";
import { describeValue, expectation, fieldsOf, nearest, quote } from "../wording.ts";
import type { Fields } from "./body.ts";

/** Looks at own keys, including `__proto__`, and lets only known names pass. */
export function refuseUnknown(fields: Fields, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) throw unknownField(unknown, known);
}

/** `prefix` stands before the field's name in messages, such as "parameters." */
export function unknownField(name: string, known: readonly string[], prefix = ""): GptError {
  const meant = nearest(name, known);
  const hint = meant ? `did you mean ${quote(meant)}?` : `the known ones are ${known.join(", ")}`;
  const field = `${prefix}${name}`;
  return new GptError("unknown_field", `The field ${quote(field)} is unknown; ${hint}`, { field });
}

/**
 * Makes something, such as a schema, once for each object of limits, and not for each request: a schema would cost more than
 * half a millisecond. Callers that answer many requests pass the same object.
 */
export function keptByLimits<Limits extends object, Made>(
  make: (limits: Limits) => Made,
): (limits: Limits) => Made {
  const kept = new WeakMap<Limits, Made>();
  return (limits) => {
    const made = kept.get(limits) ?? make(limits);
    kept.set(limits, made);
    return made;
  };
}

/** @throws GptError `invalid_field` */
export function parseFields<Schema extends z.ZodObject>(fields: Fields, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const path = pathOf(result.error.issues[0] as z.core.$ZodIssue);
  const name = String(path[0]);
  const value = fields[name];
  if (value === undefined) throw missingField(name);
  const { default: preset, ...field } = fieldsOf(schema)[name] ?? {};
  const hint = value === null && preset !== undefined ? "; leave the field out for its default" : "";
  throw new GptError(
    "invalid_field",
    `${name} must be ${expectation(field)}, got ${describeAt(value, path.slice(1))}${hint}`,
    { field: name },
  );
}

/** The place of the value that does not fit. If a field may have several forms, the form that matches furthest counts. */
function pathOf(issue: z.core.$ZodIssue): readonly PropertyKey[] {
  if (issue.code !== "invalid_union") return issue.path;
  const inner = issue.errors.flatMap(([first]) => (first ? [pathOf(first)] : []));
  const furthest = inner.reduce((a, b) => (b.length > a.length ? b : a), []);
  return [...issue.path, ...furthest];
}

/** A value, or the part of it that does not fit. */
function describeAt(value: unknown, path: readonly PropertyKey[]): string {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, key))
      return describeValue(value);
    inner = (inner as Record<PropertyKey, unknown>)[key];
  }
  return path.length > 0 ? `${describeValue(inner)} in it` : describeValue(value);
}

export function missingField(field: string): GptError {
  return new GptError("invalid_field", `The required field ${field} is missing`, { field });
}

/** The error for a value that its schema allows and another rule forbids. */
export function invalidField(field: string, message: string): GptError {
  return new GptError("invalid_field", message, { field });
}
