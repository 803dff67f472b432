// The answer of the server's own dialect: a list of texts, or, where log-probabilities are asked for, of objects.
import type { Generation, GenerationParams, TokenForm } from "./generation.ts";
import { LogprobLister, type LogprobLists } from "./logprob-lists.ts";

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
    return {
      text,
      finish_reason: finishReason,
      token_ids: tokenIds.slice(prompt.tokenIds.length),
      ...new LogprobLister(prompt, form, echo).next(tokens),
    };
  });
}

/** All that is known of a text, for callers who share the process or the machine. */
export interface GeneratedText extends Partial<Omit<ScoredText, "text" | "token_ids" | "finish_reason">> {
  /** It begins with the input unless `echo` is false. */
  readonly text: string;
  /** Of the input and of the new tokens, with the one that ended the text. */
  readonly token_ids: readonly number[];
  /** `stop`: an end-of-text token, a stop string or a stop token came; `length`: there was no more room. */
  readonly finish_reason: "stop" | "length";
  /** The stop string, or the stop token's id, that ended it. */
  readonly stop?: string | number;
  /** Beam search: its log-probability over its length to the power of `length_penalty`. */
  readonly score?: number;
}

/** The texts of an answer, each with all that is known of it. */
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
