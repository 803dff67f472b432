// Generates texts from a text: tokenizes the prompt, checks lengths against the model, submits the request to the engine and
// turns token ids back into text. The engine never sees text. Callers see token ids only if they ask for them.
import type { DecodingParams, TokenBytes } from "../decoding/decoding-params.ts";
import type { Hypothesis } from "../decoding/strategy.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { Progress } from "../engine/pass-result.ts";
import type { WorkerEngine } from "../engine/thread/worker-engine.ts";
import { GptError } from "../errors.ts";
import type {
  GenerateOptions,
  Generation,
  GenerationParams,
  Generator,
  GeneratorHealth,
  GeneratorStats,
  ModelInfo,
  TokenForm,
} from "../request/generation.ts";
import { Detokenizer } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { inTurns } from "./in-turns.ts";
import { TextStream } from "./text-stream.ts";
import { tokenBytesOf, tokenForm } from "./vocabulary.ts";

/** The part of an engine that is used here. */
export type Engine = Pick<WorkerEngine, "submit" | "health" | "stats" | "close">;

export class TextGenerator implements Generator {
  readonly model: ModelInfo;
  readonly #engine: Engine;
  readonly #tokenizer: Tokenizer | undefined;
  readonly #bosTokenId: number;
  #fingerprint: string | undefined;
  /** Made when a request first uses stop strings. */
  #tokenBytes: TokenBytes | undefined;

  /** Without a tokenizer only prompts of token ids are accepted, and texts are empty. */
  constructor(
    engine: Engine,
    model: ModelInfo,
    tokenizer: Tokenizer | undefined,
    bosTokenId: number,
    fingerprint: Promise<string> = Promise.reject(new Error("none was made")),
  ) {
    fingerprint.then(
      (known) => {
        this.#fingerprint = known;
      },
      () => {}, // The files could not be read. Then the fingerprint stays undefined, which promises nothing.
    );
    this.#engine = engine;
    this.model = model;
    this.#tokenizer = tokenizer;
    this.#bosTokenId = bosTokenId;
  }

  async generate(params: GenerationParams, options: GenerateOptions = {}): Promise<Generation> {
    const { onPiece, onPrompt, onSteps, ...others } = options;
    const whole = await this.encodePrompt(params);
    const promptTokenIds = whole.slice(-(params.truncatePrompt ?? whole.length));
    const isCut = promptTokenIds.length < whole.length;
    const text = promptText(this.#tokenizer, whole);
    const decoding = this.#resolved(params, promptTokenIds.length);
    const skippedTokenIds = whole.slice(0, whole.length - promptTokenIds.length);
    const prompt = { tokenIds: promptTokenIds, text, ...(isCut && { skippedTokenIds }) };
    const stream = new TextStream({
      promptTokenIds,
      tokenizer: this.#tokenizer,
      stops: params.stopStrings ?? [],
      includeStop: params.includeStop ?? false,
      ...(params.echo === false ? { prefix: "" } : isCut && { prefix: text }),
      tellsTokens: params.tellsLogprobs ?? false,
      onPiece,
    });
    let hasSentPrompt = false;
    const sendPrompt = (logprobs: readonly TokenLogprobs[] | undefined): void => {
      if (!hasSentPrompt) onPrompt?.({ ...prompt, ...(logprobs && { logprobs }) });
      hasSentPrompt = true;
    };
    const onTokens = (progress: Omit<Progress, "id">): void => {
      sendPrompt(progress.promptLogprobs);
      if (progress.steps) onSteps?.(progress.steps);
      stream.push(progress.sequences);
    };
    const answer = await this.#engine.submit(promptTokenIds, decoding, {
      ...others,
      ...(onPiece && this.#tokenizer ? { onTokens } : {}),
    });
    sendPrompt(answer.promptLogprobs);
    if (answer.steps) onSteps?.(answer.steps);
    const hypotheses = best(answer.hypotheses, params.keepBest);
    const numNew = (some: readonly Hypothesis[]): number =>
      some.reduce((sum, { tokenIds }) => sum + tokenIds.length - promptTokenIds.length, 0);
    const dropped = answer.hypotheses.filter((one) => !hypotheses.includes(one));
    return {
      sequences: stream.finish(hypotheses),
      seed: decoding.seed,
      prompt: { ...prompt, ...(answer.promptLogprobs && { logprobs: answer.promptLogprobs }) },
      promptTokens: promptTokenIds.length,
      ...(answer.hypotheses[0]?.next && { next: answer.hypotheses[0].next }),
      cachedTokens: answer.cachedTokens,
      // Greedy search returns one computed sequence several times. It is counted once.
      generatedTokens: numNew([...new Set(answer.hypotheses)]),
      droppedTokens: numNew(dropped) - dropped.filter(endsWithText).length,
      timing: answer.timing,
    };
  }

