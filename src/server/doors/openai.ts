// The routes for OpenAI's clients: completions, the list of models, and vLLM's routes for the tokenizer. What a body means and
// what an answer looks like is in dialects/openai/. This file has the order of checks, and sends the answer.
import type { FastifyReply, FastifyRequest } from "fastify";
import { type AnswerFacts, CompletionChunks, completionOf } from "../../dialects/openai/completion-answer.ts";
import { type CompletionRequest, readCompletion } from "../../dialects/openai/completion-request.ts";
import { openAiErrorOf, openAiRefusal } from "../../dialects/openai/errors.ts";
import { GptError } from "../../errors.ts";
import { type Fields, readJsonBody, withoutNull } from "../../request/body.ts";
import { invalidField, missingField } from "../../request/fields.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import { describeValue } from "../../wording.ts";
import { noteError, sendJson, takeBody } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import { type AnswerFrames, sendStream } from "./answer-stream.ts";
import { type Endpoints, endpointOf, requireLoaded } from "./endpoints.ts";
import { type ResponseType, refuseEncoded } from "./envelope.ts";
import type { RoutedRequest } from "./routes.ts";
import type { ServedModel } from "./served-model.ts";
import { EVENT_STREAM, event, JsonLines, ServerSentEvents } from "./server-sent-events.ts";

const EXAMPLE = '{"prompt": "Some text"}';
export const NO_CHAT =
  'This is a base model without a chat template; send the text to be continued as "prompt" to POST /v1/completions.';

export interface OpenAiOptions {
  readonly endpoints: Endpoints;
  readonly unreadBytesMax: number;
}

/** The functions that answer. */
export class OpenAiRoutes {
  readonly #endpoints: Endpoints;
  readonly #unreadBytesMax: number;
  readonly #startedSeconds = Math.floor(Date.now() / 1000);

  constructor({ endpoints, unreadBytesMax }: OpenAiOptions) {
    this.#endpoints = endpoints;
    this.#unreadBytesMax = unreadBytesMax;
  }

  /** The functions that answer, by operation. */
  handlers() {
    return {
      CreateCompletion: (request: RoutedRequest, reply: FastifyReply) => this.#complete(request, reply),
      CreateChatCompletion: noChat,
      CreateResponse: noChat,
      ListModels: (request: RoutedRequest, reply: FastifyReply) => this.#list(request, reply),
      RetrieveModel: (request: RoutedRequest, reply: FastifyReply) => this.#retrieve(request, reply),
      TokenizerInfo: (request: RoutedRequest, reply: FastifyReply) => this.#tokenizerInfo(request, reply),
      Tokenize: (request: RoutedRequest, reply: FastifyReply) => this.#tokenize(request, reply),
      Detokenize: (request: RoutedRequest, reply: FastifyReply) => this.#detokenize(request, reply),
    };
  }

