// The runtime door with a fake generator, and a signed request to start from. It listens only if a test makes it.
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { type AppOptions, createApp } from "../../src/server/doors/runtime.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/settings.ts";
import { type Credential, signRequest } from "../../src/sigv4/index.ts";
import { FakeGenerator } from "./fake-generator.ts";

export const CREDENTIAL: Credential = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
export const NOW = new Date("2026-01-02T03:04:05Z");
export const PATH = "/endpoints/gpt-2/invocations";
export const STREAM_PATH = "/endpoints/gpt-2/invocations-response-stream";

export interface Front {
  readonly app: FastifyInstance;
  readonly generator: FakeGenerator;
}

export function aFront(settings: Partial<Settings> = {}, options: Partial<AppOptions> = {}): Front {
  const generator = new FakeGenerator();
  const app = createApp({
    generators: new Map([["gpt-2", generator]]),
    settings: { ...DEFAULT_SETTINGS, ...settings },
    keys: {
      keyPair: (id) => (id === CREDENTIAL.accessKeyId ? { ...CREDENTIAL, endpoints: "*" } : undefined),
      apiKey: () => undefined,
    },
    now: () => NOW,
    elapsed: () => 0,
    ...options,
  });
  return { app, generator };
}

export interface RequestOptions {
  readonly path?: string;
  readonly origin?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly region?: string;
  readonly service?: string;
  readonly now?: Date;
  readonly credential?: Credential;
}

/** The headers of a POST with this body, signed. */
export function signedHeaders(
  body: string | Uint8Array,
  options: RequestOptions = {},
): Record<string, string> {
  const { path = PATH, origin = "http://localhost", headers = {}, ...others } = options;
  return signRequest(
    { method: "POST", url: origin + path, headers: { "content-type": "application/json", ...headers }, body },
    { credential: CREDENTIAL, region: "us-east-1", service: "sagemaker", now: NOW, ...others },
  );
}

/** Sends a signed POST. A body that is not a string or bytes is sent as JSON. */
export function post(
  app: FastifyInstance,
  body: unknown,
  options: RequestOptions = {},
): Promise<LightMyRequestResponse> {
  const payload = typeof body === "string" || body instanceof Buffer ? body : JSON.stringify(body);
  const headers = signedHeaders(payload, options);
  return send(app, { method: "POST", url: options.path ?? PATH, headers, payload });
}

export async function send(app: FastifyInstance, request: InjectOptions): Promise<LightMyRequestResponse> {
  return app.inject(request);
}
