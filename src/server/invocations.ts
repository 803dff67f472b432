// POST /endpoints/{name}/invocations: one JSON object in, a JSON list of texts out. The request arrives here with its
// size and signature checked; what is left is the endpoint's name, the envelope, and then the payload.
import { randomInt } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Config, ENDPOINT_NAME } from "../config.ts";
import { type ParseOptions, parseGenerationParams, parseJsonBody } from "../params.ts";
import { quoted } from "../schema.ts";
import type { Generation, Generator } from "../service/generation.ts";
import { AwsError } from "./errors.ts";

const ACCOUNT = "000000000000";
const ENDPOINT_NAME_MAX = 63;
const SEEDS = 2 ** 32;

/** @throws AwsError ValidationError, in SageMaker's words, unless `name` is the endpoint that is served. */
export function checkEndpoint(name: string, served: string): void {
  if (name.length > ENDPOINT_NAME_MAX || !ENDPOINT_NAME.test(name)) {
    throw new AwsError(
      "ValidationError",
      `The endpoint name must be letters, digits and inner hyphens, at most ${ENDPOINT_NAME_MAX} characters, got ${quoted(name)}`,
    );
  }
  if (name !== served) {
    throw new AwsError("ValidationError", `Endpoint ${name} of account ${ACCOUNT} not found.`);
  }
}

/** The answer is JSON and never compressed; the body is read as JSON whatever its content type, as clients differ. */
export function checkEnvelope(headers: FastifyRequest["headers"]): void {
  const { accept, "content-encoding": encoding } = headers;
  const accepted = (accept ?? "").split(",").map((range) => range.split(";")[0]?.trim().toLowerCase());
  if (!accepted.some((range) => ["", "*/*", "application/*", "application/json"].includes(range ?? ""))) {
    throw new AwsError("ValidationError", `Accept must allow application/json, got ${quoted(accept ?? "")}`);
  }
  if (encoding !== undefined && encoding !== "identity") {
    throw new AwsError(
      "UnsupportedMediaTypeException",
      `Content-Encoding ${quoted(encoding)} is not supported; send the body uncompressed`,
    );
  }
}

/** Makes the route's handler for one loaded model. */
export function makeInvoke(generator: Generator, config: Config) {
  const options: ParseOptions = {
    contextLength: generator.model.contextLength,
    maxNumReturnSequences: config.maxNumReturnSequences,
    maxNumBeams: config.maxNumBeams,
    randomSeed: () => randomInt(SEEDS),
  };
  return async (request: FastifyRequest, reply: FastifyReply): Promise<Generation> => {
    const params = parseGenerationParams(parseJsonBody(bodyOf(request)), options);
    return generator.generate(params, signalOf(reply));
  };
}

/** The body as it came over the wire; a request without one has an empty body. */
export function bodyOf(request: FastifyRequest): Buffer {
  return (request.body as Buffer | undefined) ?? Buffer.alloc(0);
}

/** Aborted when the connection closes before the answer was written. */
function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
