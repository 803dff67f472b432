// The runtime front: SageMaker Runtime's operations on one or more endpoints. It holds the order of checks (size,
// signature, permission, endpoint, rate, envelope, payload). It listens to nothing by itself and reads no environment;
// tests call `inject`. The raw URL, headers and bytes stay as they came, because the signature is made over them.
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from "fastify";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import {
  type Authenticate,
  authorize,
  type Caller,
  type Identify,
  type Keys,
  makeAuthenticate,
} from "../access/authentication.ts";
import { ClockWatch } from "../access/clock-watch.ts";
import { KeyLimits } from "../access/key-limits.ts";
import { bodyOf, createHttpApp, noteError, type OnFinished, sendJson } from "../http/http-app.ts";
import { AwsError, type ErrorContext, toAwsError, toStreamException } from "../http/http-errors.ts";
import type { TlsFiles } from "../http/tls.ts";
import { pieceWriter, sendStream } from "./answer-stream.ts";
import {
  ACCOUNT,
  checkEndpointName,
  type Envelope,
  type EnvelopeOptions,
  parseEnvelope,
  VARIANT,
} from "./envelope.ts";
import { exceptionFrame, payloadPart } from "./event-stream.ts";
import { ModelSlot } from "./invocations.ts";

/** A model by endpoint name; while it is a promise that is pending, `/ping` answers 503 and invocations 429. */
export type Generators = ReadonlyMap<string, Generator | Promise<Generator>>;

export interface AppOptions {
  readonly generators: Generators;
  readonly settings: Settings;
  readonly keys: Keys;
  /** Fastify's logger option; default: no log. */
  readonly logger?: FastifyServerOptions["logger"];
  readonly tls?: TlsFiles | undefined;
  /** The clock against which signatures are checked. */
  readonly now?: () => Date;
  /** Milliseconds of a clock that never goes back, for rates. */
  readonly elapsed?: () => number;
  readonly onFinished?: OnFinished;
}

interface EndpointRoute {
  Params: { readonly name: string };
}

type EndpointRequest = FastifyRequest<EndpointRoute>;

const METHODS = [
  {
    path: /^\/endpoints\/[^/]*\/(invocations|async-invocations|invocations-response-stream)$/,
    allow: "POST",
  },
  { path: /^\/ping$/, allow: "GET, HEAD" },
];

/** Builds the application; the caller listens, and closes app and generators. */
export function createApp(options: AppOptions): FastifyInstance {
  const { settings, logger, tls, onFinished } = options;
  const app = createHttpApp({
    ...{ settings, logger, tls, onFinished },
    methods: METHODS,
    toError: (error, request) => toAwsError(error, contextOf(request, settings)),
  });
  const front = new Front(options, app.log);
  app.get("/ping", async (_request, reply) => {
    const slots = [...front.slots];
    if (!slots.every(([, slot]) => slot.isReady)) {
      throw new AwsError("ServiceUnavailable", "The model is not ready");
    }
    const models = slots.map(([name, { generator }]) => [name, generator?.model.name]);
    return sendJson(reply, { status: "ready", endpoints: Object.fromEntries(models) });
  });
  const authenticated = {
    onRequest: async (request: FastifyRequest) => front.checkHead(request),
    preHandler: async (request: FastifyRequest) => front.identify(request),
  };
  app.post<EndpointRoute>("/endpoints/:name/invocations", authenticated, (request, reply) =>
    front.invoke(request, reply),
  );
  app.post<EndpointRoute>("/endpoints/:name/invocations-response-stream", authenticated, (request, reply) =>
    front.invokeWithResponseStream(request, reply),
  );
  app.post("/endpoints/:name/async-invocations", authenticated, async () => {
    throw new AwsError(
      "UnknownOperationException",
      "InvokeEndpointAsync is not offered by this server; use InvokeEndpoint",
    );
  });
  return app;
}

/** Where a request was going, for its errors. */
function contextOf(request: FastifyRequest, { region }: Settings): ErrorContext {
  return { requestId: request.id, region, endpoint: request.record.endpoint ?? "unknown" };
}

