// AWS Signature Version 4 with Web Crypto, for requests without a query, as this client sends them. `src/sigv4/` has the general
// form for Node, and tests compare the two.
import { ApiError } from "./api-error.ts";

const ALGORITHM = "AWS4-HMAC-SHA256";
const utf8 = new TextEncoder();

/** Temporary key pairs have a session token. */
export interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface Signing {
  readonly keyPair: KeyPair;
  readonly region: string;
  readonly now: Date;
}

/** The headers of a signed request. `host` is signed too, but `fetch` sends it itself. */
export async function signatureHeaders(
  method: string,
  url: URL,
  body: string,
  { keyPair, region, now }: Signing,
): Promise<Record<string, string>> {
  if (globalThis.crypto?.subtle === undefined) {
    const message =
      "Web Crypto is not available: browsers have it on https and on localhost only; use a bearer token";
    throw new ApiError("invalid_config", message);
  }
  const timestamp = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const { accessKeyId, secretAccessKey, sessionToken } = keyPair;
  const headers = {
    "x-amz-date": timestamp,
    ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
  };
  const signed = Object.entries({ host: url.host, ...headers }).map(
    ([name, value]) => `${name}:${value.trim()}`,
  );
  const names = ["host", ...Object.keys(headers)].join(";");
  const parts = [method, canonicalPath(url.pathname), "", ...signed, "", names, await sha256(body)];
  const scope = [timestamp.slice(0, 8), region, "sagemaker", "aws4_request"];
  const text = [ALGORITHM, timestamp, scope.join("/"), await sha256(parts.join("\n"))].join("\n");
  let key: Uint8Array = utf8.encode(`AWS4${secretAccessKey}`);
  for (const part of [...scope, text]) key = await hmac(key, part);
  const credential = `${accessKeyId}/${scope.join("/")}`;
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${credential}, SignedHeaders=${names}, Signature=${hex(key)}`,
  };
}

/** The path for the signature. AWS encodes the already percent-encoded path a second time, and drops empty segments. */
function canonicalPath(path: string): string {
  const segments = path.split("/").filter((segment) => segment !== "");
  const end = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${segments.map(percentEncoded).join("/")}${end}`;
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

async function sha256(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(text))));
}

async function hmac(key: Uint8Array, text: string): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, utf8.encode(text)));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
