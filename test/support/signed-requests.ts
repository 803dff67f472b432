// Requests for the tests of the signature's verification: one that is signed with a known key at a fixed time, and ways to spoil it.
import assert from "node:assert/strict";
import type { RawRequest } from "../../src/sigv4/canonical.ts";
import { type Credential, signRequest } from "../../src/sigv4/sign.ts";
import { type Refused, type VerifyOptions, verifySigV4 } from "../../src/sigv4/verify.ts";

export const KEY: Credential = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
export const TIMESTAMP = "20150830T123600Z";
export const NOW = new Date("2015-08-30T12:36:00Z");
export const BODY = '{"input":"This is an input text"}';
export const MISMATCH =
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key " +
  "and signing method. Consult the service documentation for details.";

export function options(changes: Partial<VerifyOptions> & { credential?: Credential } = {}): VerifyOptions {
  const { credential = KEY, ...others } = changes;
  return {
    credentials: (id) => (id === credential.accessKeyId ? credential : undefined),
    region: "us-east-1",
    service: "sagemaker",
    now: NOW,
    ...others,
  };
}

/** A signed request. Afterwards `replace` changes and adds headers, or removes them if undefined. */
export function signed(
  changes: { region?: string; service?: string; now?: Date; credential?: Credential; url?: string } = {},
  replace: Readonly<Record<string, string | undefined>> = {},
): RawRequest {
  const { url = "http://localhost:8080/endpoints/gpt-2/invocations", ...others } = changes;
  const headers = signRequest(
    { method: "POST", url, headers: { "content-type": "application/json" }, body: BODY },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now: NOW, ...others },
  );
  const { pathname, search } = new URL(url);
  const sent = Object.entries({ ...headers, ...replace }).filter(([, value]) => value !== undefined);
  return {
    method: "POST",
    rawUrl: pathname + search,
    rawHeaders: sent.flat() as string[],
    body: Buffer.from(BODY),
  };
}

/** A request whose Authorization has these parts. An undefined part is left out. */
export function withAuthorization(
  parts: {
    Credential?: string | undefined;
    SignedHeaders?: string | undefined;
    Signature?: string | undefined;
  },
  replace: Readonly<Record<string, string | undefined>> = {},
): RawRequest {
  const all = {
    Credential: "AKIDEXAMPLE/20150830/us-east-1/sagemaker/aws4_request",
    SignedHeaders: "content-type;host;x-amz-date",
    Signature: "0".repeat(64),
    ...parts,
  };
  const list = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  return signed({}, { authorization: `AWS4-HMAC-SHA256 ${list.join(", ")}`, ...replace });
}

/** The refusal of a request. If the request is accepted, the test fails. */
export function refusal(request: RawRequest, changes: Parameters<typeof options>[0] = {}): Refused {
  const result = verifySigV4(request, options(changes));
  assert.ok(!result.ok, "the request was accepted");
  assert.equal(result.error.status, 403);
  return result;
}