  async #complete(request: RoutedRequest, reply: FastifyReply): Promise<unknown> {
    const body = await readBody(request);
    const { name, model } = this.#admit(request, body.model);
    reply.header("x-request-id", request.id);
    return answerCompletion(model, request, reply, {
      fields: body,
      name,
      type: "application/json",
      frames: openAiEvents(request, model),
      unreadBytesMax: this.#unreadBytesMax,
    });
  }

  async #list(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { EndpointName: own } = request.params;
    const allowed = this.#endpoints.allowed(request);
    const names = allowed.filter((name) => own === undefined || name === own);
    if (own !== undefined && names.length === 0) throw unknownModel(own, allowed);
    return sendJson(reply, { object: "list", data: names.map((name) => this.#describe(name)) });
  }

  async #retrieve(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { EndpointName: own, "*": asked = "" } = request.params;
    const allowed = this.#endpoints.allowed(request).filter((name) => own === undefined || name === own);
    const name = endpointOf(asked, allowed, (each) => this.#endpoints.model(each)?.info?.name);
    if (name === undefined) throw unknownModel(asked, allowed);
    return sendJson(reply, this.#describe(name));
  }

  async #tokenizerInfo(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { endOfText } = this.#admit(request, this.#first(request)).model;
    const tokens = { eos_token: endOfText, bos_token: endOfText, pad_token: null };
    return sendJson(reply, { ...tokens, chat_template: null });
  }

  async #tokenize(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { prompt, model: asked } = await readBody(request);
    const { model } = this.#admit(request, asked ?? this.#first(request));
    if (prompt === undefined) throw missingField("prompt");
    if (typeof prompt !== "string") {
      throw invalidField("prompt", `prompt must be a string, got ${describeValue(prompt)}`);
    }
    const tokens = await model.tokenize(prompt);
    return sendJson(reply, { tokens, count: tokens.length, max_model_len: model.info?.contextLength });
  }

  async #detokenize(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { tokens, model: asked } = await readBody(request);
    const { model } = this.#admit(request, asked ?? this.#first(request));
    if (tokens === undefined) throw missingField("tokens");
    const isList = Array.isArray(tokens) && tokens.every((id) => Number.isSafeInteger(id) && id >= 0);
    if (!isList)
      throw invalidField("tokens", `tokens must be a list of token ids, got ${describeValue(tokens)}`);
    return sendJson(reply, { prompt: model.detokenize(tokens) });
  }

  /** The endpoint that the request means, and its model. Throws while the model loads. */
  #admit(request: RoutedRequest, asked: unknown): { readonly name: string; readonly model: ServedModel } {
    const name = nameOf(request, asked, this.#endpoints);
    const model = this.#endpoints.admit(request, name);
    requireLoaded(model);
    return { name, model };
  }

  /** The first endpoint, for a path that names no endpoint and a body that names no model. */
  #first(request: RoutedRequest): string | undefined {
    return request.params.EndpointName ?? this.#endpoints.allowed(request)[0];
  }

  #describe(name: string): object {
    const contextLength = this.#endpoints.model(name)?.info?.contextLength;
    return {
      id: name,
      object: "model",
      created: this.#startedSeconds,
      owned_by: "gpt2-api",
      ...(contextLength !== undefined && { max_model_len: contextLength }),
    };
  }
}

async function noChat(): Promise<never> {
  throw new AwsError({ type: "UnsupportedEndpoint", status: 404 }, NO_CHAT);
}

/** Reads the body as JSON. A field that is null counts as absent. */
async function readBody(request: FastifyRequest): Promise<Fields> {
  refuseEncoded(request.headers);
  return withoutNull(
    await readJsonBody(takeBody(request), {
      valuesMax: REQUEST_LIMITS.openaiBodyValues.max,
      example: EXAMPLE,
    }),
  );
}

/** The name of the endpoint, from the path or from the field `model`. */
function nameOf(request: RoutedRequest, asked: unknown, endpoints: Endpoints): string {
  const { EndpointName: own } = request.params;
  const allowed = endpoints.allowed(request);
  if (own !== undefined) {
    if (endpoints.model(own) === undefined) throw unknownModel(own, allowed);
    return own;
  }
  if (asked !== undefined && typeof asked !== "string") throw invalidField("model", "model must be a string");
  if (asked === undefined) {
    const [only, ...others] = allowed;
    if (only !== undefined && others.length === 0) return only;
    const message = `model must be one of ${allowed.join(", ")}; it is missing`;
    throw new AwsError({ type: "ModelMissing", status: 400 }, message);
  }
  // An endpoint that the caller may not invoke is not listed, but if the caller names it, the error says that it exists.
  if (endpoints.model(asked) !== undefined) return asked;
  const found = endpointOf(asked, allowed, (name) => endpoints.model(name)?.info?.name);
  if (found === undefined) throw unknownModel(asked, allowed);
  return found;
}

function unknownModel(asked: string, allowed: readonly string[]): AwsError {
  const message = `The model ${JSON.stringify(asked.slice(0, 100))} does not exist; there is ${allowed.join(", ") || "none"}`;
  return new AwsError({ type: "ModelNotFound", status: 404 }, message);
}

