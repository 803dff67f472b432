// Authentication: by SigV4 over the raw request, by an API key, or none. It has two steps. The first looks at the head, so
// that bad requests are refused before their body is received. The second has the body too and returns the `Caller`.
// `authorize` then checks which endpoints the caller may invoke. Keys are read elsewhere, in `key-files.ts`.
import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Settings } from "../../settings.ts";
import {
  BEARER_TOKEN_PREFIX,
  type Credential,
  type Refused,
  type VerifyOptions,
  verifyBearerToken,
  verifyHead,
} from "../../sigv4/index.ts";
import { AwsError } from "../http/http-errors.ts";
import { foreignHost, foreignOrigin, isLoopback } from "./place.ts";

/** Names of the endpoints that may be invoked. "*" means all of them. An absent value never means that. */
export type Permission = "*" | ReadonlySet<string>;

/** An authenticated caller. */
export interface Caller {
  /** Access key id, or the id of an API key; empty without authentication. */
  readonly keyId: string;
  readonly endpoints: Permission;
}

/** A key pair and what it allows. */
export interface KeyPair extends Credential {
  readonly endpoints: Permission;
}

/** An API key as it is stored: as its SHA-256. The key is random, so it needs no salt and no slow hash. */
export interface ApiKey {
  readonly id: string;
  readonly sha256: string;
  readonly endpoints: Permission;
}

/** What authentication reads of the settings. */
export type AuthSettings = Pick<
  Settings,
  "auth" | "clockSkewSeconds" | "debugSignature" | "host" | "hostAlias" | "region"
>;

/** The first step, with the head of a request. @throws AwsError with AWS's name, status and text. */
export type Authenticate = (request: FastifyRequest) => Identify;

/** The second step, with the body. @throws AwsError with AWS's name, status and text. */
export type Identify = (body: Uint8Array) => Caller;

/** Looks keys up. It is asked once for a request, so that a change of the files cannot split one request's permissions. */
export interface Keys {
  readonly keyPair: (accessKeyId: string) => KeyPair | undefined;
  /** Looks an API key up by the SHA-256 of what was sent, in lower-case hex. */
  readonly apiKey: (sha256: string) => ApiKey | undefined;
}

export function makeAuthenticate(settings: AuthSettings, keys: Keys, now: () => Date): Authenticate {
  switch (settings.auth) {
    case "sigv4":
      return (request) => {
        if (isTokenOfPair(request)) return byToken(request, settings, keys, now());
        if (bearerOf(request) !== undefined) throw forbidden("UnrecognizedClientException", NO_API_KEYS);
        return bySignature(request, settings, keys, now());
      };
    case "bearer":
      return (request) => byApiKey(request, keys);
    case "any":
      return (request) => {
        if (isTokenOfPair(request)) return byToken(request, settings, keys, now());
        return bearerOf(request) === undefined
          ? bySignature(request, settings, keys, now())
          : byApiKey(request, keys);
      };
    case "none":
      return (request) => {
        checkPlace(request, settings);
        return () => ({ keyId: "", endpoints: "*" });
      };
  }
}

/**
 * Where nobody needs a key, a page of another place is none of those who may call. A server that other machines reach too does
 * not know its names.
 */
function checkPlace(request: FastifyRequest, settings: AuthSettings): void {
  const host = isLoopback(settings.host) ? foreignHost(request, settings) : undefined;
  if (host !== undefined) {
    throw forbidden(
      "AccessDeniedException",
      `This server asks for no key and is not at ${host}; if a proxy uses that name, add it with --host-alias`,
    );
  }
  const origin = foreignOrigin(request, settings);
  if (origin === undefined) return;
  throw forbidden(
    "AccessDeniedException",
    `This server asks for no key and answers no page of ${origin}; if a proxy uses that name, add it with --host-alias`,
  );
}

/** What users of other dialects meet first: their clients want a key, and any will do for most servers of this kind. */
const NO_API_KEYS =
  "This server takes no API keys: sign the request, or send a bearer token that `gpt2-api token` makes of the server's key pair.";

