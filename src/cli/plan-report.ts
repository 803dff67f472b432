// `bench --plan`: reads the expected traffic from the flags, and puts the plan for it into words.
import { GptError } from "../errors.ts";
import { costPerMillionTokens, GOOD_LOAD, type Plan } from "../offline/fleet/plan.ts";
import type { Traffic } from "../offline/fleet/simulation.ts";
import { describeValue } from "../wording.ts";
import type { Options } from "./command.ts";
import type { Flags } from "./flags.ts";

/** Flag → what it is, its range and its default. The defaults are those of a request to the server. */
const NUMBERS = {
  rate: { value: "R", least: 0.001, most: 1000, preset: 1, help: "Requests per second." },
  "prompt-tokens": { value: "N", least: 0, most: 4096, preset: 30, help: "Tokens in each prompt." },
  "new-tokens": { value: "N", least: 1, most: 4096, preset: 70, help: "New tokens in each sequence." },
  sequences: { value: "N", least: 1, most: 64, preset: 3, help: "Sequences in each request." },
  p95: {
    value: "SECONDS",
    least: 0.001,
    most: 3600,
    preset: 2,
    help: "Time within which 95 % of the requests should be answered.",
  },
} as const;
const WHOLE = ["prompt-tokens", "new-tokens", "sequences"];

export const PLAN_OPTIONS: Options = {
  plan: {
    type: "boolean",
    help: "Also plans how many such servers the traffic of the following flags needs.",
  },
  ...Object.fromEntries(
    Object.entries(NUMBERS).map(([flag, { value, help, preset }]) => [
      flag,
      { type: "string", value, help: `With --plan: ${help} Default ${preset}.` } as const,
    ]),
  ),
  price: { type: "string", value: "P", help: "With --plan: price of one server per hour, in any currency." },
};

export interface Wish {
  readonly traffic: Traffic;
  readonly p95Ms: number;
  readonly price: number | undefined;
}

/** @throws GptError `invalid_config` for a flag that is not a number in its range. */
export function wishOf(values: Flags["values"]): Wish {
  const numberOf = (flag: keyof typeof NUMBERS): number => {
    const { least, most, preset } = NUMBERS[flag];
    return given(values, flag, least, most) ?? preset;
  };
  return {
    traffic: {
      requestsPerSecond: numberOf("rate"),
      promptTokens: numberOf("prompt-tokens"),
      newTokens: numberOf("new-tokens"),
      numSequences: numberOf("sequences"),
    },
    p95Ms: 1000 * numberOf("p95"),
    price: given(values, "price", 0, 1e9),
  };
}

function given(values: Flags["values"], flag: string, least: number, most: number): number | undefined {
  const text = values[flag];
  if (text === undefined) return undefined;
  const isWhole = WHOLE.includes(flag);
  const number = typeof text === "string" && /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most && (!isWhole || Number.isInteger(number))) return number;
  const kind = isWhole ? "an integer" : "a number";
  throw new GptError(
    "invalid_config",
    `--${flag} must be ${kind} from ${least} to ${most}, got ${describeValue(text)}`,
  );
}

/** `memoryMib`: memory that one server may take, in MiB. */
export function planText(plan: Plan, { traffic, p95Ms, price }: Wish, memoryMib: number): string {
  const { requestsPerSecond: rate, promptTokens, newTokens, numSequences } = traffic;
  const { tokensPerSecond, requestsPerSecond, fleets, numServers } = plan;
  const line = (cells: readonly string[]): string => cells.map((cell) => cell.padStart(10)).join("");
  const rows = fleets.map(({ numServers: count, busy, firstTokenP95Ms, p50Ms, p95Ms: p95, isSteady }) =>
    isSteady
      ? line([String(count), busy.toFixed(2), ...[firstTokenP95Ms, p50Ms, p95].map(seconds)])
      : line([String(count), busy.toFixed(2), ...Array(3).fill("grows")]),
  );
  const wanted = `95 % of the requests within ${p95Ms / 1000} s`;
  return [
    `${rate} requests a second of ${promptTokens} + ${numSequences} × ${newTokens} tokens`,
    `one server: ${requestsPerSecond.toFixed(2)} requests a second at most, ${tokensPerSecond.toFixed(0)} new tokens a second, ` +
      `${memoryMib.toFixed(0)} MiB`,
    ...(price === undefined
      ? []
      : [
          `a million new tokens at a load of ${GOOD_LOAD}: ${costPerMillionTokens(tokensPerSecond, price).toFixed(2)}`,
        ]),
    "",
    line(["servers", "busy", "first p95", "p50", "p95"]),
    ...rows,
    "",
    numServers === undefined
      ? `No number of such servers answers ${wanted}.`
      : `${numServers} ${numServers === 1 ? "server answers" : "servers answer"} ${wanted}.`,
    "",
  ].join("\n");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
