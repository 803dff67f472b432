// One model behind one or more doors: a JSON object in, texts out, given up when the caller leaves.
// The request arrives here with its size, its signature and its envelope checked; what is left is the payload.
import { randomInt } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { GenerateOptions, Generation, GenerationParams, Generator } from "../../request/generation.ts";
import {
  type ParseOptions,
  parseGenerationParams,
  parseJsonBody,
  refuseManyValues,
} from "../../request/params.ts";
import type { Settings } from "../../settings.ts";
import { bodyOf } from "../http/http-app.ts";

const SEEDS = 2 ** 32;

/** A generator that may still be loading. */
export class ModelSlot {
  readonly #settings: Settings;
  #generator: Generator | undefined;
  #options: ParseOptions | undefined;

  /** Whoever loads the model learns why it failed; here it just never becomes ready. */
  constructor(generator: Generator | Promise<Generator>, settings: Settings) {
    this.#settings = settings;
    if (generator instanceof Promise) generator.then((loaded) => this.#fill(loaded)).catch(() => {});
    else this.#fill(generator);
  }

  #fill(generator: Generator): void {
    this.#generator = generator;
    this.#options = {
      contextLength: generator.model.contextLength,
      maxNumReturnSequences: this.#settings.maxNumReturnSequences,
      maxNumBeams: this.#settings.maxNumBeams,
      randomSeed: () => randomInt(SEEDS),
    };
  }

  /** Undefined while it is being loaded. */
  get generator(): Generator | undefined {
    return this.#generator;
  }

  get isReady(): boolean {
    return this.#generator?.health === "ready";
  }

  /** @throws GptError for a body that is refused. The slot must be filled. */
  parse(request: FastifyRequest): GenerationParams {
    const body = bodyOf(request);
    request.body = undefined; // It may be large, and the request lives until it is answered.
    refuseManyValues(body);
    return parseGenerationParams(parseJsonBody(body), this.#options as ParseOptions);
  }

  /**
   * Generates, and notes in the request's record what it cost, also when it comes to nothing.
   * @throws GptError `cancelled` when the caller left or `signal` was aborted, and what the generator throws.
   */
  async generate(
    params: GenerationParams,
    { record, exchange }: FastifyRequest,
    { signal = exchange.gone, onPiece }: GenerateOptions = {},
  ): Promise<Generation> {
    const startMs = performance.now();
    try {
      const generation = await (this.#generator as Generator).generate(params, {
        signal,
        client: record.keyId ?? "",
        ...(onPiece === undefined ? {} : { onPiece }),
      });
      const { promptTokens, cachedTokens, generatedTokens, timing } = generation;
      Object.assign(record, { promptTokens, cachedTokens, generatedTokens, ...rounded(timing) });
      return generation;
    } catch (error) {
      record.totalMs = Math.round(performance.now() - startMs);
      throw error;
    }
  }
}

function rounded(timing: Generation["timing"]): Generation["timing"] {
  const entries = Object.entries(timing).map(([name, milliseconds]) => [name, Math.round(milliseconds)]);
  return Object.fromEntries(entries) as Generation["timing"];
}
