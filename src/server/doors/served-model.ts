// One model behind one or more doors, which may still be loading: a JSON object in, texts out, given up when the caller
// leaves. The request arrives here with its size, its signature and its envelope checked; what is left is the payload.
import { randomInt } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { parseJsonBody, refuseManyValues } from "../../request/body.ts";
import type {
  GenerateOptions,
  Generation,
  GenerationParams,
  Generator,
  TokenForm,
} from "../../request/generation.ts";
import { type ParseOptions, parseGenerationParams } from "../../request/params.ts";
import type { Settings } from "../../settings.ts";
import { bodyOf } from "../http/http-app.ts";

const SEEDS = 2 ** 32;

export type ModelSettings = Pick<Settings, "maxNumReturnSequences" | "maxNumBeams">;

export class ServedModel {
  readonly #settings: ModelSettings;
  #loaded: { readonly generator: Generator; readonly options: ParseOptions } | undefined;

  /** Whoever loads the model learns why it failed; here it just never becomes ready. */
  constructor(generator: Generator | Promise<Generator>, settings: ModelSettings) {
    this.#settings = settings;
    if (generator instanceof Promise) generator.then((loaded) => this.#use(loaded)).catch(() => {});
    else this.#use(generator);
  }

  #use(generator: Generator): void {
    const { maxNumReturnSequences, maxNumBeams } = this.#settings;
    const { contextLength } = generator.model;
    const randomSeed = (): number => randomInt(SEEDS);
    this.#loaded = {
      generator,
      options: { contextLength, maxNumReturnSequences, maxNumBeams, randomSeed },
    };
  }

  /** A token for people. The model must be loaded. */
  token(id: number): TokenForm {
    return this.#required.generator.token(id);
  }

  get isLoaded(): boolean {
    return this.#loaded !== undefined;
  }

  get isReady(): boolean {
    return this.#loaded?.generator.health === "ready";
  }

  /** @throws GptError for a body that is refused. The model must be loaded. */
  parse(request: FastifyRequest): GenerationParams {
    const body = bodyOf(request);
    request.body = undefined; // It may be large, and the request lives until it is answered.
    refuseManyValues(body);
    return parseGenerationParams(parseJsonBody(body), this.#required.options);
  }

  /**
   * Generates, and notes in the request's record what it cost, also when it comes to nothing. The model must be loaded.
   * @throws GptError `cancelled` when the caller left or `signal` was aborted, and what the generator throws.
   */
  async generate(
    params: GenerationParams,
    { record, exchange }: FastifyRequest,
    { signal = exchange.gone, onPiece, onPrompt }: GenerateOptions = {},
  ): Promise<Generation> {
    const startMs = performance.now();
    try {
      const generation = await this.#required.generator.generate(params, {
        signal,
        client: record.keyId ?? "",
        ...(onPiece && { onPiece }),
        ...(onPrompt && { onPrompt }),
      });
      const { promptTokens, cachedTokens, generatedTokens, timing } = generation;
      Object.assign(record, { promptTokens, cachedTokens, generatedTokens, ...rounded(timing) });
      return generation;
    } catch (error) {
      record.totalMs = Math.round(performance.now() - startMs);
      throw error;
    }
  }

  get #required() {
    if (this.#loaded === undefined) throw new Error("the model is still being loaded");
    return this.#loaded;
  }
}

function rounded(timing: Generation["timing"]): Generation["timing"] {
  const entries = Object.entries(timing).map(([name, milliseconds]) => [name, Math.round(milliseconds)]);
  return Object.fromEntries(entries) as Generation["timing"];
}
