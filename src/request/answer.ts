// The answer of the server's own dialect: a list of texts, or, where log-probabilities are asked for, of objects.
import type { Generation, GenerationParams, TokenForm } from "./generation.ts";
import { joinLists, LogprobLister, type LogprobLists } from "./logprob-lists.ts";

/** A text and how likely its tokens were. The lists begin with the input's tokens where the text begins with the input. */
export interface ScoredText extends LogprobLists {
  readonly text: string;
  readonly finish_reason: string;
  /** Of the new tokens, with the one that ended the text. */
  readonly token_ids: readonly number[];
}

/** The elements of the answer; `form` tells what a token is to people. */
export function answerOf(
  { tellsLogprobs, echo = true }: GenerationParams,
  { sequences, prompt }: Generation,
  form: (tokenId: number) => TokenForm,
): readonly (string | ScoredText)[] {
  if (!tellsLogprobs) return sequences.map(({ text }) => text);
  return sequences.map(({ text, tokenIds, tokens, finishReason }) => {
    const lister = new LogprobLister(prompt, form);
    const own = echo ? joinLists(lister.prompt(), lister.next(tokens)) : lister.next(tokens);
    return {
      text,
      finish_reason: finishReason,
      token_ids: tokenIds.slice(prompt.tokenIds.length),
      ...own,
    };
  });
}
