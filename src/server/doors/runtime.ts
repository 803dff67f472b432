// The runtime door: SageMaker Runtime's operations on one or more endpoints. It has the order of checks: size, signature,
// name, permission, endpoint, rate, envelope, payload. It does not listen and reads no environment; tests call `inject`.
// Raw URL, headers and bytes are kept as they came, because the signature was computed over them.
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from "fastify";
import type { Settings } from "../../settings.ts";
import {
  type Authenticate,
  type AuthSettings,
  authorize,
  type Caller,
  type Identify,
  type Keys,
  makeAuthenticate,
} from "../access/authentication.ts";
import { ClockWatch } from "../access/clock-watch.ts";
import { type KeyLimitSettings, KeyLimits } from "../access/key-limits.ts";
import type { PlaygroundSessions } from "../access/playground-sessions.ts";
import {
  bodyOf,
  createHttpApp,
  type HttpSettings,
  noteError,
  type OnFinished,
  sendJson,
} from "../http/http-app.ts";
import { AwsError, type ErrorContext, toAwsError, toStreamException } from "../http/http-errors.ts";
import type { TlsFiles } from "../http/tls.ts";
import type { AnswerFrames } from "./answer-stream.ts";
import { type Endpoints, NoSuchEndpoint, requireHealth, requireLoaded } from "./endpoints.ts";
import {
  attributesHeader,
  checkEndpointName,
  type Envelope,
  type EnvelopeOptions,
  parseEnvelope,
  RESPONSE_TYPES,
  VARIANT,
} from "./envelope.ts";
import { exceptionFrame, payloadPart } from "./event-stream.ts";
import { HuggingFaceRoutes, huggingFaceEvents, toTgiError } from "./huggingface.ts";
import { answerInvocation } from "./invocations.ts";
import { fingerprintHeader, OpenAiRoutes, toOpenAiError } from "./openai.ts";
import { type PlaygroundOptions, PlaygroundRoutes, toPlaygroundError } from "./playground.ts";
import { addRoutes, allowedMethods, type CallerChecks, dialectOf, type RoutedRequest } from "./routes.ts";
import { type ModelSettings, type Servable, ServedModel } from "./served-model.ts";

/** The model of each endpoint. While one is not loaded, `/ping` answers 503 and invocations 429. */
export type Generators = ReadonlyMap<string, Servable>;

export type RuntimeSettings = HttpSettings &
  AuthSettings &
  ModelSettings &
  KeyLimitSettings &
  Pick<Settings, "unreadBytesMax">;

export interface AppOptions {
  readonly generators: Generators;
  readonly settings: RuntimeSettings;
  readonly keys: Keys;
  /** Fastify's logger option; default: no log. */
  readonly logger?: FastifyServerOptions["logger"];
  readonly tls?: TlsFiles | undefined;
  /** The system clock, against which signatures are checked. */
  readonly now?: () => Date;
  /** Milliseconds of a monotonic clock, for rates. */
  readonly elapsed?: () => number;
  readonly onFinished?: OnFinished;
  /** Default: no playground. */
  readonly playground?: Playground | undefined;
}

/** The page, and the sessions that may use it. */
export type Playground = Pick<PlaygroundOptions, "sessions" | "release" | "files">;

