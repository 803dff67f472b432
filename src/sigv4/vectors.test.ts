// The verifier against requests that botocore signed (conformance/sigv4/make_vectors.py makes them), and against every
// request that differs from a genuine one in a single character.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  BODY,
  KEY,
  MISMATCH,
  NOW,
  options,
  refusal,
  signed,
  TIMESTAMP,
  withAuthorization,
} from "../../test/support/signed-requests.ts";
import { type RawRequest, sha256Hex } from "./canonical.ts";
import { signature, signRequest, stringToSign } from "./sign.ts";
import { verifySigV4 } from "./verify.ts";

interface Vector {
  readonly name: string;
  readonly request: Omit<RawRequest, "body"> & { readonly body: string };
  readonly sessionToken: string | null;
  readonly canonicalRequest: string;
  readonly stringToSign: string;
  readonly signature: string;
}

const fixture = new URL("../../../test/fixtures/sigv4/botocore.json", import.meta.url);
const VECTORS: Vector[] = JSON.parse(readFileSync(fixture, "utf8"));

test("the contract's request has the signature that botocore and the JavaScript SDK give it", () => {
  const result = refusal(withAuthorization({}));
  assert.equal(
    sha256Hex(Buffer.from(result.canonicalRequest as string)),
    "203387e3bb14551c901d3d65f974f13d954032f10e5d5237de956f37f25a0901",
  );
  const hex = "7ad0bb79c070e877a30ed636f34e91a0b5b3a87aa3708e6c95c8a8cc6c937d3d";
  const scope = { date: "20150830", region: "us-east-1", service: "sagemaker" };
  const text = stringToSign(TIMESTAMP, scope, result.canonicalRequest as string);
  assert.equal(text, result.stringToSign);
  assert.equal(signature(KEY.secretAccessKey, scope, text), hex);
  const accepted = verifySigV4(withAuthorization({ Signature: hex }), options());
  assert.deepEqual(accepted, {
    ok: true,
    credential: KEY,
    signedHeaders: ["content-type", "host", "x-amz-date"],
    host: "localhost:8080",
  });
});

for (const vector of VECTORS) {
  const request: RawRequest = { ...vector.request, body: Buffer.from(vector.request.body, "latin1") };
  const { sessionToken } = vector;
  const credential = sessionToken === null ? KEY : { ...KEY, sessionToken };

  test(`botocore's "${vector.name}": same stages, accepted`, () => {
    const result = verifySigV4(request, options({ credential }));
    assert.ok(result.ok, JSON.stringify(result));
    const wrong = refusal(request, { credential: { ...credential, secretAccessKey: "wrong" } });
    assert.equal(wrong.canonicalRequest, vector.canonicalRequest);
    assert.equal(wrong.stringToSign, vector.stringToSign);
    assert.equal(wrong.error.message, MISMATCH);
  });
}

/** `text` with the character at each position replaced by a neighbour in the code table. */
function mutations(text: string): string[] {
  return Array.from(text, (character, i) => {
    const other = String.fromCharCode(character.charCodeAt(0) ^ 1);
    return text.slice(0, i) + other + text.slice(i + 1);
  });
}

function headerMutations(request: RawRequest): RawRequest[] {
  return request.rawHeaders.flatMap((text, i) =>
    mutations(text).map((changed) => ({
      ...request,
      rawHeaders: request.rawHeaders.map((value, j) => (i === j ? changed : value)),
    })),
  );
}

test("no request that differs in one character is accepted", () => {
  const genuine = signed({ url: "http://localhost:8080/endpoints/gpt-2/invocations?alpha=1&beta=%20" });
  // Neither the region nor the clock may be what saves the day.
  const lenient = options({ region: "any", clockSkewSeconds: 1e10 });
  assert.ok(verifySigV4(genuine, lenient).ok);
  const changed: RawRequest[] = [
    ...mutations(genuine.method).map((method) => ({ ...genuine, method })),
    ...mutations(genuine.rawUrl).map((rawUrl) => ({ ...genuine, rawUrl })),
    ...mutations(BODY).map((body) => ({ ...genuine, body: Buffer.from(body) })),
    ...headerMutations(genuine),
    { ...genuine, body: Buffer.from(`${BODY} `) },
    { ...genuine, body: Buffer.from(BODY.slice(0, -1)) },
  ];
  for (const request of changed) {
    const result = verifySigV4(request, lenient);
    assert.ok(!result.ok, `accepted: ${JSON.stringify({ ...request, body: String(request.body) })}`);
  }
});

test("the signer's session token and header values are what the verifier reads", () => {
  const credential = { ...KEY, sessionToken: "a+b/c==" };
  const headers = signRequest(
    { method: "GET", url: "https://example.org/a b?y=ü&x=1", headers: { "X-Note": "  two   words " } },
    { credential, region: "us-east-1", service: "sagemaker", now: NOW },
  );
  assert.equal(headers["x-note"], "two words");
  assert.equal(headers.host, "example.org");
  assert.equal(headers["x-amz-security-token"], "a+b/c==");
  const request: RawRequest = {
    method: "GET",
    rawUrl: "/a%20b?y=%C3%BC&x=1",
    rawHeaders: Object.entries(headers).flat(),
    body: new Uint8Array(),
  };
  const result = verifySigV4(request, options({ credential }));
  assert.ok(result.ok);
  assert.deepEqual(result.signedHeaders, ["host", "x-amz-date", "x-amz-security-token", "x-note"]);
});