  async tokenize(text: string): Promise<readonly number[]> {
    return text === "" ? [] : this.encodePrompt({ input: text });
  }

  detokenize(tokenIds: readonly number[]): string {
    this.#refuseOutside(tokenIds, "tokens holds", "tokens");
    return this.#tokenizer?.decode(tokenIds, { skipSpecialTokens: true }) ?? "";
  }

  get tokenizer(): Tokenizer | undefined {
    return this.#tokenizer;
  }

  get fingerprint(): string | undefined {
    return this.#fingerprint;
  }

  /** The readable form of a token. */
  token(id: number): TokenForm {
    return tokenForm(this.#tokenizer, id);
  }

  get health(): GeneratorHealth {
    return this.#engine.health;
  }

  stats(): GeneratorStats {
    return this.#engine.stats();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  /**
   * The prompt's token ids. An empty prompt becomes the end-of-text token.
   * @throws GptError `invalid_field` when an id is outside the model's vocabulary.
   */
  async encodePrompt({
    input,
    promptTokenIds,
    truncatePrompt,
  }: Pick<GenerationParams, "input" | "promptTokenIds" | "truncatePrompt">): Promise<readonly number[]> {
    if (!promptTokenIds && !this.#tokenizer) {
      const message = `input: ${this.model.name} has no tokenizer files, so only prompt_token_ids can be answered`;
      throw new GptError("invalid_field", message, { field: "input" });
    }
    const mostTokens = truncatePrompt === undefined ? this.model.contextLength : Number.POSITIVE_INFINITY;
    const ids = promptTokenIds ?? (await this.#encode(input ?? "", mostTokens));
    const prompt = ids.length > 0 ? ids : [this.#tokenizer?.endOfTextId ?? this.#bosTokenId];
    this.#refuseOutside(prompt, "the prompt holds", "input");
    return prompt;
  }

  #refuseOutside(tokenIds: readonly number[], what: string, field: string): void {
    const { vocabSize, name } = this.model;
    const outside = tokenIds.find((id) => id >= vocabSize);
    if (outside === undefined) return;
    const message = `${what} token ${outside}, and the vocabulary of ${name} ends at ${vocabSize - 1}`;
    throw new GptError("invalid_field", message, { field });
  }

  /** Tokenizes a text. One that is too long is refused as soon as that is known, without tokenizing the rest. */
  async #encode(input: string, mostTokens: number): Promise<readonly number[]> {
    const tokenizer = this.#tokenizer as Tokenizer;
    const ids = await inTurns((work) => tokenizer.encodeInSteps(input, work, mostTokens));
    if (ids !== undefined) return ids;
    const message = `input has more than ${mostTokens} tokens, and the model takes no more`;
    throw new GptError("prompt_too_long", message, { field: "input" });
  }

  /** The decoding parameters for the engine: lengths resolved against the prompt, and stop strings as bytes. */
  #resolved(params: GenerationParams, promptLength: number): DecodingParams {
    const decoding = withMinLength(
      { ...params.decoding, maxLength: this.#maxLength(params, promptLength) },
      (params.minLength ?? 0) - promptLength,
    );
    const { stopStrings = [] } = params;
    const biased = [...(decoding.penalties?.logitBias?.keys() ?? [])];
    this.#refuseOutside(biased, "logit_bias names", "logit_bias");
    this.#refuseOutside(decoding.ending?.stopTokenIds ?? [], "stop_token_ids names", "stop_token_ids");
    if (stopStrings.length === 0) return decoding;
    if (!this.#tokenizer || this.#tokenizer.startDecoding()) {
      const what = this.#tokenizer ? "a tokenizer whose tokens are not bytes" : "no tokenizer files";
      const message = `stop: ${this.model.name} has ${what}, so only stop_token_ids can end a text`;
      throw new GptError("invalid_field", message, { field: "stop" });
    }
    this.#tokenBytes ??= tokenBytesOf(this.#tokenizer);
    const strings = stopStrings.map((stop) => new TextEncoder().encode(stop));
    return {
      ...decoding,
      ending: { ...decoding.ending, stopStrings: { strings, tokens: this.#tokenBytes } },
    };
  }

  #maxLength({ maxNewTokens, fitsContext, decoding }: GenerationParams, promptLength: number): number {
    const { contextLength } = this.model;
    const wanted = maxNewTokens === undefined ? decoding.maxLength : promptLength + maxNewTokens;
    const maxLength = fitsContext ? Math.min(wanted, contextLength) : wanted;
    if (maxLength > contextLength) {
      const message =
        `the prompt of ${promptLength} tokens and ${maxLength - promptLength} new ones make ${maxLength} tokens, ` +
        `and the model takes ${contextLength}`;
      const field = promptLength < contextLength ? "max_new_tokens" : "input";
      throw new GptError("prompt_too_long", message, { field });
    }
    if (promptLength >= maxLength && maxNewTokens !== 0) {
      const message =
        maxNewTokens === undefined
          ? `input has ${promptLength} tokens and max_length is ${maxLength}: max_length counts the prompt's tokens ` +
            `too and must be larger (the model takes at most ${contextLength})`
          : `the prompt has ${promptLength} tokens, and the model takes ${contextLength}, new ones included`;
      throw new GptError("prompt_too_long", message, { field: "input" });
    }
    return maxLength;
  }
}

/** The text of a prompt, without an incomplete character at its end: new tokens may still complete it. */
function promptText(tokenizer: Tokenizer | undefined, tokenIds: readonly number[]): string {
  if (tokenizer === undefined) return "";
  const text = tokenizer.decode(tokenIds, { skipSpecialTokens: true });
  if (!text.endsWith("\ufffd")) return text;
  const detokenizer = new Detokenizer(tokenizer, { skipSpecialTokens: true });
  return tokenIds.map((id) => detokenizer.push(id)).join("");
}

/** Raises the minimum number of new tokens to `count`, if it is lower. */
function withMinLength(decoding: DecodingParams, count: number): DecodingParams {
  const { ending } = decoding;
  if (count <= (ending?.minNewTokens ?? 0)) return decoding;
  return { ...decoding, ending: { ...ending, minNewTokens: count } };
}

/** The `count` hypotheses with the highest mean log-probability per new token, best first, on a tie the earlier one. */
function best(hypotheses: readonly Hypothesis[], count = hypotheses.length): readonly Hypothesis[] {
  if (count >= hypotheses.length) return hypotheses;
  const ranked = hypotheses.map((hypothesis) => ({ hypothesis, mean: meanLogprob(hypothesis) }));
  return ranked
    .sort((a, b) => b.mean - a.mean)
    .slice(0, count)
    .map(({ hypothesis }) => hypothesis);
}

function meanLogprob({ logprobs = [] }: Hypothesis): number {
  return logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(1, logprobs.length);
}

/** Whether an end-of-text token ended it. */
function endsWithText({ finishReason, stop }: Hypothesis): boolean {
  return finishReason === "stop" && stop === undefined;
}
