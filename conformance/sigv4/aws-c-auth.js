// Runs the Signature Version 4 test suite of awslabs/aws-c-auth (directory tests/aws-signing-test-suite/v4 there), in its
// header form, against the built verifier: `node conformance/sigv4/aws-c-auth.js DIRECTORY` after `npm run build`.
// Each case checks the canonical request, the string to sign, the signature, that the signed request is accepted, and that it is
// refused after a change of the signature's last digit. The query (presigned) form is not supported.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  canonicalRequest,
  sha256Hex,
  signature,
  stringToSign,
  verifySigV4,
} from "../../dist/src/sigv4/index.js";

/** A request as the suite writes it: one line each for the target and the headers, an empty line, the body. */
function parseRequest(bytes) {
  const text = bytes.toString("latin1");
  const end = text.indexOf("\n\n");
  const [requestLine, ...lines] = text.slice(0, end).split("\n");
  const rawHeaders = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (/^\s/.test(line)) rawHeaders.push(`${rawHeaders.pop()}\n${line}`);
    else rawHeaders.push(line.slice(0, colon), line.slice(colon + 1));
  }
  return {
    method: requestLine.slice(0, requestLine.indexOf(" ")),
    rawUrl: requestLine.slice(requestLine.indexOf(" ") + 1, requestLine.lastIndexOf(" ")),
    rawHeaders,
    body: Buffer.from(text.slice(end + 2), "latin1"),
  };
}

function withOtherLastDigit(request) {
  const change = (value) => value.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
  const rawHeaders = request.rawHeaders.map((value, i, all) =>
    all[i - 1] === "Authorization" ? change(value) : value,
  );
  return { ...request, rawHeaders };
}

/** The names of the checks that a case fails. */
function failedChecks(directory) {
  const read = (name) => readFileSync(join(directory, name), "latin1");
  const context = JSON.parse(read("context.json"));
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, token } = context.credentials;
  const { region, service, normalize: normalizePath, timestamp: time } = context;
  const credential = { accessKeyId, secretAccessKey, ...(token && { sessionToken: token }) };
  const request = parseRequest(readFileSync(join(directory, "header-signed-request.txt")));

  const signedHeaders = /SignedHeaders=([^,]*)/.exec(request.rawHeaders.join("\n"))[1].split(";");
  const canonical = canonicalRequest(request, {
    signedHeaders,
    payloadHash: sha256Hex(request.body),
    normalizePath,
  });
  const timestamp = time.replace(/[-:]/g, "");
  const scope = { date: timestamp.slice(0, 8), region, service };
  const text = stringToSign(timestamp, scope, canonical);
  const verify = (candidate) =>
    verifySigV4(candidate, {
      credentials: (id) => (id === accessKeyId ? credential : undefined),
      region,
      service,
      now: new Date(time),
      normalizePath,
    });
  const checks = {
    "canonical request": canonical === read("header-canonical-request.txt"),
    "string to sign": text === read("header-string-to-sign.txt"),
    signature: signature(secretAccessKey, scope, text) === read("header-signature.txt"),
    acceptance: verify(request).ok,
    refusal: verify(withOtherLastDigit(request)).error?.type === "InvalidSignatureException",
  };
  return Object.keys(checks).filter((name) => !checks[name]);
}

const suite = process.argv[2];
if (suite === undefined) {
  process.stderr.write("usage: node conformance/sigv4/aws-c-auth.js DIRECTORY\n");
  process.exit(2);
}
const cases = readdirSync(suite, { withFileTypes: true }).filter((entry) => entry.isDirectory());
let numFailed = 0;
for (const { name } of cases) {
  const failed = failedChecks(join(suite, name));
  if (failed.length > 0) numFailed++;
  process.stdout.write(
    `${failed.length > 0 ? "FAILED" : "passed"}  ${name}  ${failed.join(", ")}`.trimEnd() + "\n",
  );
}
process.stdout.write(`${cases.length - numFailed} passed, ${numFailed} failed\n`);
process.exit(numFailed > 0 || cases.length === 0 ? 1 : 0);
