// Errors as the playground's page reads them.
import { GptError } from "../../errors.ts";
import type { Refusal } from "./events.ts";

/** `other`: the name and the sentence of what is no error of the core. */
export function refusalOf(
  error: unknown,
  other: { readonly type: string; readonly message: string },
): Refusal {
  const isOurs = error instanceof GptError && error.kind !== "operator";
  if (!isOurs) return { error: { code: other.type, message: other.message } };
  const { code, message, field } = error;
  return { error: { code, message, ...(field !== undefined && { field }) } };
}
