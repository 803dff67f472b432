// Reads the prompts of a completion: one text, a list of texts, the token ids of one text, or a list of such lists.
import { invalidField } from "../../request/fields.ts";
import type { GenerationParams } from "../../request/generation.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import { describeValue } from "../../wording.ts";

/** The prompt that OpenAI uses if none is sent. */
const DEFAULT_PROMPT = "<|endoftext|>";

const { prompts } = REQUEST_LIMITS;

export const PROMPTS_EXPECTED = `a string, a list of token ids, or a list of 1 to ${prompts.max} of either`;

type Prompt = Pick<GenerationParams, "input" | "promptTokenIds">;

/** @throws GptError `invalid_field` */
export function readPrompts(value: unknown = DEFAULT_PROMPT): Prompt[] {
  if (typeof value === "string") return [{ input: value }];
  if (!Array.isArray(value)) throw refused(describeValue(value));
  if (value.length === 0) throw refused("an empty list");
  if (typeof value[0] === "number") return [{ promptTokenIds: tokenIds(value) }];
  if (value.length > prompts.max) throw refused(`${value.length} prompts`);
  const isText = typeof value[0] === "string";
  return value.map((one) => {
    if (isText !== (typeof one === "string")) throw refused("a list of several kinds");
    if (typeof one === "string") return { input: one };
    if (!Array.isArray(one)) throw refused(`${describeValue(one)} in it`);
    if (one.length === 0) throw refused("an empty list in it: a prompt of token ids has at least one");
    return { promptTokenIds: tokenIds(one) };
  });
}

function tokenIds(list: readonly unknown[]): readonly number[] {
  const wrong = list.find((id) => !Number.isSafeInteger(id) || (id as number) < 0);
  if (wrong !== undefined) throw refused(`${describeValue(wrong)} in it`);
  return list as readonly number[];
}

function refused(got: string) {
  return invalidField("prompt", `prompt must be ${PROMPTS_EXPECTED}, got ${got}`);
}
