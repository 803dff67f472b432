// SageMaker's inference-container contract: /ping, /invocations and /execution-parameters for one model. It authenticates
// nobody, because the platform does that before. Errors are plain 4xx and 5xx, which the platform wraps.
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from "fastify";
import type { Settings } from "../../settings.ts";
import { createHttpApp, type HttpSettings, noteError, type OnFinished, sendJson } from "../http/http-app.ts";
import { toContainerError } from "../http/http-errors.ts";
import type { AnswerFrames } from "./answer-stream.ts";
import { type Endpoints, notReady, requireHealth } from "./endpoints.ts";
import { attributesHeader, parseEnvelope, RESPONSE_TYPES, type ResponseType } from "./envelope.ts";
import { huggingFaceEvents } from "./huggingface.ts";
import { answerInvocation } from "./invocations.ts";
import { OpenAiRoutes, toOpenAiError } from "./openai.ts";
import { addRoutes, allowedMethods, EVERYBODY } from "./routes.ts";
import { type ModelSettings, type Servable, ServedModel } from "./served-model.ts";

export interface ContainerOptions {
  readonly generator: Servable;
  readonly settings: HttpSettings &
    ModelSettings &
    Pick<Settings, "queueRequestsMax" | "region" | "unreadBytesMax">;
  /** Content type of an answer whose request names none. Default: application/json. */
  readonly defaultAccept?: ResponseType | undefined;
  readonly logger?: FastifyServerOptions["logger"];
  readonly onFinished?: OnFinished;
}

const NAME = "container";
const MIB = 2 ** 20;
/** SageMaker's limit for concurrent transforms times largest payload. */
const TRANSFORM_MIB_MAX = 100;

/** Builds the application. The caller listens, and closes both the application and the generator. */
export function createContainerApp(options: ContainerOptions): FastifyInstance {
  const { settings, logger, onFinished } = options;
  const context = (request: FastifyRequest) => ({
    requestId: request.id,
    region: settings.region,
    endpoint: NAME,
  });
  const app = createHttpApp({
    settings,
    logger,
    onFinished,
    methods: allowedMethods("container"),
    toError: (error, request) =>
      request.url.startsWith("/v1/")
        ? toOpenAiError(error, request, served)
        : toContainerError(error, context(request)),
  });
  const served = new ServedModel(options.generator, settings);
  const types = responseTypes(options.defaultAccept);
  const invoke = async (request: FastifyRequest, reply: FastifyReply) => {
    const { raw, headers, record } = request;
    const envelope = parseEnvelope(headers, raw.rawHeaders, {
      endpoint: NAME,
      acceptHeader: "accept",
      types,
    });
    if (envelope.inferenceId !== undefined) record.inferenceId = envelope.inferenceId;
    const model = served.begin(request);
    if (!model.isLoaded) throw notReady();
    const onFailure = (error: unknown): void =>
      noteError(request, error, toContainerError(error, context(request)));
    return answerInvocation(model, request, reply, {
      endpoint: NAME,
      type: envelope.accept,
      headers: attributesHeader(envelope),
      frames: envelope.accept === "application/json" ? undefined : chunksOfLines(onFailure),
      growing: huggingFaceEvents(request),
      unreadBytesMax: settings.unreadBytesMax,
    });
  };
  const endpoints = onlyEndpoint(served);
  const { CreateCompletion, CreateChatCompletion, ListModels } = new OpenAiRoutes({
    endpoints,
    unreadBytesMax: settings.unreadBytesMax,
  }).handlers();
  const handlers = {
    CreateCompletion,
    CreateChatCompletion,
    ListModels,
    invocations: invoke,
    ping: async (request: FastifyRequest, reply: FastifyReply) => {
      requireHealth(request, [served]);
      return sendJson(reply, { status: "ready" });
    },
    "execution-parameters": async (_request: FastifyRequest, reply: FastifyReply) =>
      sendJson(reply, executionParameters(settings)),
  };
  addRoutes(app, "container", handlers, EVERYBODY);
  return app;
}

function onlyEndpoint(served: ServedModel): Endpoints {
  return {
    first: NAME,
    allowed: () => [NAME],
    model: () => served,
    admit: (request) => served.begin(request),
  };
}

/** The content types of answers, the default first. */
function responseTypes(defaultAccept: ResponseType = "application/json"): readonly ResponseType[] {
  const others = RESPONSE_TYPES.filter((type) => type !== defaultAccept);
  return [defaultAccept, ...others];
}

/** JSON lines in chunks. An answer that cannot be finished is cut off: the platform knows no other sign of failure. */
function chunksOfLines(onFailure: (error: unknown) => void): AnswerFrames {
  return {
    contentType: "application/jsonlines",
    frame: (bytes) => bytes,
    fail(error) {
      onFailure(error);
      return undefined;
    },
  };
}

/** Parameters for a batch transform, where one request has one record. */
function executionParameters({
  bodyBytesMax,
  queueRequestsMax,
}: Pick<Settings, "bodyBytesMax" | "queueRequestsMax">) {
  const maxPayloadInMb = Math.max(1, Math.floor(bodyBytesMax / MIB));
  return {
    MaxConcurrentTransforms: Math.min(queueRequestsMax, Math.floor(TRANSFORM_MIB_MAX / maxPayloadInMb)),
    BatchStrategy: "SINGLE_RECORD",
    MaxPayloadInMB: maxPayloadInMb,
  };
}
