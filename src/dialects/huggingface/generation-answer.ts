// The answers of Hugging Face's text generation: lists of texts, with details of their tokens if the request asks for them, or
// one event for each token of a stream. The reading of requests is in `generation-request.ts`.
import type {
  AnswerToken,
  GeneratedPrompt,
  GeneratedSequence,
  Generation,
  TextPiece,
  TokenForm,
} from "../../request/generation.ts";
import type { HuggingFaceRequest } from "./generation-request.ts";

type Form = (tokenId: number) => TokenForm;

/** The answer to one input is a list of texts. The answer to a list of inputs is a list of such lists. */
export function generatedTexts(
  request: HuggingFaceRequest,
  generations: readonly Generation[],
  form: Form,
): readonly unknown[] {
  const answers = generations.map((generation, j) =>
    generation.sequences.map((sequence) => ({
      generated_text: sequence.text,
      ...(request.tellsDetails && { details: detailsOf(request, generation, sequence, j, form) }),
    })),
  );
  return request.isList ? answers : (answers[0] ?? []);
}

function detailsOf(
  request: HuggingFaceRequest,
  { prompt }: Generation,
  sequence: GeneratedSequence,
  j: number,
  form: Form,
): object {
  const inText = sequence.tokens.map((token, i, { length }) =>
    i === length - 1 ? withRest(token, sequence) : token,
  );
  const tokens = [...inText, ...(sequence.endToken ? [sequence.endToken] : [])];
  return {
    ...endingOf(sequence, prompt),
    seed: seedOf(request, j),
    prefill: request.tellsPrompt ? prefillOf(prompt, form) : [],
    tokens: tokens.map((token) => tokenOf(token, form)),
    ...(request.numTop !== undefined && { top_tokens: tokens.map((token) => topOf(token, form)) }),
    best_of_sequences: null,
  };
}

/** Makes the events of a stream: one for each token, numbered from 1. */
export class TokenEvents {
  readonly #request: HuggingFaceRequest;
  readonly #form: Form;
  #prompt: GeneratedPrompt | undefined;
  #numTokens = 0;
  /** The latest token. It is held back, because the last event carries both the last token and the whole text. */
  #held: AnswerToken | undefined;

  constructor(request: HuggingFaceRequest, form: Form) {
    this.#request = request;
    this.#form = form;
  }

  prompt(prompt: GeneratedPrompt): void {
    this.#prompt = prompt;
  }

  piece({ tokens }: TextPiece): object[] {
    return tokens.flatMap((token) => this.#take(token));
  }

  /** The events still to be sent. The last one carries the whole text. */
  end({ sequences: [sequence], prompt }: Generation): object[] {
    if (sequence === undefined) return [];
    if (this.#held) this.#held = withRest(this.#held, sequence);
    const further = sequence.endToken ? this.#take(sequence.endToken) : [];
    const last = this.#held ?? { tokenId: sequence.tokenIds.at(-1) ?? 0, text: "" };
    const { finish_reason, generated_tokens } = endingOf(sequence, prompt);
    const event = {
      ...this.#event(last),
      generated_text: sequence.text,
      details: {
        finish_reason,
        generated_tokens,
        seed: seedOf(this.#request, 0),
        input_length: (this.#prompt ?? prompt).tokenIds.length,
      },
    };
    return [...further, event];
  }

  #take(token: AnswerToken): object[] {
    const before = this.#held;
    this.#held = token;
    return before === undefined ? [] : [this.#event(before)];
  }

  #event(token: AnswerToken): object {
    this.#numTokens += 1;
    return {
      index: this.#numTokens,
      token: tokenOf(token, this.#form),
      ...(this.#request.numTop !== undefined && { top_tokens: topOf(token, this.#form) }),
      generated_text: null,
      details: null,
    };
  }
}

function endingOf({ finishReason, stop, tokenIds }: GeneratedSequence, prompt: GeneratedPrompt) {
  const stopped = typeof stop === "string" ? "stop_sequence" : "eos_token";
  return {
    finish_reason: finishReason === "length" ? "length" : stopped,
    generated_tokens: tokenIds.length - prompt.tokenIds.length,
  };
}

/** The last token of a text. It also gets what stands for an incomplete character at the end, so that the tokens' texts joined are the text. */
function withRest(token: AnswerToken, { rest = "" }: GeneratedSequence): AnswerToken {
  return { ...token, text: token.text + rest };
}

/** Null unless tokens are sampled. */
function seedOf({ isSampled, requests }: HuggingFaceRequest, j: number): number | null {
  return isSampled ? (requests[j]?.decoding.seed ?? null) : null;
}

function tokenOf({ tokenId, text, logprobs }: AnswerToken, form: Form): object {
  const { isSpecial, name } = form(tokenId);
  return {
    id: tokenId,
    text: isSpecial ? name : text,
    logprob: logprobs?.logprob ?? null,
    special: isSpecial,
  };
}

function topOf({ logprobs }: AnswerToken, form: Form): object[] {
  return (logprobs?.top ?? []).map(({ tokenId, logprob }) => {
    const { name, isSpecial } = form(tokenId);
    return { id: tokenId, text: name, logprob, special: isSpecial };
  });
}

/** The tokens of the prompt. The first one has no log-probability, since nothing precedes it. */
function prefillOf({ tokenIds, logprobs = [] }: GeneratedPrompt, form: Form): object[] {
  return tokenIds.map((id, i) => ({
    id,
    text: form(id).name,
    logprob: i === 0 ? null : (logprobs[i - 1]?.logprob ?? null),
  }));
}
