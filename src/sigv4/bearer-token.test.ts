import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { numConstantTimeComparisons } from "../../test/support/constant-time.ts";
import { BEARER_TOKEN_PREFIX, makeBearerToken, verifyBearerToken } from "./bearer-token.ts";

const credential = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const now = new Date("2026-11-26T00:00:00Z");
const made = { credential, region: "us-east-1", now, expiresSeconds: 3600 };
const token = makeBearerToken(made);
const options = {
  credentials: (id: string) => (id === credential.accessKeyId ? credential : undefined),
  region: "us-east-1",
  service: "sagemaker",
  now,
};
const urlOf = (text: string): string =>
  Buffer.from(text.slice(BEARER_TOKEN_PREFIX.length), "base64").toString();
const changed = (from: string | RegExp, to: string, original = token): string => {
  const url = urlOf(original).replace(from, to);
  assert.notEqual(url, urlOf(original));
  return BEARER_TOKEN_PREFIX + Buffer.from(url).toString("base64");
};
const refusal = (text: string, others: object = {}): string => {
  const verdict = verifyBearerToken(text, { ...options, ...others });
  return verdict.ok ? "accepted" : verdict.error.type;
};
const at = (seconds: number) => ({ now: new Date(now.getTime() + 1000 * seconds) });

describe("a bearer token of a key pair", () => {
  it("has the signature that AWS's own generator makes", () => {
    assert.match(
      urlOf(token),
      /&X-Amz-Signature=4c5a24d0f5be2014f1c57c793f8102f95960643fdd68e0b780eb2f782aeedee2&Version=1$/,
    );
    assert.match(
      urlOf(token),
      /^sagemaker\.amazonaws\.com\/\?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256&/,
    );
  });

  it("is good from its time, less the skew of clocks, until it expires", () => {
    for (const seconds of [-300, 0, 3600])
      assert.equal(refusal(token, at(seconds)), "accepted", String(seconds));
    assert.equal(refusal(token, at(-301)), "InvalidSignatureException");
    assert.equal(refusal(token, at(3601)), "ExpiredTokenException");
    assert.equal(refusal(token, { ...at(-11), clockSkewSeconds: 10 }), "InvalidSignatureException");
  });

  it("has its signature compared in constant time, a right and a wrong one alike", (context: TestContext) => {
    const count = numConstantTimeComparisons(context);
    assert.equal(refusal(token), "accepted");
    assert.equal(count(), 1);
    assert.notEqual(refusal(changed(/(?<=X-Amz-Signature=)[0-9a-f]{64}/, "0".repeat(64))), "accepted");
    assert.equal(count(), 2);
  });

  it("answers the key pair as it was looked up, once", () => {
    let numLookUps = 0;
    const owner = { ...credential, endpoints: "*" };
    const verdict = verifyBearerToken(token, {
      ...options,
      credentials: () => {
        numLookUps++;
        return owner;
      },
    });
    assert.ok(verdict.ok && verdict.credential === owner);
    assert.equal(numLookUps, 1);
  });

  it("is refused when anything in it was changed", () => {
    const changes: [from: string | RegExp, to: string, type: string][] = [
      ["CallWithBearerToken", "CallWithBearerTokens", "UnrecognizedClientException"],
      ["sagemaker.amazonaws.com", "sagemaker.amazonaws.org", "UnrecognizedClientException"],
      ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "UnrecognizedClientException"],
      ["AKIDEXAMPLE", "AKIDOTHER", "UnrecognizedClientException"],
      ["us-east-1", "eu-west-1", "InvalidSignatureException"],
      ["%2Fsagemaker%2F", "%2Fs3%2F", "InvalidSignatureException"],
      ["aws4_request", "aws4_other", "InvalidSignatureException"],
      ["X-Amz-Date=20261126T000000Z", "X-Amz-Date=20261126T000001Z", "UnrecognizedClientException"],
      ["X-Amz-Date=20261126T000000Z", "X-Amz-Date=yesterday", "UnrecognizedClientException"],
      ["Expires=3600", "Expires=3601", "UnrecognizedClientException"],
      ["Expires=3600", "Expires=0", "UnrecognizedClientException"],
      ["Expires=3600", "Expires=43201", "UnrecognizedClientException"],
      ["SignedHeaders=host", "SignedHeaders=host%3Bx", "UnrecognizedClientException"],
      ["&Version=1", "&Version=2", "UnrecognizedClientException"],
      ["&Version=1", "", "UnrecognizedClientException"],
      ["&Version=1", "&Version=1&More=1", "UnrecognizedClientException"],
      ["&Version=1", "&Version=1&Version=1", "UnrecognizedClientException"],
      [/Signature=4/, "Signature=5", "UnrecognizedClientException"],
      [/&X-Amz-Signature=\w+/, "", "UnrecognizedClientException"],
    ];
    for (const [from, to, type] of changes) assert.equal(refusal(changed(from, to)), type, `${from} → ${to}`);
    for (const text of [
      "",
      BEARER_TOKEN_PREFIX,
      `${token}!`,
      token.slice(1),
      `${BEARER_TOKEN_PREFIX}${"A".repeat(9999)}`,
    ])
      assert.equal(refusal(text), "UnrecognizedClientException", text.slice(0, 40));
  });

  it("is refused for a key that is not known, or has another secret, or another session", () => {
    assert.equal(refusal(token, { credentials: () => undefined }), "UnrecognizedClientException");
    const other = { ...credential, secretAccessKey: "other" };
    assert.equal(refusal(token, { credentials: () => other }), "UnrecognizedClientException");
    const session = { ...credential, sessionToken: "a+b/c=" };
    assert.equal(refusal(token, { credentials: () => session }), "UnrecognizedClientException");
    const own = makeBearerToken({ ...made, credential: session });
    assert.equal(refusal(own, { credentials: () => session }), "accepted");
    assert.equal(refusal(own), "UnrecognizedClientException");
    const ended = { ...session, expiresAt: now };
    assert.equal(refusal(own, { credentials: () => ended }), "ExpiredTokenException");
    assert.equal(refusal(token, { region: "any" }), "accepted");
  });

  it("has one form: letters behind its last whole byte are not passed over", () => {
    const tokens = [9, 90, 900, 9000].map((expiresSeconds) => makeBearerToken({ ...made, expiresSeconds }));
    const isWhole = (text: string) => !text.endsWith("=");
    assert.ok(tokens.some(isWhole));
    for (const each of tokens.filter(isWhole)) {
      assert.equal(refusal(each), "accepted");
      assert.equal(refusal(`${each}A`), "UnrecognizedClientException");
    }
  });
});
