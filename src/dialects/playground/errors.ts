// Errors in the form that the playground's page reads.
import { GptError } from "../../errors.ts";
import type { Refusal } from "./events.ts";

/** `other`: the type and message to send if the error does not come from the core or concerns the operator. */
export function refusalOf(
  error: unknown,
  other: { readonly type: string; readonly message: string },
): Refusal {
  const isOurs = error instanceof GptError && error.kind !== "operator";
  if (!isOurs) return { error: { code: other.type, message: other.message } };
  const { code, message, field } = error;
  return { error: { code, message, ...(field !== undefined && { field }) } };
}
