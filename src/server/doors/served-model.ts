// One model as the doors use it; it may still be loading. It parses a payload, generates, and gives up when the caller
// leaves. Size, signature and envelope of the request were checked before.
import { randomInt } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Fields } from "../../request/body.ts";
import type {
  GenerateOptions,
  Generation,
  GenerationParams,
  Generator,
  ModelInfo,
  TokenForm,
} from "../../request/generation.ts";
import { type ParseOptions, parseGenerationParams } from "../../request/params.ts";
import { SEEDS } from "../../request/seeds.ts";
import type { Settings } from "../../settings.ts";

export type ModelSettings = Pick<Settings, "maxNumReturnSequences" | "maxNumBeams">;

export type ModelLimits = Required<Omit<ParseOptions, "allowTokenIds">> & Pick<ModelInfo, "vocabSize">;

/** A model whose generator may be replaced while it serves. */
export interface ModelSource {
  /** The generator for requests that begin now; undefined while there is none. */
  readonly present: Generator | undefined;
  /** The same, kept open until `release` is called even if it is replaced. */
  hold(): HeldGenerator | undefined;
}

export interface HeldGenerator {
  readonly generator: Generator;
  release(): void;
}

/** A model to serve: loaded, still loading, or one that may be replaced while it serves. */
export type Servable = Generator | Promise<Generator> | ModelSource;

export class ServedModel {
  readonly #settings: ModelSettings;
  readonly #source: ModelSource;
  /** One object for each generator. The schemas of requests are cached by it, and so live as long as it does. */
  readonly #limits: WeakMap<Generator, ModelLimits>;

  /** If the loading fails, its owner gets the error. Here the model only never becomes ready. */
  constructor(
    model: Servable,
    settings: ModelSettings,
    limits: WeakMap<Generator, ModelLimits> = new WeakMap(),
  ) {
    this.#settings = settings;
    this.#source = sourceOf(model);
    this.#limits = limits;
  }

  /** The model for one request. It stays the one that the request began with, even if it is replaced meanwhile. */
  begin({ exchange }: FastifyRequest): ServedModel {
    const held = this.#source.hold();
    if (held !== undefined) exchange.onOver(() => held.release());
    return new ServedModel(fixedSource(held?.generator), this.#settings, this.#limits);
  }

  /** A token as text. The model must be loaded. */
  token(id: number): TokenForm {
    return this.#required.token(id);
  }

  get isLoaded(): boolean {
    return this.#source.present !== undefined;
  }

  get isReady(): boolean {
    return this.#source.present?.health === "ready";
  }

  /** The model's name, context length and more; undefined while it loads. */
  get info(): ModelInfo | undefined {
    return this.#source.present?.model;
  }

  /** The numbers of waiting and running requests. The model must be loaded. */
  get load(): { readonly waiting: number; readonly running: number } {
    const { requestsWaiting: waiting, requestsRunning: running } = this.#required.stats();
    return { waiting, running };
  }

  get fingerprint(): string | undefined {
    return this.#source.present?.fingerprint;
  }

  /** The end-of-text token as it is written; null if the tokenizer has none. */
  get endOfText(): string | null {
    return this.#required.model.endOfText ?? null;
  }

  /** The model must be loaded. @throws GptError as the generator does */
  tokenize(text: string): Promise<readonly number[]> {
    return this.#required.tokenize(text);
  }

  /** The model must be loaded. @throws GptError as the generator does */
  detokenize(tokenIds: readonly number[]): string {
    return this.#required.detokenize(tokenIds);
  }

  /** The limits of a request's parameters, and the source of random seeds. The model must be loaded. */
  get limits(): ModelLimits {
    const generator = this.#required;
    const { maxNumReturnSequences, maxNumBeams } = this.#settings;
    const { contextLength, vocabSize } = generator.model;
    const known = this.#limits.get(generator);
    const limits = known ?? {
      contextLength,
      vocabSize,
      maxNumReturnSequences,
      maxNumBeams,
      randomSeed: () => randomInt(SEEDS),
    };
    this.#limits.set(generator, limits);
    return limits;
  }

  /** The model must be loaded. @throws GptError for a body that is refused */
  parse(fields: Fields): GenerationParams {
    return parseGenerationParams(fields, this.limits);
  }

  /** Generates for one request; see `generateAll`. */
  async generate(
    params: GenerationParams,
    request: FastifyRequest,
    options: GenerateOptions = {},
  ): Promise<Generation> {
    const [generation] = await this.generateAll([params], request, () => options);
    return generation as Generation;
  }

  /**
   * Generates for all requests at once, and notes their costs in the record, also if they fail. The first failure cancels the
   * others. The model must be loaded.
   * @throws GptError `cancelled` when the caller left or `signal` was aborted, and the errors of the generator
   */
  async generateAll(
    requests: readonly GenerationParams[],
    { record, exchange }: FastifyRequest,
    optionsOf: (index: number) => GenerateOptions = () => ({}),
  ): Promise<Generation[]> {
    const generator = this.#required;
    const startMs = performance.now();
    const failed = new AbortController();
    const answers = requests.map((params, i) => {
      const { signal = exchange.gone, onPiece, onPrompt, onSteps } = optionsOf(i);
      return generator.generate(params, {
        signal: requests.length > 1 ? AbortSignal.any([signal, failed.signal]) : signal,
        client: record.keyId ?? "",
        ...(onPiece && { onPiece }),
        ...(onPrompt && { onPrompt }),
        ...(onSteps && { onSteps }),
      });
    });
    try {
      const generations = await Promise.all(answers);
      Object.assign(record, costOf(generations));
      return generations;
    } catch (error) {
      failed.abort();
      await Promise.allSettled(answers);
      record.totalMs = Math.round(performance.now() - startMs);
      throw error;
    }
  }

  get #required(): Generator {
    const { present } = this.#source;
    if (present === undefined) throw new Error("the model is still being loaded");
    return present;
  }
}

function sourceOf(model: Servable): ModelSource {
  if ("present" in model) return model;
  if (!(model instanceof Promise)) return fixedSource(model);
  let source = fixedSource(undefined);
  model.then((loaded) => (source = fixedSource(loaded))).catch(() => {});
  return {
    get present() {
      return source.present;
    },
    hold: () => source.hold(),
  };
}

/** A model that is never replaced. */
function fixedSource(generator: Generator | undefined): ModelSource {
  return { present: generator, hold: () => generator && { generator, release() {} } };
}

/** The costs of requests that were answered together: all their tokens, the shortest waits, and the longest total time. */
function costOf(generations: readonly Generation[]) {
  const sum = (of: (one: Generation) => number): number =>
    generations.reduce((total, one) => total + of(one), 0);
  const times = (of: (one: Generation) => number): number[] => generations.map(of);
  return {
    promptTokens: sum(({ promptTokens }) => promptTokens),
    cachedTokens: sum(({ cachedTokens }) => cachedTokens),
    generatedTokens: sum(({ generatedTokens }) => generatedTokens),
    queueMs: Math.round(Math.min(...times(({ timing }) => timing.queueMs))),
    firstTokenMs: Math.round(Math.min(...times(({ timing }) => timing.firstTokenMs))),
    totalMs: Math.round(Math.max(...times(({ timing }) => timing.totalMs))),
  };
}