/** Builds the application. The caller listens, and closes both the application and the generators. */
export function createApp(options: AppOptions): FastifyInstance {
  const { settings, logger, tls, onFinished, playground } = options;
  const app = createHttpApp({
    settings,
    logger,
    tls,
    onFinished,
    methods: playground ? allowedMethods("runtime", "playground") : allowedMethods("runtime"),
    toError: (error, request) => {
      // On the paths of OpenAI's clients every error has OpenAI's form, even if no route matches.
      switch (isOpenAiPath(request.url) ? "openai" : dialectOf(request)) {
        case "playground":
          return toPlaygroundError(error, request);
        case "openai":
          return toOpenAiError(error, request, front.modelOf(request));
        case "tgi":
          return toTgiError(error, request);
        default:
          return toAwsError(error, contextOf(request, settings));
      }
    },
  });
  const front = new RuntimeFront(options, app.log);
  const handlers = {
    InvokeEndpoint: (request: RoutedRequest, reply: FastifyReply) => front.invoke(request, reply, WHOLE),
    InvokeEndpointWithResponseStream: (request: RoutedRequest, reply: FastifyReply) =>
      front.invoke(request, reply, STREAMED),
    InvokeEndpointAsync: refuseAsync,
    Ping: (request: RoutedRequest, reply: FastifyReply) => front.ping(request, reply),
    ...new HuggingFaceRoutes({ endpoints: front, unreadBytesMax: settings.unreadBytesMax }).handlers(),
    ...new OpenAiRoutes({ endpoints: front, unreadBytesMax: settings.unreadBytesMax }).handlers(),
  };
  addRoutes(app, "runtime", handlers, front);
  if (playground) addPlayground(app, front, playground, settings);
  return app;
}

function addPlayground(
  app: FastifyInstance,
  front: RuntimeFront,
  playground: Playground,
  settings: RuntimeSettings,
): void {
  const routes = new PlaygroundRoutes({ ...playground, endpoints: front, settings });
  addRoutes(app, "playground", routes.handlers(), front.checksOf(playground.sessions));
}

async function refuseAsync(): Promise<never> {
  throw new AwsError(
    "UnknownOperationException",
    "InvokeEndpointAsync is not offered by this server; use InvokeEndpoint",
  );
}

function isSigned({ headers }: FastifyRequest): boolean {
  return headers.authorization?.startsWith("AWS4-") ?? false;
}

/** Whether a path belongs to OpenAI's clients, even if no route has it. */
function isOpenAiPath(url: string): boolean {
  return /^(\/v1|\/endpoints\/[^/]*\/openai|\/tokenizer_info|\/tokenize|\/detokenize)(\/|\?|$)/.test(url);
}

/** What errors say about the request. */
function contextOf(request: FastifyRequest, { region }: Pick<Settings, "region">): ErrorContext {
  return { requestId: request.id, region, endpoint: request.record.endpoint ?? "unknown" };
}

/** The differences between InvokeEndpoint and InvokeEndpointWithResponseStream. */
interface Operation extends Omit<EnvelopeOptions, "endpoint"> {
  readonly isStreamed: boolean;
}

const WHOLE: Operation = { acceptHeader: "accept", types: ["application/json"], isStreamed: false };
const STREAMED: Operation = {
  acceptHeader: "x-amzn-sagemaker-accept",
  types: RESPONSE_TYPES,
  isStreamed: true,
};

/** The endpoints of the runtime door, and the checks of callers. */
class RuntimeFront implements CallerChecks, Endpoints {
  /** The models by endpoint name. */
  readonly #models: ReadonlyMap<string, ServedModel>;
  readonly #settings: RuntimeSettings;
  readonly #authenticate: Authenticate;
  readonly #limits: KeyLimits;
  readonly #clock: ClockWatch;
  /** The checkpoint with which each request began. */
  readonly #begun = new WeakMap<FastifyRequest, ServedModel>();
  /** The second step of authentication, for requests whose head passed the first. */
  readonly #identify = new WeakMap<FastifyRequest, Identify>();
  readonly #callers = new WeakMap<FastifyRequest, Caller>();

  constructor(
    { generators, settings, keys, now = () => new Date(), elapsed = () => performance.now() }: AppOptions,
    log: FastifyBaseLogger,
  ) {
    this.#settings = settings;
    this.#authenticate = makeAuthenticate(settings, keys, now);
    this.#limits = new KeyLimits(settings, elapsed);
    this.#clock = new ClockWatch(now, elapsed, (message) => log.warn(message));
    const models = new Map(
      [...new Set(generators.values())].map((each) => [each, new ServedModel(each, settings)]),
    );
    this.#models = new Map([...generators].map(([name, each]) => [name, models.get(each) as ServedModel]));
  }

