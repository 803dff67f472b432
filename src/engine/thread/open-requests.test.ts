import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HandClock } from "../../../test/support/hand-clock.ts";
import { beams, someDecoding } from "../../../test/support/inline-engine.ts";
import { GptError } from "../../errors.ts";
import { NO_STATS } from "../counts.ts";
import type { PassReport } from "./messages.ts";
import { OpenRequests, type OpenRequestsLimits } from "./open-requests.ts";

const pass = (parts: Partial<PassReport>): PassReport => ({
  type: "pass",
  beganMs: 0,
  started: [],
  prefilled: [],
  progress: [],
  finished: [],
  stats: NO_STATS,
  ...parts,
});
const answerOf = (id: number) => ({ id, hypotheses: [], cachedTokens: 0 });
const decoding = someDecoding({ maxLength: 10 });

function make(limits: Partial<OpenRequestsLimits> = {}) {
  const clock = new HandClock();
  const withdrawn: number[] = [];
  const none = Number.POSITIVE_INFINITY;
  const all = { requestsMax: 10, tokensMax: none, deadlineMs: none, ...limits };
  const open = new OpenRequests(all, clock, (id) => withdrawn.push(id));
  const add = (options: Parameters<OpenRequests["add"]>[2] = {}, prompt = [1, 2], asked = decoding) => {
    const added = open.add(prompt, asked, options);
    added.answer.catch(() => {}); // Not every test awaits it.
    return added;
  };
  return { clock, withdrawn, open, add };
}

