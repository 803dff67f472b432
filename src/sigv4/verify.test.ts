// Every refusal of the verifier with its error name and whole text, the order of the checks, and what bends them: the
// clock window, tokens, payload hashes, limits and host aliases.
import assert from "node:assert/strict";
import { test } from "node:test";
import { numConstantTimeComparisons } from "../../test/support/constant-time.ts";
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
import { verifySigV4 } from "./verify.ts";

const EMPTY_HASH = sha256Hex(new Uint8Array());
const INVALID_TOKEN = "The security token included in the request is invalid.";

/** Asserts the error name and the whole text. */
function refuses(
  request: RawRequest,
  type: string,
  message: string,
  changes: Parameters<typeof options>[0] = {},
): void {
  const { error } = refusal(request, changes);
  assert.deepEqual([error.type, error.message], [type, message]);
}

test("row 1: no signature at all", () => {
  const type = "MissingAuthenticationTokenException";
  refuses(signed({}, { authorization: undefined }), type, "Missing Authentication Token");
});

test("row 2: a signature in the header and in the query", () => {
  const url = "http://localhost:8080/x?X-Amz-Algorithm=AWS4-HMAC-SHA256";
  refuses(
    signed({ url }),
    "InvalidSignatureException",
    "The request carries both an Authorization header and 'X-Amz-Algorithm' in its query. Send only the header.",
  );
});

test("a presigned request is refused with a text of its own", () => {
  const request = signed(
    { url: "http://localhost:8080/x?X-Amz-%41lgorithm=y" },
    { authorization: undefined },
  );
  refuses(
    request,
    "IncompleteSignatureException",
    "Presigned requests are not supported. Sign the request with an Authorization header.",
  );
});

test("row 3: another scheme", () => {
  for (const [value, scheme] of [
    ["Bearer abc", "Bearer"],
    ["AWS4-HMAC-SHA512 Credential=a", "AWS4-HMAC-SHA512"],
    ["aws4-hmac-sha256 Credential=a", "aws4-hmac-sha256"],
    ["", ""],
  ]) {
    const request = signed({}, { authorization: value });
    refuses(request, "IncompleteSignatureException", `Unsupported AWS 'algorithm': '${scheme}'.`);
  }
});

test("row 4: a parameter without an equal-sign", () => {
  const authorization = "AWS4-HMAC-SHA256 Credential=a, SignedHeaders, Signature=c";
  refuses(
    signed({}, { authorization }),
    "IncompleteSignatureException",
    `'SignedHeaders' not a valid key=value pair (missing equal-sign) in Authorization header: '${authorization}'`,
  );
});

test("row 5: everything that is missing is said at once", () => {
  const requires = (name: string) => `Authorization header requires '${name}' parameter.`;
  const date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
  const type = "IncompleteSignatureException";
  refuses(withAuthorization({ Credential: undefined }), type, requires("Credential"));
  refuses(withAuthorization({ Signature: undefined }), type, requires("Signature"));
  refuses(withAuthorization({ SignedHeaders: "" }), type, requires("SignedHeaders"));
  refuses(withAuthorization({}, { "x-amz-date": undefined }), type, date);
  refuses(
    signed({}, { authorization: "AWS4-HMAC-SHA256", "x-amz-date": undefined }),
    type,
    [requires("Credential"), requires("Signature"), requires("SignedHeaders"), date].join(" "),
  );
});

test("row 6: the host must be signed", () => {
  refuses(
    withAuthorization({ SignedHeaders: "content-type;x-amz-date" }),
    "InvalidSignatureException",
    "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
  );
});

test("row 7: a date of another form, or one that does not exist", () => {
  for (const date of [
    "2015-08-30T12:36:00Z",
    "Sun, 30 Aug 2015 12:36:00 GMT",
    "20150830T123600",
    "20150231T123600Z",
  ]) {
    refuses(
      withAuthorization({}, { "x-amz-date": date }),
      "IncompleteSignatureException",
      `Date must be in ISO-8601 'basic format'. Got '${date}'. See http://en.wikipedia.org/wiki/ISO_8601`,
    );
  }
});