export function fingerprintHeader({ fingerprint }: ServedModel): Record<string, string> {
  return fingerprint === undefined ? {} : { "x-gpt2-fingerprint": fingerprint };
}

export interface CompletionForm {
  readonly fields: Fields;
  /** Name of the endpoint. */
  readonly name: string;
  /** The form of a stream: JSON lines, one chunk a line, or server-sent events. */
  readonly type: ResponseType;
  /** The frames of a stream. */
  readonly frames: AnswerFrames;
  readonly unreadBytesMax: number;
}

/** Generates what a body asks for, and answers. @throws GptError for failures before the first byte is sent */
export async function answerCompletion(
  model: ServedModel,
  request: FastifyRequest,
  reply: FastifyReply,
  { fields, name, ...form }: CompletionForm,
): Promise<FastifyReply | undefined> {
  const completion = readCompletion(fields, model.limits);
  const facts = (): AnswerFacts => ({
    id: `cmpl-${request.id}`,
    created: Math.floor(Date.now() / 1000),
    model: name,
    fingerprint: model.fingerprint ?? null,
    form: (id) => model.token(id),
  });
  const created = facts();
  reply.headers({ "x-gpt2-seed": String(completion.seed), ...fingerprintHeader(model) });
  if (completion.isStreamed) {
    return streamCompletion(completion, { ...form, facts: created, model, request, reply });
  }
  const generations = await model.generateAll(completion.requests, request);
  reply.headers({
    "openai-processing-ms": String(request.record.totalMs ?? 0),
    ...fingerprintHeader(model),
  });
  // The fingerprint is computed in the background after a start, so it may be known only now.
  const { fingerprint } = facts();
  return sendJson(reply, completionOf(completion, generations, { ...created, fingerprint }));
}

interface Streamed extends Pick<CompletionForm, "type" | "frames" | "unreadBytesMax"> {
  readonly facts: AnswerFacts;
  readonly model: ServedModel;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Sends chunks while texts are generated, then the usage if it was asked for, then the end. */
async function streamCompletion(
  completion: CompletionRequest,
  { facts, model, type, frames, request, reply, unreadBytesMax }: Streamed,
): Promise<undefined> {
  const chunks = new CompletionChunks(completion, facts);
  await sendStream({
    reply,
    headers: {},
    frames,
    gone: request.exchange.gone,
    unreadBytesMax,
    produce: async (write, signal) => {
      const events = type === "application/jsonlines" ? new JsonLines(write) : new ServerSentEvents(write);
      try {
        const generations = await model.generateAll(completion.requests, request, (j) => ({
          signal,
          onPrompt: (prompt) => chunks.prompt(j, prompt),
          onPiece: (piece) => events.send(chunks.piece(j, piece)),
        }));
        for (const [j, generation] of generations.entries()) events.send(...chunks.end(j, generation));
        events.send(...chunks.usage(generations));
        events.end();
      } finally {
        events.stop();
      }
    },
  });
  return undefined;
}

/** Server-sent events with errors in OpenAI's form. */
export function openAiEvents(request: FastifyRequest, model: ServedModel): AnswerFrames {
  return {
    ...EVENT_STREAM,
    fail(error) {
      const answer = toOpenAiError(error, request, model);
      noteError(request, error, answer);
      return Buffer.from(event(answer.details.body));
    },
  };
}

/** Turns anything that was thrown into an error in OpenAI's form. */
export function toOpenAiError(
  error: unknown,
  request: FastifyRequest,
  model: ServedModel | undefined,
): AwsError {
  const aws = toAwsError(error, { requestId: request.id, region: "", endpoint: "" });
  const isOurs = error instanceof GptError && aws.type !== "InternalFailure";
  const { status, headers, body } = isOurs
    ? openAiErrorOf(error, model?.info?.contextLength)
    : openAiRefusal({ ...aws, message: aws.message, headers: aws.details.headers });
  const own = { ...headers, "x-request-id": request.id };
  return new AwsError({ type: aws.type, status }, body.error.message, { headers: own, body });
}
