import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plan } from "../offline/fleet/plan.ts";
import { PLAN_OPTIONS, planText, wishOf } from "./plan-report.ts";

test("traffic comes from the flags; without them it is the default request", () => {
  const preset = { requestsPerSecond: 1, promptTokens: 30, newTokens: 70, numSequences: 3 };
  assert.deepEqual(wishOf({}), { traffic: preset, p95Ms: 2000, price: undefined });
  const values = {
    rate: "2.5",
    "prompt-tokens": "0",
    "new-tokens": "5",
    sequences: "1",
    p95: "0.5",
    price: "0.1",
  };
  assert.deepEqual(wishOf(values), {
    traffic: { requestsPerSecond: 2.5, promptTokens: 0, newTokens: 5, numSequences: 1 },
    p95Ms: 500,
    price: 0.1,
  });
  for (const flag of Object.keys(values)) assert.ok(flag in PLAN_OPTIONS, flag);
});

test("a flag that is not a number in its range is refused by name", () => {
  const cases: [flag: string, text: string, message: RegExp][] = [
    ["rate", "0", /--rate must be a number from 0\.001 to 1000, got "0"/],
    ["sequences", "1.5", /--sequences must be an integer from 1 to 64, got "1\.5"/],
    ["new-tokens", "many", /--new-tokens must be an integer/],
    ["price", "-1", /--price must be a number from 0/],
  ];
  for (const [flag, text, message] of cases) {
    assert.throws(() => wishOf({ [flag]: text }), { code: "invalid_config", message });
  }
});

const fleet = { firstTokenP95Ms: 10, p50Ms: 400, p95Ms: 1500, numRequests: 3000 };
const PLAN: Plan = {
  tokensPerSecond: 1000,
  requestsPerSecond: 4.8,
  fleets: [
    { numServers: 1, isSteady: false, busy: 1, ...fleet },
    { numServers: 2, isSteady: true, busy: 0.5, ...fleet },
  ],
  numServers: 2,
};

test("the text of a plan has the speed of one server, a row for each fleet, the result, and the cost if a price was given", () => {
  const text = planText(PLAN, wishOf({ price: "0.36" }), 640);
  assert.match(text, /^one server: 4\.80 requests a second at most, 1000 new tokens a second, 640 MiB$/m);
  assert.match(text, /^a million new tokens at a load of 0\.6: 0\.17$/m);
  assert.match(text, /^ +1 +1\.00 +grows +grows +grows$/m);
  assert.match(text, /^ +2 +0\.50 +0\.01 s +0\.40 s +1\.50 s$/m);
  assert.match(text, /^2 servers answer 95 % of the requests within 2 s\.$/m);
  const none = planText({ ...PLAN, numServers: undefined }, wishOf({}), 640);
  assert.match(none, /^No number of such servers answers 95 % of the requests within 2 s\.$/m);
  assert.doesNotMatch(none, /million/);
});