test("row 8: the clock window's past end", () => {
  const now = (time: string) => options({ now: new Date(time) });
  assert.ok(verifySigV4(signed(), now("2015-08-30T12:41:00.999Z")).ok);
  refuses(
    signed(),
    "InvalidSignatureException",
    "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)",
    { now: new Date("2015-08-30T12:41:01Z") },
  );
});

test("row 9: the clock window's future end", () => {
  assert.ok(verifySigV4(signed(), options({ now: new Date("2015-08-30T12:31:00Z") })).ok);
  refuses(
    signed(),
    "InvalidSignatureException",
    "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)",
    { now: new Date("2015-08-30T12:30:59Z") },
  );
});

test("the clock window can be set", () => {
  const late = new Date("2015-08-30T12:51:00Z");
  assert.ok(verifySigV4(signed(), options({ now: late, clockSkewSeconds: 900 })).ok);
  const { error } = refusal(signed(), { now: late, clockSkewSeconds: 899 });
  assert.match(error.message, /^Signature expired/);
});

test("X-Amz-Date wins over Date, and Date serves where it stands alone", () => {
  assert.ok(verifySigV4(signed({}, { date: "Sun, 30 Aug 2015 12:36:00 GMT" }), options()).ok);
  const { canonicalRequest, stringToSign: text } = refusal(
    withAuthorization({ SignedHeaders: "date;host" }, { "x-amz-date": undefined, date: TIMESTAMP }),
  );
  assert.match(canonicalRequest as string, /\ndate:20150830T123600Z\n/);
  assert.match(text as string, /^AWS4-HMAC-SHA256\n20150830T123600Z\n/);
});

test("row 10: a credential that has not five parts", () => {
  for (const credential of ["AKIDEXAMPLE", "A/20150830/us-east-1/sagemaker/aws4_request/x"]) {
    refuses(
      withAuthorization({ Credential: credential }),
      "IncompleteSignatureException",
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential}'`,
    );
  }
});

test("row 11: a scope for another place, all of it at once", () => {
  const type = "InvalidSignatureException";
  const region = "Credential should be scoped to a valid region, not 'eu-west-1'. ";
  const service = "Credential should be scoped to correct service: 'sagemaker'. ";
  const terminator = "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. ";
  const date =
    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
    "'20150831' != '20150830', from '20150830T123600Z'.";
  const scoped = (scope: string) => withAuthorization({ Credential: `AKIDEXAMPLE/${scope}` });
  refuses(signed({ region: "eu-west-1" }), type, region);
  refuses(signed({ service: "s3" }), type, service);
  refuses(scoped("20150830/us-east-1/sagemaker/aws5"), type, terminator);
  refuses(scoped("20150831/us-east-1/sagemaker/aws4_request"), type, date);
  refuses(scoped("20150831/eu-west-1/s3/aws5"), type, region + service + terminator + date);
});

test('the region "any" takes every region', () => {
  assert.ok(verifySigV4(signed({ region: "eu-west-1" }), options({ region: "any" })).ok);
});

test("row 12: a key that is not known, and tokens that are not the key's", () => {
  const type = "UnrecognizedClientException";
  const temporary = { ...KEY, sessionToken: "token" };
  refuses(signed({ credential: { ...KEY, accessKeyId: "AKIDOTHER" } }), type, INVALID_TOKEN);
  refuses(signed({ credential: temporary }), type, INVALID_TOKEN);
  refuses(signed(), type, INVALID_TOKEN, { credential: temporary });
  refuses(signed({ credential: { ...KEY, sessionToken: "tokem" } }), type, INVALID_TOKEN, {
    credential: temporary,
  });
  assert.ok(verifySigV4(signed({ credential: temporary }), options({ credential: temporary })).ok);
});

test("row 12: the secret that stands in for an unknown key opens nothing", () => {
  const impostor = { accessKeyId: "AKIDOTHER", secretAccessKey: "0".repeat(40) };
  refuses(signed({ credential: impostor }), "UnrecognizedClientException", INVALID_TOKEN);
});

test("row 13: a token that has expired", () => {
  const credential = { ...KEY, sessionToken: "token", expiresAt: NOW };
  refuses(
    signed({ credential }),
    "ExpiredTokenException",
    "The security token included in the request is expired",
    { credential },
  );
  const later = { ...credential, expiresAt: new Date(NOW.getTime() + 1) };
  assert.ok(verifySigV4(signed({ credential }), options({ credential: later })).ok);
});

