// `gpt2-api token`: makes a bearer token from a key pair, for clients that cannot sign requests, such as OpenAI's.
import { GptError } from "../../errors.ts";
import { loadCredential, requireKept } from "../../server/access/own-key-pair.ts";
import { BEARER_TOKEN_SECONDS_MAX, makeBearerToken } from "../../sigv4/index.ts";
import { quote } from "../../wording.ts";
import type { Command } from "../command.ts";
import { parseFlags } from "../flags.ts";

const UNITS = { s: 1, m: 60, h: 3600 } as const;

export const token: Command = {
  summary: "Makes a bearer token from a key pair.",
  examples: [
    [
      "A token for OpenAI's clients, valid for twelve hours, with the key pair of the AWS_ variables or the server's own",
      'export OPENAI_API_KEY="$(gpt2-api token)"',
    ],
    ["One that is valid for a quarter of an hour", "gpt2-api token --expires 15m"],
  ],
  options: {
    expires: {
      type: "string",
      value: "TIME",
      common: true,
      help: "How long it is valid, as 900s, 15m or 12h; at most twelve hours. Default 12h.",
    },
    region: { type: "string", value: "REGION", help: "Region that the server accepts. Default us-east-1." },
  },
  async run(argv) {
    const { values } = parseFlags(argv, token);
    const made = makeBearerToken({
      credential: requireKept(loadCredential(process.env)),
      region: String(values.region ?? "us-east-1"),
      now: new Date(),
      expiresSeconds: secondsOf(String(values.expires ?? "12h")),
    });
    process.stdout.write(`${made}\n`);
    return 0;
  },
};

function secondsOf(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit as keyof typeof UNITS] ?? 0);
  if (seconds >= 1 && seconds <= BEARER_TOKEN_SECONDS_MAX) return seconds;
  const expected = "a time from 1s to 12h, such as 900s, 15m or 12h";
  throw new GptError("invalid_config", `--expires must be ${expected}, got ${quote(text)}`);
}