/** What follows `Bearer` in the header; undefined if the header has another form. */
function bearerOf({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
}

function isTokenOfPair(request: FastifyRequest): boolean {
  return bearerOf(request)?.startsWith(BEARER_TOKEN_PREFIX) ?? false;
}

function verifyOptions(
  { region, clockSkewSeconds }: AuthSettings,
  credentials: Keys["keyPair"],
  now: Date,
): VerifyOptions<KeyPair> {
  return { credentials, region, service: "sagemaker", now, clockSkewSeconds };
}

/** For a token that a client made from a key pair. Its prefix distinguishes it from an API key. */
function byToken(request: FastifyRequest, settings: AuthSettings, { keyPair }: Keys, now: Date): Identify {
  const verdict = verifyBearerToken(bearerOf(request) ?? "", verifyOptions(settings, keyPair, now));
  if (!verdict.ok) throw refusal(verdict, settings);
  const { accessKeyId, endpoints } = verdict.credential;
  return () => ({ keyId: accessKeyId, endpoints });
}

function bySignature(
  request: FastifyRequest,
  settings: AuthSettings,
  { keyPair }: Keys,
  now: Date,
): Identify {
  const { method = "", url = "", rawHeaders } = request.raw;
  const head = verifyHead(
    { method, rawUrl: url, rawHeaders },
    { ...verifyOptions(settings, keyPair, now), hostAliases: settings.hostAlias },
  );
  if (!head.ok) throw refusal(head, settings);
  return (body) => {
    const verdict = head.verifyBody(body);
    if (!verdict.ok) throw refusal(verdict, settings);
    const { accessKeyId, endpoints } = verdict.credential;
    return { keyId: accessKeyId, endpoints };
  };
}

/** The error of a refused signature. With --debug-signature it also has the server's stages, in the words of AWS. */
function refusal(
  { error, canonicalRequest, stringToSign }: Refused,
  { debugSignature }: AuthSettings,
): AwsError {
  const isMismatch = error.type === "InvalidSignatureException" && canonicalRequest !== undefined;
  const stages =
    debugSignature && isMismatch
      ? `\n\nThe Canonical String for this request should have been\n'${canonicalRequest}'\n\n` +
        `The String-to-Sign should have been\n'${stringToSign}'\n`
      : "";
  return new AwsError(error, error.message + stages);
}

function byApiKey(request: FastifyRequest, { apiKey }: Keys): Identify {
  const header = request.headers.authorization;
  if (header === undefined)
    throw forbidden("MissingAuthenticationTokenException", "Missing Authentication Token");
  const token = bearerOf(request) ?? "";
  // The digest is looked up, not the key, so the time that the look-up takes reveals nothing about a key.
  const found = token === "" ? undefined : apiKey(createHash("sha256").update(token).digest("hex"));
  if (found !== undefined) return () => ({ keyId: found.id, endpoints: found.endpoints });
  throw forbidden("UnrecognizedClientException", "The security token included in the request is invalid.");
}

function forbidden(type: string, message: string): AwsError {
  return new AwsError({ type, status: 403 }, message);
}

/** @throws AwsError AccessDeniedException in AWS's words when the caller may not invoke this endpoint. */
export function authorize(
  { keyId, endpoints }: Caller,
  endpoint: string,
  { region }: Pick<Settings, "region">,
): void {
  if (endpoints === "*" || endpoints.has(endpoint)) return;
  const resource = `arn:aws:sagemaker:${region === "any" ? "local" : region}:000000000000:endpoint/${endpoint}`;
  throw new AwsError(
    "AccessDeniedException",
    `User: arn:aws:iam::000000000000:user/${keyId} is not authorized to perform: sagemaker:InvokeEndpoint on ` +
      `resource: ${resource} because no identity-based policy allows the sagemaker:InvokeEndpoint action`,
  );
}
