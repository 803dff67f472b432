// An invocation, from a payload to its answer: the same for every door and operation. It is answered whole, as a JSON list,
// or while it grows, in the form and the frames that the door asks for.
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { sendJson } from "../http/http-app.ts";
import { type AnswerFrames, pieceWriter, sendStream } from "./answer-stream.ts";
import type { ResponseType } from "./envelope.ts";
import type { ServedModel } from "./served-model.ts";

/** How an invocation is answered. */
export interface AnswerForm {
  readonly type: ResponseType;
  /** Headers of the answer, beside those that tell its type and its seed. */
  readonly headers: OutgoingHttpHeaders;
  /** Sent while it grows, in these frames; undefined: sent whole, which only a JSON list is. */
  readonly frames: AnswerFrames | undefined;
  /** Bytes that may wait for a caller who reads more slowly than they come. */
  readonly unreadBytesMax: number;
}

/**
 * Generates what the body asks for, and answers.
 * @throws GptError for a payload that is refused or cannot be computed, as long as nothing is sent
 */
export async function answerInvocation(
  model: ServedModel,
  request: FastifyRequest,
  reply: FastifyReply,
  { type, frames, unreadBytesMax, ...form }: AnswerForm,
): Promise<FastifyReply | undefined> {
  const params = model.parse(request);
  const headers = { ...form.headers, "x-gpt2-seed": String(params.decoding.seed) };
  if (frames === undefined) {
    const { sequences } = await model.generate(params, request);
    const texts = sequences.map(({ text }) => text);
    return sendJson(reply.headers(headers), texts);
  }
  await sendStream({
    reply,
    headers,
    writer: pieceWriter(type),
    frames,
    gone: request.exchange.gone,
    generate: (signal, onPiece) => model.generate(params, request, { signal, onPiece }),
    unreadBytesMax,
  });
  return undefined;
}
