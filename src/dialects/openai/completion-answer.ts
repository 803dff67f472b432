// The answers to a completion: one object, or the chunks of a stream. Both are made from the same choices, so the chunks of a
// choice joined together equal that choice.
import type {
  AnswerToken,
  GeneratedPrompt,
  GeneratedSequence,
  Generation,
  TextPiece,
  TokenForm,
} from "../../request/generation.ts";
import { LogprobLister, type LogprobLists } from "../../request/logprob-lists.ts";
import type { CompletionRequest } from "./completion-request.ts";

/** Facts about an answer that do not come from the generation. */
export interface AnswerFacts {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** The name of the endpoint. */
  readonly model: string;
  /** If two answers have the same fingerprint, equal requests give equal texts. Null: not known yet. */
  readonly fingerprint: string | null;
  /** The readable form of a token. */
  readonly form: (tokenId: number) => TokenForm;
}

/** The answer to a request. `generations` has one entry for each prompt. */
export function completionOf(
  request: CompletionRequest,
  generations: readonly Generation[],
  facts: AnswerFacts,
): object {
  return {
    ...head(facts),
    choices: generations.flatMap(({ sequences, prompt }, j) =>
      sequences.map((sequence, i) => ({
        index: j * sequences.length + i,
        text: sequence.text,
        logprobs: request.tellsLogprobs
          ? lister(request, prompt, facts).next(listed(request, sequence))
          : null,
        ...ending(sequence),
        ...(request.returnsTokenIds && {
          token_ids: sequence.tokenIds.slice(prompt.tokenIds.length),
          prompt_token_ids: prompt.tokenIds,
        }),
      })),
    ),
    usage: usageOf(generations),
  };
}

/** Makes the chunks of a stream: the objects that become the data of its events. */
export class CompletionChunks {
  readonly #request: CompletionRequest;
  readonly #facts: AnswerFacts;
  readonly #prompts: GeneratedPrompt[] = [];
  readonly #listers: LogprobLister[] = [];
  /** For each choice: how many of its token ids have been sent. */
  readonly #numSent: number[] = [];

  constructor(request: CompletionRequest, facts: AnswerFacts) {
    this.#request = request;
    this.#facts = facts;
  }

  /** Sets prompt `j`. Must be called before its first piece. */
  prompt(j: number, prompt: GeneratedPrompt): void {
    this.#prompts[j] = prompt;
  }

  /** The chunk for a piece of text from prompt `j`. */
  piece(j: number, { index: i, text, tokens }: TextPiece): object {
    const index = j * this.#numChoices(j) + i;
    return this.#chunk(index, {
      text,
      logprobs: this.#lists(j, index, tokens),
      finish_reason: null,
      stop_reason: null,
      ...this.#tokenIds(
        j,
        index,
        tokens.map(({ tokenId }) => tokenId),
      ),
    });
  }

  /** The last chunk of each choice of prompt `j`. */
  end(j: number, { sequences }: Generation): object[] {
    return sequences.map((sequence, i) => {
      const index = j * sequences.length + i;
      const promptLength = this.#prompts[j]?.tokenIds.length ?? 0;
      const rest = sequence.tokenIds.slice(promptLength + (this.#numSent[index] ?? 0));
      const atOnce = sequence.tokens.length === 0 ? listed(this.#request, sequence) : [];
      const logprobs = atOnce.length > 0 ? this.#lists(j, index, atOnce) : null;
      const last = { text: "", logprobs, ...ending(sequence), ...this.#tokenIds(j, index, rest) };
      return this.#chunk(index, last);
    });
  }

  /** The chunk with the usage, which follows all choices if the request asks for it. */
  usage(generations: readonly Generation[]): object[] {
    if (!this.#request.includesUsage) return [];
    return [{ ...head(this.#facts), choices: [], usage: usageOf(generations) }];
  }

  #numChoices(j: number): number {
    return (this.#request.requests[j] as CompletionRequest["requests"][number]).decoding.numReturnSequences;
  }

  #chunk(index: number, choice: object): object {
    const usage = this.#request.includesUsage ? { usage: null } : {};
    return { ...head(this.#facts), choices: [{ index, ...choice }], ...usage };
  }

  #lists(j: number, index: number, tokens: readonly AnswerToken[]): LogprobLists | null {
    if (!this.#request.tellsLogprobs) return null;
    this.#listers[index] ??= lister(this.#request, this.#prompts[j] as GeneratedPrompt, this.#facts);
    return this.#listers[index].next(tokens);
  }

  #tokenIds(j: number, index: number, tokenIds: readonly number[]): object {
    if (!this.#request.returnsTokenIds) return {};
    const sent = this.#numSent[index];
    this.#numSent[index] = (sent ?? 0) + tokenIds.length;
    const isFirst = sent === undefined;
    return { token_ids: tokenIds, ...(isFirst && { prompt_token_ids: this.#prompts[j]?.tokenIds ?? [] }) };
  }
}

function head({ id, created, model, fingerprint }: AnswerFacts): object {
  return { id, object: "text_completion", created, model, system_fingerprint: fingerprint };
}

function ending({ finishReason, stop }: GeneratedSequence): object {
  return { finish_reason: finishReason, stop_reason: stop ?? null };
}

/**
 * The new tokens that get an entry in the list of log-probabilities. An end-of-text that ended a choice gets none, as with OpenAI.
 * One case is different: the prompt is echoed and the choice ended at once. Programs that score texts, such as
 * lm-evaluation-harness, ask for one new token and drop the last entry. Without an entry for the end-of-text they would drop a
 * token of the text.
 */
function listed(
  { echo }: CompletionRequest,
  { tokens, endToken }: GeneratedSequence,
): readonly AnswerToken[] {
  return echo && tokens.length === 0 && endToken ? [endToken] : tokens;
}

function lister(
  { echo, namesTokensById }: CompletionRequest,
  prompt: GeneratedPrompt,
  { form }: AnswerFacts,
): LogprobLister {
  const own: typeof form = namesTokensById ? (id) => ({ ...form(id), name: `token_id:${id}` }) : form;
  return new LogprobLister(prompt, own, echo);
}

/**
 * An end-of-text that ended a choice is not counted. Tokens of a stop string are, and so are the tokens of choices that `best_of`
 * dropped.
 */
function usageOf(generations: readonly Generation[]): object {
  const sum = (of: (generation: Generation) => number): number =>
    generations.reduce((total, generation) => total + of(generation), 0);
  const promptTokens = sum(({ promptTokens }) => promptTokens);
  const completionTokens = sum(({ sequences, prompt, droppedTokens }) => {
    const counts = sequences.map(({ tokenIds, finishReason, stop }) => {
      const isEndOfText = finishReason === "stop" && stop === undefined;
      return tokenIds.length - prompt.tokenIds.length - (isEndOfText ? 1 : 0);
    });
    return counts.reduce((total, count) => total + count, droppedTokens);
  });
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(({ cachedTokens }) => cachedTokens) },
  };
}