test("row 14: another signature, of whatever length or alphabet", () => {
  for (const Signature of ["0".repeat(64), "0", "g".repeat(64), "0".repeat(65), "é"]) {
    refuses(withAuthorization({ Signature }), "InvalidSignatureException", MISMATCH);
  }
  const authorization = signed().rawHeaders.at(-1) as string;
  const upper = authorization.replace(/[0-9a-f]{64}$/, (hex) => hex.toUpperCase());
  refuses(signed({}, { authorization: upper }), "InvalidSignatureException", MISMATCH);
});

test("signatures and session tokens are compared in constant time, right and wrong ones alike", (context) => {
  const count = numConstantTimeComparisons(context);
  const temporary = { ...KEY, sessionToken: "token" };
  const verify = (request: RawRequest, credential: typeof KEY = KEY) => {
    const before = count();
    const { ok } = verifySigV4(request, options({ credential }));
    return [ok, count() - before];
  };
  assert.deepEqual(verify(signed()), [true, 1]);
  assert.deepEqual(verify(withAuthorization({ Signature: "0".repeat(64) })), [false, 1]);
  assert.deepEqual(verify(signed({ credential: temporary }), temporary), [true, 2]);
  const wrongToken = { ...KEY, sessionToken: "tokem" };
  const [isAccepted, numComparisons] = verify(signed({ credential: wrongToken }), temporary);
  assert.equal(isAccepted, false);
  assert.ok(Number(numComparisons) >= 1);
});

test("the rows are checked in AWS's order", () => {
  // Each step repairs the request's first fault; the next row's refusal must then show.
  const faults: [string, (request: Parts) => void][] = [
    ["Missing Authentication Token", (parts) => Object.assign(parts, { scheme: "Bearer" })],
    ["Unsupported AWS 'algorithm'", (parts) => Object.assign(parts, { scheme: "AWS4-HMAC-SHA256" })],
    ["missing equal-sign", (parts) => Object.assign(parts, { extra: "" })],
    ["requires 'Signature'", (parts) => Object.assign(parts, { signature: "0" })],
    ["must be a 'SignedHeader'", (parts) => Object.assign(parts, { signedHeaders: "host" })],
    ["Date must be in ISO-8601", (parts) => Object.assign(parts, { date: "20150830T120000Z" })],
    ["Signature expired", (parts) => Object.assign(parts, { date: TIMESTAMP })],
    [
      "exactly 5 slash-delimited",
      (parts) => Object.assign(parts, { credential: "AKIDOTHER/20150830/a/b/c" }),
    ],
    ["valid region", (parts) => Object.assign(parts, { credential: `AKIDOTHER/${SCOPE}` })],
    [INVALID_TOKEN, (parts) => Object.assign(parts, { credential: `AKIDEXAMPLE/${SCOPE}`, token: "token" })],
    ["is not the SHA-256 of the body", (parts) => Object.assign(parts, { payloadHash: undefined })],
    [MISMATCH, () => {}],
  ];
  const parts: Parts = {
    signedHeaders: "x-amz-date",
    credential: "AKIDOTHER",
    date: "yesterday",
    extra: ", extra",
    payloadHash: EMPTY_HASH,
  };
  for (const [text, repair] of faults) {
    const { error } = refusal(assemble(parts), { credential: { ...KEY, sessionToken: "token" } });
    assert.ok(error.message.includes(text), `expected "${text}", got "${error.message}"`);
    repair(parts);
  }
});

const SCOPE = "20150830/us-east-1/sagemaker/aws4_request";

interface Parts {
  scheme?: string;
  signature?: string;
  signedHeaders: string;
  credential: string;
  date: string;
  extra: string;
  token?: string;
  payloadHash: string | undefined;
}

function assemble(parts: Parts): RawRequest {
  const { scheme, signature: hex, signedHeaders, credential, date, extra, token, payloadHash } = parts;
  const list = `SignedHeaders=${signedHeaders}, Credential=${credential}${hex ? `, Signature=${hex}` : ""}${extra}`;
  return signed(
    {},
    {
      authorization: scheme && `${scheme} ${list}`,
      "x-amz-date": date,
      "x-amz-security-token": token,
      "x-amz-content-sha256": payloadHash,
    },
  );
}

