// An invocation, from a payload to its answer: the same for every door and operation. It is answered whole, as a JSON list,
// or while it grows, in the form and the frames that the door asks for.
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { GptError } from "../../errors.ts";
import { answerOf } from "../../request/answer.ts";
import type { GenerationParams, TokenForm } from "../../request/generation.ts";
import { sendJson } from "../http/http-app.ts";
import { type AnswerFrames, pieceWriter, sendStream, writePieces } from "./answer-stream.ts";
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
  const params = await model.parse(request);
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

/** @throws GptError `invalid_field` for what cannot be told of a text that is not complete. */
function refuseUnstreamed({ tellsLogprobs, keepBest }: GenerationParams, type: ResponseType): void {
  if (tellsLogprobs && type !== "application/jsonlines") {
    const message = "logprobs needs the type application/jsonlines where an answer is sent while it grows";
    throw new GptError("invalid_field", message);
  }
  if (keepBest !== undefined) {
    const message = "best_of must equal num_return_sequences where an answer is sent while it grows";
    throw new GptError("invalid_field", message);
  }
}
