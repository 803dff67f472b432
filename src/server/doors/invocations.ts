// An invocation, from its payload to its answer. It is the same for every door and operation. The answer is sent whole, as
// a JSON list, or streamed in the form and the frames that the door chooses. A body of another dialect is answered in it.
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { answerOf } from "../../request/answer.ts";
import { type Fields, readJsonBody } from "../../request/body.ts";
import { invalidField } from "../../request/fields.ts";
import type { GenerationParams, TokenForm } from "../../request/generation.ts";
import { sendJson, takeBody } from "../http/http-app.ts";
import { type AnswerFrames, pieceWriter, sendStream, writePieces } from "./answer-stream.ts";
import type { ResponseType } from "./envelope.ts";
import { answerHuggingFace } from "./huggingface.ts";
import { answerCompletion, NO_CHAT, openAiEvents } from "./openai.ts";
import type { ServedModel } from "./served-model.ts";
import { EVENT_STREAM } from "./server-sent-events.ts";

/** How an invocation is answered. */
export interface AnswerForm {
  /** Name of the endpoint. */
  readonly endpoint: string;
  readonly type: ResponseType;
  /** Headers of the answer, without content type and seed. */
  readonly headers: OutgoingHttpHeaders;
  /** The answer is streamed in these frames. Undefined: it is sent whole, as a JSON list. */
  readonly frames: AnswerFrames | undefined;
  /** The frames if the body asks for a stream and the operation does not. */
  readonly growing: AnswerFrames;
  /** Bytes that may wait for a slow reader. */
  readonly unreadBytesMax: number;
}

/**
 * Generates what the body asks for, and answers.
 * @throws GptError for a payload that is refused, and for failures before the first byte is sent
 */
export async function answerInvocation(
  model: ServedModel,
  request: FastifyRequest,
  reply: FastifyReply,
  { type, frames, growing, unreadBytesMax, ...form }: AnswerForm,
): Promise<FastifyReply | undefined> {
  const fields = await readJsonBody(takeBody(request));
  const kind = kindOf(fields);
  if (kind === "prompt") {
    // The name of an endpoint stands in the path: `model` may be anything.
    const { model: _, ...others } = fields;
    return answerCompletion(model, request, reply.headers(form.headers), {
      fields: frames ? { ...others, stream: true } : others,
      name: form.endpoint,
      type,
      unreadBytesMax,
      frames:
        frames ?? (growing.contentType === EVENT_STREAM.contentType ? openAiEvents(request, model) : growing),
    });
  }
  if (kind === "inputs") {
    return answerHuggingFace(model, request, reply, {
      fields,
      place: { echoes: true, ...(frames && { isStreamed: true }) },
      type,
      frames: frames ?? growing,
      headers: form.headers,
      unreadBytesMax,
    });
  }
  const params = model.parse(fields);
  const tokenForm = (id: number): TokenForm => model.token(id);
  const headers = { ...form.headers, "x-gpt2-seed": String(params.decoding.seed) };
  if (frames !== undefined) refuseUnstreamed(params, type);
  if (frames === undefined) {
    const generation = await model.generate(params, request);
    return sendJson(reply.headers(headers), answerOf(params, generation, tokenForm));
  }
  await sendStream({
    reply,
    headers,
    frames,
    gone: request.exchange.gone,
    produce: (write, signal) =>
      writePieces(pieceWriter(type, params, tokenForm), write, (options) =>
        model.generate(params, request, { ...options, signal }),
      ),
    unreadBytesMax,
  });
  return undefined;
}

/** @throws GptError `invalid_field` for parameters whose result is known only when a text is complete. */
function refuseUnstreamed({ tellsLogprobs, keepBest }: GenerationParams, type: ResponseType): void {
  if (tellsLogprobs && type !== "application/jsonlines") {
    const message = "logprobs needs the type application/jsonlines where an answer is sent while it grows";
    throw invalidField("logprobs", message);
  }
  if (keepBest !== undefined) {
    const message = "best_of must equal num_return_sequences where an answer is sent while it grows";
    throw invalidField("best_of", message);
  }
}

const INPUTS = ["input", "inputs", "prompt", "messages"];

/** The field that shows the dialect of a body. @throws GptError for a body of several dialects, or of a chat */
function kindOf(fields: Fields): string {
  const named = INPUTS.filter((name) => Object.hasOwn(fields, name));
  if (named.length > 1) {
    throw invalidField(
      named[1] as string,
      `${named.join(" and ")} are of different dialects; send one of them`,
    );
  }
  const [kind = "input"] = named;
  if (kind === "messages") throw invalidField(kind, `messages: ${NO_CHAT}`);
  return kind;
}