test("a declared payload hash must be that of the body, and the body is always hashed", () => {
  const type = "InvalidSignatureException";
  const name = "x-amz-content-sha256";
  assert.ok(verifySigV4(signed({}, { [name]: sha256Hex(Buffer.from(BODY)) }), options()).ok);
  refuses(
    signed({}, { [name]: EMPTY_HASH }),
    type,
    `${MISMATCH} The 'x-amz-content-sha256' header is not the SHA-256 of the body that was received.`,
  );
  for (const value of ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""]) {
    refuses(
      signed({}, { [name]: value }),
      type,
      `The 'x-amz-content-sha256' header must be the body's SHA-256 in lower-case hex, not '${value}'.`,
    );
  }
});

test("a captured request cannot be replayed with another body and its honest hash", () => {
  const other = Buffer.from('{"input":"Another text"}');
  const request = { ...signed({}, { "x-amz-content-sha256": sha256Hex(other) }), body: other };
  refuses(request, "InvalidSignatureException", MISMATCH);
});

test("repeated headers and parameters are refused", () => {
  const request = signed();
  const authorization = request.rawHeaders.at(-1) as string;
  refuses(
    { ...request, rawHeaders: [...request.rawHeaders, "AUTHORIZATION", authorization] },
    "IncompleteSignatureException",
    "The request carries 2 Authorization headers. Send exactly one.",
  );
  refuses(
    signed({}, { authorization: `${authorization}, Credential=x` }),
    "IncompleteSignatureException",
    "Authorization header repeats the 'Credential' parameter.",
  );
  const twice = refusal({ ...request, rawHeaders: [...request.rawHeaders, "Host", "localhost:8080"] });
  assert.equal(twice.error.message, MISMATCH);
});

test("SignedHeaders must have its canonical form", () => {
  for (const list of [
    "host;content-type",
    "Host;x-amz-date",
    "host;host",
    ";host",
    "host;",
    "a:b;host",
    "a b;host",
  ]) {
    const { error } = refusal(withAuthorization({ SignedHeaders: list }));
    const text = `SignedHeaders must be header names in lower case, sorted, without repeats, not '${list}'.`;
    assert.deepEqual([error.type, error.message], ["InvalidSignatureException", text]);
  }
});

test("sizes are limited before anything is sorted", () => {
  const names = Array.from({ length: 65 }, (_, i) => `a${String(i).padStart(2, "0")}`);
  const type = "IncompleteSignatureException";
  refuses(
    withAuthorization({ SignedHeaders: names.join(";") }),
    type,
    "SignedHeaders must name at most 64 headers, not 65.",
  );
  refuses(
    signed({ url: `http://localhost:8080/?${names.join("&")}` }),
    type,
    "The query must have at most 64 parameters.",
  );
  assert.ok(verifySigV4(signed({ url: `http://localhost:8080/?${names.slice(1).join("&")}` }), options()).ok);
  refuses(
    signed({}, { authorization: "A".repeat(4097) }),
    type,
    "The Authorization header must have at most 4096 characters, not 4097.",
  );
  refuses(signed(), type, "SignedHeaders must name at most 2 headers, not 3.", { maxSignedHeaders: 2 });
});

test("another host is refused, unless it is an alias", () => {
  const url = "http://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/gpt-2/invocations";
  const request = signed({ url }, { host: "localhost:8080" });
  refuses(request, "InvalidSignatureException", MISMATCH);
  refuses(request, "InvalidSignatureException", MISMATCH, { hostAliases: ["other", "localhost"] });
  const alias = "runtime.sagemaker.us-east-1.amazonaws.com";
  const result = verifySigV4(request, options({ hostAliases: ["other", alias] }));
  assert.ok(result.ok);
  assert.equal(result.host, alias);
  const portless = signed(
    { url: "http://localhost/endpoints/gpt-2/invocations" },
    { host: "localhost:8080" },
  );
  refuses(portless, "InvalidSignatureException", MISMATCH);
});

test("a refused request tells its canonical form with the host that was received", () => {
  const { canonicalRequest } = refusal(withAuthorization({}), { hostAliases: ["alias"] });
  assert.match(canonicalRequest as string, /\nhost:localhost:8080\n/);
});
