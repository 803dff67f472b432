// The inference-container contract of SageMaker: /ping, /invocations and /execution-parameters for one model, without
// authentication, since the platform stands before it. Errors are plain 4xx and 5xx, which the platform wraps.
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from "fastify";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import { createHttpApp, noteError, type OnFinished, sendJson } from "../http/http-app.ts";
import { AwsError, toContainerError } from "../http/http-errors.ts";
import { pieceWriter, sendStream } from "./answer-stream.ts";
import { parseEnvelope, type ResponseType } from "./envelope.ts";
import { ModelSlot } from "./invocations.ts";

export interface ContainerOptions {
  readonly generator: Generator | Promise<Generator>;
  readonly settings: Settings;
  /** Type of the answer to a request that names none. Default: application/json. */
  readonly defaultAccept?: ResponseType | undefined;
  readonly logger?: FastifyServerOptions["logger"];
  readonly onFinished?: OnFinished;
}

const NAME = "container";
const MIB = 2 ** 20;
/** What SageMaker allows: concurrent transforms times the largest payload. */
const TRANSFORM_MIB_MAX = 100;

const METHODS = [
  { path: /^\/invocations$/, allow: "POST" },
  { path: /^\/(ping|execution-parameters)$/, allow: "GET, HEAD" },
];

/** Builds the application; the caller listens, and closes app and generator. */
export function createContainerApp(options: ContainerOptions): FastifyInstance {
  const { settings, logger, onFinished } = options;
  const context = (request: FastifyRequest) => ({
    requestId: request.id,
    region: settings.region,
    endpoint: NAME,
  });
  const app = createHttpApp({
    ...{ settings, logger, onFinished },
    methods: METHODS,
    toError: (error, request) => toContainerError(error, context(request)),
  });
  const slot = new ModelSlot(options.generator, settings);
  const { defaultAccept = "application/json" } = options;
  const types: ResponseType[] =
    defaultAccept === "application/json"
      ? ["application/json", "application/jsonlines"]
      : ["application/jsonlines", "application/json"];

  app.get("/ping", async (_request, reply) => {
    if (!slot.isReady) throw notReady();
    return sendJson(reply, { status: "ready", model: slot.generator?.model.name });
  });
  app.get("/execution-parameters", async (_request, reply) => sendJson(reply, executionParameters(settings)));
  app.post("/invocations", async (request, reply) => {
    request.record.operation = "invocations";
    const { accept, customAttributes, inferenceId } = parseEnvelope(request.headers, request.raw.rawHeaders, {
      ...{ endpoint: NAME, acceptHeader: "accept", types },
    });
    if (inferenceId !== undefined) request.record.inferenceId = inferenceId;
    if (slot.generator === undefined) throw notReady();
    if (customAttributes !== undefined) reply.header("x-amzn-sagemaker-custom-attributes", customAttributes);
    if (accept === "application/json") return answerWhole(slot, request, reply);
    const onFailure = (error: unknown) =>
      noteError(request, error, toContainerError(error, context(request)));
    await answerInLines(slot, request, reply, onFailure, settings);
  });
  return app;
}

function notReady(): AwsError {
  return new AwsError("ServiceUnavailable", "The model is not ready");
}

async function answerWhole(
  slot: ModelSlot,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const generation = await slot.generate(slot.parse(request), request);
  reply.header("x-gpt2-seed", String(generation.seed));
  return sendJson(
    reply,
    generation.sequences.map(({ text }) => text),
  );
}

/** Chunks of JSON lines. One that cannot be finished is cut off: that is the only way to tell the platform. */
async function answerInLines(
  slot: ModelSlot,
  request: FastifyRequest,
  reply: FastifyReply,
  onFailure: (error: unknown) => void,
  { unreadBytesMax }: Pick<Settings, "unreadBytesMax">,
): Promise<void> {
  const params = slot.parse(request);
  await sendStream({
    reply,
    headers: { "content-type": "application/jsonlines", "x-gpt2-seed": String(params.decoding.seed) },
    writer: pieceWriter("application/jsonlines"),
    frame: (bytes) => bytes,
    fail: (error) => {
      onFailure(error);
      return undefined;
    },
    gone: request.exchange.gone,
    generate: (signal, onPiece) => slot.generate(params, request, { signal, onPiece }),
    unreadBytesMax,
  });
}

/** For batch transform: one request holds one record. */
function executionParameters({ bodyBytesMax, queueRequestsMax }: Settings) {
  const maxPayloadInMb = Math.max(1, Math.floor(bodyBytesMax / MIB));
  return {
    MaxConcurrentTransforms: Math.min(queueRequestsMax, Math.floor(TRANSFORM_MIB_MAX / maxPayloadInMb)),
    BatchStrategy: "SINGLE_RECORD",
    MaxPayloadInMB: maxPayloadInMb,
  };
}
