// The answer in the server's own dialect: a list of texts, or a list of objects when log-probabilities are asked for.
import type { Generation, GenerationParams, TokenForm } from "./generation.ts";
import { LogprobLister, type LogprobLists } from "./logprob-lists.ts";

/** A text and how likely its tokens were. The lists begin with the input's tokens where the text begins with the input. */
export interface ScoredText extends LogprobLists {
  readonly text: string;
  readonly finish_reason: string;
  /** For the new tokens, including the one that ended the text. */
  readonly token_ids: readonly number[];
}

/** The elements of the answer; `form` gives a token's readable form. */
export function answerOf(
  { tellsLogprobs, echo = true }: GenerationParams,
  { sequences, prompt }: Generation,
  form: (tokenId: number) => TokenForm,
): readonly (string | ScoredText)[] {
  if (!tellsLogprobs) return sequences.map(({ text }) => text);
  return sequences.map(({ text, tokenIds, tokens, finishReason }) => {
    return {
      text,
      finish_reason: finishReason,
      token_ids: tokenIds.slice(prompt.tokenIds.length),
      ...new LogprobLister(prompt, form, echo).next(tokens),
    };
  });
}

/** Everything known about a text, for callers in the same process or on the same machine. */
export interface GeneratedText extends Partial<Omit<ScoredText, "text" | "token_ids" | "finish_reason">> {
  /** It begins with the input unless `echo` is false. */
  readonly text: string;
  /** For the input and the new tokens, including the one that ended the text. */
  readonly token_ids: readonly number[];
  /** `stop`: an end-of-text token, a stop string or a stop token came; `length`: the maximum length was reached. */
  readonly finish_reason: "stop" | "length";
  /** The stop string, or the stop token's id, that ended it. */
  readonly stop?: string | number;
  /** Beam search only: its log-probability divided by its length to the power of `length_penalty`. */
  readonly score?: number;
}

/** The texts of an answer, each with everything known about it. */
export function generatedTexts(
  params: GenerationParams,
  generation: Generation,
  form: (tokenId: number) => TokenForm,
): readonly GeneratedText[] {
  const answers = answerOf(params, generation, form);
  return generation.sequences.map(({ text, tokenIds, finishReason, stop, score }, i) => ({
    ...(params.tellsLogprobs ? (answers[i] as ScoredText) : {}),
    text,
    token_ids: tokenIds,
    finish_reason: finishReason,
    ...(stop !== undefined && { stop }),
    ...(score !== undefined && { score }),
  }));
}
