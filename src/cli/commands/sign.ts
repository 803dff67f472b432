// `gpt2-api sign`: signs a request as a client would, and prints the headers to send. With --explain it also prints the
// three stages of the signature, to be compared with those of a client or of the server's --debug-signature.
import { readFileSync } from "node:fs";
import { GptError, messageOf } from "../../errors.ts";
import { loadCredential, requireKept } from "../../server/access/own-key-pair.ts";
import {
  canonicalRequest,
  type RequestToSign,
  type SignOptions,
  sha256Hex,
  signature,
  signRequest,
  stringToSign,
} from "../../sigv4/index.ts";
import { quote } from "../../wording.ts";
import type { Command } from "../command.ts";
import { type Flags, parseFlags } from "../flags.ts";

export const sign: Command = {
  summary: "Signs a request and prints the headers, or explains the signature.",
  operands: "URL",
  examples: [
    [
      "The headers of a request, with the key pair of the AWS_ variables",
      'gpt2-api sign http://127.0.0.1:8080/endpoints/gpt-2/invocations --body \'{"input": "Hello"}\'',
    ],
    [
      "Why a signature does not match",
      "gpt2-api sign --explain http://127.0.0.1:8080/endpoints/gpt-2/invocations --body @request.json",
    ],
  ],
  options: {
    body: { type: "string", value: "TEXT", help: "The body; @FILE reads it from a file. Default: empty." },
    method: { type: "string", value: "METHOD", help: "The request's method. Default POST." },
    header: {
      type: "string",
      value: "NAME:VALUE",
      multiple: true,
      help: "Further header to sign; may be repeated.",
    },
    region: { type: "string", value: "REGION", help: "Region to sign for. Default us-east-1." },
    service: { type: "string", value: "NAME", help: "Service to sign for. Default sagemaker." },
    date: {
      type: "string",
      value: "TIME",
      help: "Time of the signature, as 2026-01-02T03:04:05Z. Default: now.",
    },
    explain: {
      type: "boolean",
      help: "Prints canonical request, string to sign and signature instead of the headers.",
    },
  },
  async run(argv) {
    const flags = parseFlags(argv, sign);
    const request = requestOf(flags);
    const options = optionsOf(flags);
    const headers = signRequest(request, options);
    process.stdout.write(
      flags.values.explain ? explanation(request, headers, options) : headerLines(headers),
    );
    return 0;
  },
};

function requestOf({ values, operands }: Flags): RequestToSign {
  const [url, surplus] = operands;
  if (url === undefined || surplus !== undefined) {
    throw new GptError("invalid_config", `One URL must be given, got ${operands.length}`);
  }
  if (!URL.canParse(url)) {
    throw new GptError(
      "invalid_config",
      `The URL must be absolute, such as http://127.0.0.1:8080/, got ${quote(url)}`,
    );
  }
  const headers = ((values.header ?? []) as readonly string[]).map(headerOf);
  return {
    method: String(values.method ?? "POST"),
    url,
    headers: Object.fromEntries(headers),
    body: bodyOf(String(values.body ?? "")),
  };
}

function headerOf(text: string): [name: string, value: string] {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new GptError("invalid_config", `--header must be NAME:VALUE, got ${quote(text)}`);
}

function bodyOf(text: string): string | Buffer {
  if (!text.startsWith("@")) return text;
  try {
    return readFileSync(text.slice(1));
  } catch (cause) {
    throw new GptError("invalid_config", `--body ${text} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function optionsOf({ values }: Flags): SignOptions {
  const now = values.date === undefined ? new Date() : new Date(String(values.date));
  if (Number.isNaN(now.getTime())) {
    throw new GptError(
      "invalid_config",
      `--date must be a time such as 2026-01-02T03:04:05Z, got ${quote(String(values.date))}`,
    );
  }
  return {
    credential: requireKept(loadCredential(process.env)),
    region: String(values.region ?? "us-east-1"),
    service: String(values.service ?? "sagemaker"),
    now,
  };
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}

/** The three stages of the signature, computed from the headers as the server computes them. */
function explanation(
  request: RequestToSign,
  headers: Readonly<Record<string, string>>,
  { credential, region, service }: SignOptions,
): string {
  const { authorization = "", "x-amz-date": timestamp = "", ...rest } = headers;
  const url = new URL(request.url);
  const body = Buffer.from(request.body ?? "");
  const signed = { ...rest, "x-amz-date": timestamp };
  const canonical = canonicalRequest(
    {
      method: request.method,
      rawUrl: url.pathname + url.search,
      rawHeaders: Object.entries(signed).flat(),
    },
    { signedHeaders: Object.keys(signed).sort(), payloadHash: sha256Hex(body) },
  );
  const scope = { date: timestamp.slice(0, 8), region, service };
  const text = stringToSign(timestamp, scope, canonical);
  return [
    `1. Canonical request\n\n${canonical}\n`,
    `2. String to sign\n\n${text}\n`,
    `3. Signature\n\n${signature(credential.secretAccessKey, scope, text)}\n`,
    `Authorization: ${authorization}\n`,
  ].join("\n");
}
