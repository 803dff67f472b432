// Text in, texts out: tokenizes the prompt, compares lengths with the model, submits to the engine, and turns token
// ids back into text. The engine never sees text, its callers never see ids unless they ask.
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
} from "../request/generation.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { TextStream } from "./text-stream.ts";

/** What is needed of an engine. */
export type Engine = Pick<WorkerEngine, "submit" | "health" | "stats" | "close">;

export class TextGenerator implements Generator {
  readonly model: ModelInfo;
  readonly #engine: Engine;
  readonly #tokenizer: Tokenizer | undefined;
  readonly #bosTokenId: number;

  /** Without a tokenizer only prompts of token ids can be answered, and texts are empty. */
  constructor(engine: Engine, model: ModelInfo, tokenizer: Tokenizer | undefined, bosTokenId: number) {
    this.#engine = engine;
    this.model = model;
    this.#tokenizer = tokenizer;
    this.#bosTokenId = bosTokenId;
  }

  async generate(params: GenerationParams, options: GenerateOptions = {}): Promise<Generation> {
    const { onPiece, ...others } = options;
    const prompt = this.encodePrompt(params);
    const decoding = { ...params.decoding, maxLength: this.#maxLength(params, prompt.length) };
    const stream = onPiece && this.#tokenizer && new TextStream(prompt, this.#tokenizer, onPiece);
    const { hypotheses, cachedTokens, timing } = await this.#engine.submit(prompt, decoding, {
      ...others,
      ...(stream ? { onTokens: (tokenIds) => stream.push(tokenIds) } : {}),
    });
    stream?.finish(hypotheses);
    const computed = new Set(hypotheses.map((h) => h.tokenIds));
    const generatedTokens = [...computed].reduce((sum, ids) => sum + ids.length - prompt.length, 0);
    return {
      sequences: hypotheses.map(({ tokenIds, finishReason, score }) => ({
        text: this.#tokenizer?.decode(tokenIds, { skipSpecialTokens: true }) ?? "",
        tokenIds,
        finishReason,
        ...(score === undefined ? {} : { score }),
      })),
      ...{ seed: decoding.seed, promptTokens: prompt.length, cachedTokens, generatedTokens, timing },
    };
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
   * The prompt's token ids; an empty prompt is the end-of-text token.
   * @throws GptError `invalid_field` when an id is outside the model's vocabulary.
   */
  encodePrompt({
    input,
    promptTokenIds,
  }: Pick<GenerationParams, "input" | "promptTokenIds">): readonly number[] {
    if (!promptTokenIds && !this.#tokenizer) {
      const message = `input: ${this.model.name} has no tokenizer files, so only prompt_token_ids can be answered`;
      throw new GptError("invalid_field", message);
    }
    const ids = promptTokenIds ?? this.#encode(input ?? "");
    const prompt = ids.length > 0 ? ids : [this.#tokenizer?.endOfTextId ?? this.#bosTokenId];
    const { vocabSize, name } = this.model;
    const outside = prompt.find((id) => id >= vocabSize);
    if (outside !== undefined) {
      const message = `the prompt holds token ${outside}, and the vocabulary of ${name} ends at ${vocabSize - 1}`;
      throw new GptError("invalid_field", message);
    }
    return prompt;
  }

  /** Refuses a text that is too long whatever its tokens are, before any work goes into it. */
  #encode(input: string): readonly number[] {
    const tokenizer = this.#tokenizer as Tokenizer;
    const { contextLength } = this.model;
    if (tokenizer.surelyExceeds(input, contextLength)) {
      const message = `input has more than ${contextLength} tokens, and the model takes no more`;
      throw new GptError("prompt_too_long", message);
    }
    return tokenizer.encode(input);
  }

  #maxLength({ maxNewTokens, decoding }: GenerationParams, promptLength: number): number {
    const { contextLength } = this.model;
    const maxLength = maxNewTokens === undefined ? decoding.maxLength : promptLength + maxNewTokens;
    if (maxLength > contextLength) {
      throw new GptError(
        "prompt_too_long",
        `the prompt of ${promptLength} tokens and ${maxLength - promptLength} new ones make ${maxLength} tokens, ` +
          `and the model takes ${contextLength}`,
      );
    }
    if (promptLength >= maxLength) {
      throw new GptError(
        "prompt_too_long",
        `input has ${promptLength} tokens and max_length is ${maxLength}: max_length counts the prompt's tokens ` +
          `too and must be larger (the model takes at most ${contextLength})`,
      );
    }
    return maxLength;
  }
}
