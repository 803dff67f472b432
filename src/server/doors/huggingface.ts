// Hugging Face's text generation: its bodies on SageMaker's routes, and TGI's own routes. What a body means and what an answer
// looks like is in dialects/huggingface/. This file has the order of checks, and sends the answer.
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { generatedTexts, TokenEvents } from "../../dialects/huggingface/generation-answer.ts";
import { type HuggingFacePlace, readHuggingFace } from "../../dialects/huggingface/generation-request.ts";
import { GptError } from "../../errors.ts";
import { packageVersion } from "../../generator/model-directory.ts";
import { type Fields, readJsonBody } from "../../request/body.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import { jsonLine } from "../../wording.ts";
import { noteError, sendJson, takeBody } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import { type AnswerFrames, sendStream } from "./answer-stream.ts";
import { type Endpoints, NoSuchEndpoint, notReady, requireHealth, requireLoaded } from "./endpoints.ts";
import { type ResponseType, refuseEncoded } from "./envelope.ts";
import { fingerprintHeader } from "./openai.ts";
import type { RoutedRequest } from "./routes.ts";
import type { ServedModel } from "./served-model.ts";
import { EVENT_STREAM } from "./server-sent-events.ts";

const EXAMPLE = '{"inputs": "Some text"}';

export interface HuggingFaceForm {
  readonly fields: Fields;
  readonly place: HuggingFacePlace;
  /** `application/jsonlines`: one object a line; otherwise server-sent events. */
  readonly type: ResponseType;
  /** The frames of a stream. */
  readonly frames: AnswerFrames;
  readonly headers: OutgoingHttpHeaders;
  readonly unreadBytesMax: number;
}

/** Generates what a body asks for, and answers. @throws GptError for failures before the first byte is sent */
export async function answerHuggingFace(
  model: ServedModel,
  request: FastifyRequest,
  reply: FastifyReply,
  { fields, place, type, frames, headers, unreadBytesMax }: HuggingFaceForm,
): Promise<FastifyReply | undefined> {
  const asked = readHuggingFace(fields, model.limits, place);
  const form = (id: number) => model.token(id);
  const all = { ...headers, "x-gpt2-seed": String(asked.seed), ...fingerprintHeader(model) };
  if (!asked.isStreamed) {
    const generations = await model.generateAll(asked.requests, request);
    const texts = generatedTexts(asked, generations, form);
    return sendJson(reply.headers(all), place.isSingle ? texts[0] : texts);
  }
  const events = new TokenEvents(asked, form);
  const written = (some: readonly object[]): string => some.map((one) => framed(one, type)).join("");
  await sendStream({
    reply,
    headers: all,
    frames,
    gone: request.exchange.gone,
    unreadBytesMax,
    produce: async (write, signal) => {
      const [generation] = await model.generateAll(asked.requests, request, () => ({
        signal,
        onPrompt: (prompt) => events.prompt(prompt),
        onPiece: (piece) => write(written(events.piece(piece))),
      }));
      if (generation) write(written(events.end(generation)));
    },
  });
  return undefined;
}

/** As TGI writes it: without a space after `data:`. */
function framed(value: object, type: ResponseType): string {
  return type === "application/jsonlines" ? jsonLine(value) : `data:${JSON.stringify(value)}\n\n`;
}

/** Server-sent events with errors in TGI's form. */
export function huggingFaceEvents(request: FastifyRequest): AnswerFrames {
  return {
    ...EVENT_STREAM,
    fail(error) {
      const answer = toTgiError(error, request);
      noteError(request, error, answer);
      return Buffer.from(`data:${JSON.stringify(answer.details.body)}\n\n`);
    },
  };
}

/** TGI's status and name of an error, by the status that SageMaker Runtime would have answered. */
const TGI_ERRORS: Readonly<Record<number, readonly [status: number, type: string]>> = {
  400: [422, "validation"],
  403: [403, "forbidden"],
  404: [404, "not_found"],
  429: [429, "overloaded"],
  503: [429, "overloaded"],
};

/** Anything that was thrown, in TGI's form. */
export function toTgiError(error: unknown, request: FastifyRequest): AwsError {
  const aws = toAwsError(error, { requestId: request.id, region: "", endpoint: "" });
  const [status, type] = statusOf(error, aws);
  const sentence = error instanceof GptError ? error.message : aws.message;
  const message = type === "validation" ? `Input validation error: ${sentence}` : sentence;
  const text = status === 500 ? aws.message : message;
  return new AwsError({ type: aws.type, status }, text, {
    headers: { ...aws.details.headers },
    body: { error: text, error_type: type },
  });
}

function statusOf(error: unknown, aws: AwsError): readonly [status: number, type: string] {
  if (error instanceof NoSuchEndpoint) return [404, "not_found"];
  const isCallers = error instanceof GptError && error.kind === "caller";
  if (isCallers) return [422, "validation"];
  if (error instanceof GptError && error.code === "timed_out") return [424, "generation"];
  if (aws.status === 403 && aws.type !== "AccessDeniedException") return [401, "unauthorized"];
  return TGI_ERRORS[aws.status] ?? [aws.status, aws.status >= 500 ? "generation" : "validation"];
}

export interface HuggingFaceOptions {
  readonly endpoints: Endpoints;
  readonly unreadBytesMax: number;
}

/** TGI's own routes. */
export class HuggingFaceRoutes {
  readonly #options: HuggingFaceOptions;

  constructor(options: HuggingFaceOptions) {
    this.#options = options;
  }

  /** The functions that answer, by operation. */
  handlers() {
    const answer = (place: HuggingFacePlace) => (request: RoutedRequest, reply: FastifyReply) =>
      this.#answer(request, reply, place);
    return {
      TgiCompat: answer({ echoes: true }),
      TgiGenerate: answer({ echoes: false, isStreamed: false, isSingle: true }),
      TgiGenerateStream: answer({ echoes: false, isStreamed: true }),
      TgiInfo: (request: RoutedRequest, reply: FastifyReply) => this.#info(request, reply),
      TgiHealth: (request: RoutedRequest, reply: FastifyReply) => this.#health(request, reply),
    };
  }

  async #answer(request: RoutedRequest, reply: FastifyReply, place: HuggingFacePlace): Promise<unknown> {
    const model = this.#admit(request);
    refuseEncoded(request.headers);
    const fields = await readJsonBody(takeBody(request), { example: EXAMPLE });
    return answerHuggingFace(model, request, reply, {
      fields,
      place,
      type: "application/json",
      frames: huggingFaceEvents(request),
      headers: {},
      unreadBytesMax: this.#options.unreadBytesMax,
    });
  }

  async #info(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { info, limits } = this.#admit(request);
    return sendJson(reply, {
      model_id: info?.origin ?? info?.name,
      max_input_tokens: (info?.contextLength ?? 1) - 1,
      max_total_tokens: info?.contextLength,
      max_stop_sequences: REQUEST_LIMITS.stopStrings.max,
      max_best_of: limits.maxNumReturnSequences,
      version: packageVersion(),
    });
  }

  async #health(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { endpoints } = this.#options;
    const name = request.params.EndpointName ?? endpoints.first;
    const model = endpoints.model(name);
    if (model === undefined) throw notReady();
    requireHealth(request, [model]);
    return reply.send(Buffer.alloc(0));
  }

  #admit(request: RoutedRequest): ServedModel {
    const { endpoints } = this.#options;
    const model = endpoints.admit(request, request.params.EndpointName ?? endpoints.first);
    requireLoaded(model);
    return model;
  }
}