describe("open requests", () => {
  it("are bounded by their count", async () => {
    const { open, add } = make({ requestsMax: 2 });
    const { request, answer } = add();
    add();
    assert.throws(() => add(), { code: "queue_full", message: /2 requests are open/ });
    open.report(pass({ started: [request.id], finished: [answerOf(request.id)] }));
    assert.deepEqual((await answer).hypotheses, []);
    add();
  });

  it("are bounded by the tokens of those that wait, all sequences counted", () => {
    const { open, add } = make({ tokensMax: 100 });
    const wide = someDecoding({ maxLength: 22, numReturnSequences: 2, search: beams(4) });
    const first = add({}, [1, 2], wide); // 2 + 4 · 20 tokens
    add();
    const message = /wait may need 92 tokens, with the 10 of this one more than the 100/;
    assert.throws(() => add(), { code: "queue_full", message });
    assert.deepEqual([open.waitingTokens, open.runningTokens], [92, 0]);
    open.report(pass({ started: [first.request.id] }));
    assert.deepEqual([open.numWaiting, open.numRunning], [1, 1]);
    assert.deepEqual([open.waitingTokens, open.runningTokens], [10, 82]);
    open.report(pass({ finished: [answerOf(first.request.id)] }));
    assert.deepEqual([open.waitingTokens, open.runningTokens], [10, 0]);
    add();
    const huge = make({ tokensMax: 5 });
    huge.add(); // A single waiting request may exceed the limit.
    assert.throws(() => huge.add(), { code: "queue_full" });
  });

  it("are shared among clients when there is no room for all", async () => {
    const { open, add, withdrawn } = make({ requestsMax: 16 });
    const greedy = Array.from({ length: 14 }, () => add({ client: "greedy" }));
    assert.throws(() => add({ client: "greedy" }), {
      code: "queue_full",
      message: /14 requests of this client/,
    });
    open.report(pass({ started: [1, 2, 3] }));
    const others = ["b", "c", "d", "e"].map((client) => add({ client }));
    // The last two clients displaced the newest waiting requests.
    for (const { answer } of greedy.slice(-2))
      await assert.rejects(answer, { code: "queue_full", message: /others/ });
    assert.deepEqual(withdrawn, [14, 13]);
    assert.equal(open.requests.length, 16);
    assert.equal(new Set(others.map(({ request }) => request.client)).size, 4);
  });

  it("give up no place to a client that would then hold as many, and none that is running", () => {
    const { open, add } = make({ requestsMax: 4 });
    for (const client of ["a", "a", "b", "b"]) add({ client });
    assert.throws(() => add({ client: "a" }), { code: "queue_full" });
    add({ client: "c" });
    assert.throws(() => add({ client: "c" }), { code: "queue_full" });
    const running = make({ requestsMax: 4 });
    for (let i = 0; i < 4; i++) running.add({ client: "a" });
    running.open.report(pass({ started: [1, 2, 3, 4] }));
    assert.throws(() => running.add({ client: "b" }), { code: "queue_full", message: /4 requests are open/ });
    assert.equal(open.requests.length, 4);
  });

  it("give up the newest that waits, and not a newer one that runs", async () => {
    const { open, add, withdrawn } = make({ requestsMax: 4 });
    const [waits] = Array.from({ length: 3 }, () => add({ client: "a" }));
    open.report(pass({ started: [2, 3] })); // They did fit, and overtook the first.
    add({ client: "b" });
    add({ client: "c" });
    assert.deepEqual(withdrawn, [1]);
    await assert.rejects(waits?.answer as Promise<unknown>, { code: "queue_full" });
  });

  it("share the tokens that may wait in the same way", async () => {
    const { add } = make({ tokensMax: 60 });
    const greedy = Array.from({ length: 6 }, () => add({ client: "greedy" })); // 10 tokens each
    assert.throws(() => add({ client: "greedy" }), { code: "queue_full", message: /may need 60 tokens/ });
    add({ client: "b" });
    await assert.rejects(greedy[5]?.answer as Promise<unknown>, { code: "queue_full" });
    add({ client: "b" });
    add({ client: "b" });
    assert.throws(() => add({ client: "b" }), { code: "queue_full" });
  });

  it("carry one number for each client that has any", () => {
    const { add, open } = make();
    const numbers = ["a", "b", "a", undefined, "b"].map((client) => {
      return add(client === undefined ? {} : { client }).request.client;
    });
    const [a, b, a2, nobody, b2] = numbers;
    assert.deepEqual([a2, b2], [a, b]);
    assert.equal(new Set([a, b, nobody]).size, 3);
    assert.equal(open.requests.length, 5);
    open.rejectAll(new GptError("cancelled", "all are"));
    assert.notEqual(add({ client: "a" }).request.client, a, "nothing is kept of who holds nothing");
  });

  it("are given up at their deadline or when aborted, once", async () => {
    const { add, clock, withdrawn, open } = make({ deadlineMs: 500 });
    const controller = new AbortController();
    const late = add();
    const aborted = add({ signal: controller.signal });
    assert.deepEqual([...clock.alarms.values()], [500, 500]);
    const [expire] = [...clock.alarms.keys()];
    expire?.();
    controller.abort();
    await assert.rejects(late.answer, { code: "timed_out", message: /within 500 milliseconds/ });
    await assert.rejects(aborted.answer, { code: "cancelled" });
    assert.deepEqual(withdrawn, [late.request.id, aborted.request.id]);
    assert.equal(clock.alarms.size, 0);
    open.report(pass({ finished: [answerOf(late.request.id)] })); // The answer crosses the withdrawal.
    assert.throws(() => add({ signal: controller.signal }), { code: "cancelled" });
  });

  it("are timed from their acceptance, and listen to their signal no longer than they are open", async () => {
    const { add, clock, open, withdrawn } = make({ deadlineMs: 500 });
    clock.time = 100;
    const told: unknown[] = [];
    const controller = new AbortController();
    const { request, answer } = add({ onTokens: (news) => told.push(news), signal: controller.signal });
    const { id } = request;
    assert.equal(request.streams, true);
    clock.time = 130;
    open.report(
      pass({
        beganMs: 120,
        started: [id],
        prefilled: [id],
        progress: [{ id, sequences: [{ tokenIds: [7] }] }],
      }),
    );
    clock.time = 180;
    open.report(pass({ beganMs: 170, finished: [answerOf(id)] }));
    assert.deepEqual((await answer).timing, { queueMs: 20, firstTokenMs: 30, totalMs: 80 });
    assert.deepEqual(told, [{ sequences: [{ tokenIds: [7] }] }]);
    controller.abort();
    assert.deepEqual(withdrawn, []);
    assert.equal(clock.alarms.size, 0);
  });

  it("are all rejected together", async () => {
    const { add, open } = make();
    const answers = [add().answer, add().answer];
    open.rejectAll(new GptError("engine_failed", "it failed"));
    for (const answer of answers) await assert.rejects(answer, { code: "engine_failed" });
    assert.equal(open.requests.length, 0);
  });
});