/** The two operations and the checks that they share. */
class Front {
  readonly slots: ReadonlyMap<string, ModelSlot>;
  readonly #settings: Settings;
  readonly #authenticate: Authenticate;
  readonly #limits: KeyLimits;
  readonly #clock: ClockWatch;
  /** Requests whose head was in order. */
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
    const slots = new Map(
      [...new Set(generators.values())].map((each) => [each, new ModelSlot(each, settings)]),
    );
    this.slots = new Map([...generators].map(([name, each]) => [name, slots.get(each) as ModelSlot]));
  }

  /**
   * To be called before the body is received.
   * @throws AwsError with the name, status and text of the first check of the head that fails.
   */
  checkHead(request: FastifyRequest): void {
    this.#clock.check();
    this.#identify.set(request, this.#authenticate(request));
  }

  /** @throws AwsError with the name, status and text of the first check of the caller that fails. */
  identify(request: FastifyRequest): void {
    const caller = (this.#identify.get(request) as Identify)(bodyOf(request));
    request.record.keyId = caller.keyId;
    this.#callers.set(request, caller);
  }

  async invoke(request: EndpointRequest, reply: FastifyReply): Promise<FastifyReply> {
    request.record.operation = "InvokeEndpoint";
    return this.#admitted(request, async (slot, name) => {
      const envelope = this.#envelope(request, {
        ...{ endpoint: name, acceptHeader: "accept", types: ["application/json"] },
      });
      const generation = await slot.generate(slot.parse(request), request);
      reply.headers({ ...responseHeaders(envelope), "x-gpt2-seed": String(generation.seed) });
      return sendJson(
        reply,
        generation.sequences.map(({ text }) => text),
      );
    });
  }

  async invokeWithResponseStream(request: EndpointRequest, reply: FastifyReply): Promise<void> {
    request.record.operation = "InvokeEndpointWithResponseStream";
    await this.#admitted(request, async (slot, name) => {
      const envelope = this.#envelope(request, {
        ...{ endpoint: name, acceptHeader: "x-amzn-sagemaker-accept" },
        types: ["application/json", "application/jsonlines"],
      });
      const params = slot.parse(request);
      await sendStream({
        reply,
        headers: {
          ...responseHeaders(envelope),
          "content-type": "application/vnd.amazon.eventstream",
          "x-amzn-sagemaker-content-type": envelope.accept,
          "x-gpt2-seed": String(params.decoding.seed),
        },
        writer: pieceWriter(envelope.accept),
        frame: payloadPart,
        fail: (error) => {
          const { type, members } = toStreamException(error, contextOf(request, this.#settings));
          noteError(request, error, { type, status: type === "InternalStreamFailure" ? 500 : 424 });
          return exceptionFrame(type, members);
        },
        gone: request.exchange.gone,
        generate: (signal, onPiece) => slot.generate(params, request, { signal, onPiece }),
        unreadBytesMax: this.#settings.unreadBytesMax,
      });
    });
  }

  /** Runs a request that may invoke this endpoint and is within its key's limits. */
  async #admitted<T>(
    request: EndpointRequest,
    run: (slot: ModelSlot, endpoint: string) => Promise<T>,
  ): Promise<T> {
    const { name } = request.params;
    checkEndpointName(name);
    const caller = this.#callers.get(request) as Caller;
    authorize(caller, name, this.#settings);
    const slot = this.slots.get(name);
    if (slot === undefined) {
      throw new AwsError("ValidationError", `Endpoint ${name} of account ${ACCOUNT} not found.`);
    }
    request.record.endpoint = name;
    request.exchange.onOver(this.#limits.enter(caller.keyId));
    return run(slot, name);
  }

  /** @throws AwsError for a wrong envelope, and while the model is being loaded. */
  #envelope(request: FastifyRequest, options: EnvelopeOptions): Envelope {
    const envelope = parseEnvelope(request.headers, request.raw.rawHeaders, options);
    if (envelope.inferenceId !== undefined) request.record.inferenceId = envelope.inferenceId;
    if (this.slots.get(options.endpoint)?.generator === undefined) {
      throw new AwsError("ModelNotReadyException", "The model is still being loaded");
    }
    return envelope;
  }
}

function responseHeaders({ customAttributes }: Envelope): Record<string, string> {
  return {
    "x-amzn-invoked-production-variant": VARIANT,
    ...(customAttributes === undefined ? {} : { "x-amzn-sagemaker-custom-attributes": customAttributes }),
  };
}