  /**
   * Call it before the body is received.
   * @throws AwsError with the name, status and text of the first check that fails.
   */
  checkHead(request: FastifyRequest): void {
    this.#clock.check();
    this.#identify.set(request, this.#authenticate(request));
  }

  /** @throws AwsError with the name, status and text of the first check that fails. */
  identify(request: FastifyRequest): void {
    const caller = (this.#identify.get(request) as Identify)(bodyOf(request));
    request.record.keyId = caller.keyId;
    this.#callers.set(request, caller);
  }

  /** The checks of requests from the playground. A session is checked with the head alone. */
  checksOf(sessions: PlaygroundSessions): CallerChecks {
    return {
      checkHead: (request) => {
        const caller = sessions.check(request);
        request.record.keyId = caller.keyId;
        this.#callers.set(request, caller);
      },
      identify() {},
    };
  }

  /** The answer has no names of endpoints, because anybody may call it. */
  async ping(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    requireHealth(request, this.#models.values());
    return sendJson(reply, { status: "ready" });
  }

  async invoke(request: RoutedRequest, reply: FastifyReply, operation: Operation): Promise<unknown> {
    const { EndpointName: endpoint = "" } = request.params;
    checkEndpointName(endpoint);
    const model = this.admit(request, endpoint);
    const { headers, raw, record } = request;
    const envelope = parseEnvelope(headers, raw.rawHeaders, { ...operation, endpoint });
    if (envelope.inferenceId !== undefined) record.inferenceId = envelope.inferenceId;
    requireLoaded(model);
    return answerInvocation(model, request, reply, {
      endpoint,
      type: envelope.accept,
      headers: { ...responseHeaders(envelope, operation), ...fingerprintHeader(model) },
      frames: operation.isStreamed ? this.#eventFrames(request) : undefined,
      // Clients that sign requests decode AWS's frames. Others expect server-sent events.
      growing: isSigned(request) ? this.#eventFrames(request) : huggingFaceEvents(request),
      unreadBytesMax: this.#settings.unreadBytesMax,
    });
  }

  allowed(request: FastifyRequest): readonly string[] {
    const { endpoints } = this.#callers.get(request) as Caller;
    return [...this.#models.keys()].filter((name) => endpoints === "*" || endpoints.has(name));
  }

  get first(): string {
    return this.#models.keys().next().value ?? "";
  }

  model(name: string): ServedModel | undefined {
    return this.#models.get(name);
  }

  admit(request: FastifyRequest, name: string): ServedModel {
    const caller = this.#callers.get(request) as Caller;
    authorize(caller, name, this.#settings);
    const model = this.#models.get(name);
    if (model === undefined) throw new NoSuchEndpoint(name);
    request.record.endpoint = name;
    request.exchange.onOver(this.#limits.enter(caller.keyId));
    const begun = model.begin(request);
    this.#begun.set(request, begun);
    return begun;
  }

  /** The checkpoint with which an admitted request began. */
  modelOf(request: FastifyRequest): ServedModel | undefined {
    return this.#begun.get(request);
  }

  /** Frames of an AWS event stream. An answer that cannot be finished ends with an exception frame. */
  #eventFrames(request: FastifyRequest): AnswerFrames {
    return {
      contentType: "application/vnd.amazon.eventstream",
      frame: payloadPart,
      fail: (error) => {
        const { type, members } = toStreamException(error, contextOf(request, this.#settings));
        noteError(request, error, { type, status: type === "InternalStreamFailure" ? 500 : 424 });
        return exceptionFrame(type, members);
      },
    };
  }
}

function responseHeaders(envelope: Envelope, { isStreamed }: Operation): Record<string, string> {
  return {
    ...attributesHeader(envelope),
    "x-amzn-invoked-production-variant": VARIANT,
    ...(isStreamed ? { "x-amzn-sagemaker-content-type": envelope.accept } : {}),
  };
}
