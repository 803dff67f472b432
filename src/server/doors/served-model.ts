// One model behind one or more doors, which may still be loading: a JSON object in, texts out, given up when the caller
// leaves. The request arrives here with its size, its signature and its envelope checked; what is left is the payload.
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
  /** For requests that begin now; undefined while there is none. */
  readonly present: Generator | undefined;
  /** The same, which goes on answering until `release` is called. */
  hold(): HeldGenerator | undefined;
}

export interface HeldGenerator {
  readonly generator: Generator;
  release(): void;
}

/** What serves one model: itself, itself once it is loaded, or whatever takes its place. */
export type Servable = Generator | Promise<Generator> | ModelSource;

export class ServedModel {
  readonly #settings: ModelSettings;
  readonly #source: ModelSource;
  /** One object for each generator: the schemas of requests are kept for as long as it is. */
  readonly #limits: WeakMap<Generator, ModelLimits>;

  /** Whoever loads the model learns why it failed; here it just never becomes ready. */
  constructor(
    model: Servable,
    settings: ModelSettings,
    limits: WeakMap<Generator, ModelLimits> = new WeakMap(),
  ) {
    this.#settings = settings;
    this.#source = sourceOf(model);
    this.#limits = limits;
  }

  /** The model for one request: that of its beginning until the request is over, whatever takes its place meanwhile. */
  begin({ exchange }: FastifyRequest): ServedModel {
    const held = this.#source.hold();
    if (held !== undefined) exchange.onOver(() => held.release());
    return new ServedModel(fixedSource(held?.generator), this.#settings, this.#limits);
  }

  /** A token for people. The model must be loaded. */
  token(id: number): TokenForm {
    return this.#required.token(id);
  }

  get isLoaded(): boolean {
    return this.#source.present !== undefined;
  }

  get isReady(): boolean {
    return this.#source.present?.health === "ready";
  }

  /** What the model is called, and n_positions; undefined while it is loading. */
  get info(): ModelInfo | undefined {
    return this.#source.present?.model;
  }

  /** Requests that wait and that run. The model must be loaded. */
  get load(): { readonly waiting: number; readonly running: number } {
    const { requestsWaiting: waiting, requestsRunning: running } = this.#required.stats();
    return { waiting, running };
  }

  get fingerprint(): string | undefined {
    return this.#source.present?.fingerprint;
  }

  /** The token that ends a text, as it is written; null where the model has none that is written. */
  get endOfText(): string | null {
    return this.#required.model.endOfText ?? null;
  }

  /** @throws GptError as the generator does. The model must be loaded. */
  tokenize(text: string): Promise<readonly number[]> {
    return this.#required.tokenize(text);
  }

  /** @throws GptError as the generator does. The model must be loaded. */
  detokenize(tokenIds: readonly number[]): string {
    return this.#required.detokenize(tokenIds);
  }

  /** What a request may ask for, and where seeds come from. The model must be loaded. */
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

  /** @throws GptError for a body that is refused. The model must be loaded. */
  parse(fields: Fields): GenerationParams {
    return parseGenerationParams(fields, this.limits);
  }

  /** Generates for one request of the core; see `generateAll`. */
  async generate(
    params: GenerationParams,
    request: FastifyRequest,
    options: GenerateOptions = {},
  ): Promise<Generation> {
    const [generation] = await this.generateAll([params], request, () => options);
    return generation as Generation;
  }

  /**
   * Generates for all requests at once, and notes in the record what they cost together, also when they come to nothing. The
   * first that fails ends the others. The model must be loaded.
   * @throws GptError `cancelled` when the caller left or `signal` was aborted, and what the generator throws.
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

/** One that is never replaced. */
function fixedSource(generator: Generator | undefined): ModelSource {
  return { present: generator, hold: () => generator && { generator, release() {} } };
}

/** What requests that were answered together cost: tokens in all; of times the shortest wait and the longest work. */
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
