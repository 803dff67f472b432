import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory } from "../../../test/support/checkpoints.ts";
import { someDecoding } from "../../../test/support/inline-engine.ts";
import { FATAL_TOKEN, startMortalEngine } from "../../../test/support/mortal-engine.ts";
import type { GptError } from "../../errors.ts";
import type { EngineThread } from "./worker-engine.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const LIMIT = { timeout: 60_000 };
const short = someDecoding({ maxLength: 8 });
/** A request of thousands of rows. It cannot finish before a message has gone to the thread and back. */
const long = someDecoding({
  maxLength: 1024,
  numReturnSequences: 8,
  search: { kind: "sample", temperature: 1, topK: 0, topP: 1 },
});

/** Starts an engine that records its deaths. */
async function start(name: string) {
  const fatal: GptError[] = [];
  const restarted: GptError[] = [];
  const onDeath = (error: GptError, isFatal: boolean): void => void (isFatal ? fatal : restarted).push(error);
  return { ...(await startMortalEngine(join(directory.path, name), { onDeath })), fatal, restarted };
}

/** Ends a thread as if it had crashed. */
function kill(thread: EngineThread | undefined): Promise<unknown> {
  assert.ok(thread, "there is no such thread");
  return thread.worker.terminate();
}

describe("an engine thread", () => {
  it(
    "that dies fails its open requests, and its successor answers those that come meanwhile",
    LIMIT,
    async () => {
      const { engine, threads, fatal } = await start("restart");
      const { hypotheses } = await engine.submit([1, 2, 3], short);
      const open = [engine.submit([4], long), engine.submit([5], long)];
      const ended = Promise.allSettled(open);
      await kill(threads[0]);
      for (const result of await ended) {
        assert.equal(result.status, "rejected");
        assert.equal(result.reason.code, "engine_failed");
        assert.match(result.reason.message, /thread (of the engine )?ended/);
      }
      assert.equal(engine.health, "restarting");
      assert.deepEqual((await engine.submit([1, 2, 3], short)).hypotheses, hypotheses);
      assert.equal(engine.health, "ready");
      assert.equal(engine.stats().restarts, 1);
      assert.equal(threads.length, 2);
      assert.deepEqual(fatal, []);
      await engine.close();
    },
  );

  it("that dies a second time is not replaced, and the caller is told once", LIMIT, async () => {
    const { engine, threads, fatal, restarted } = await start("fatal");
    await kill(threads[0]);
    await engine.submit([1], short);
    const { steps } = engine.stats();
    const open = assert.rejects(engine.submit([1], long), { code: "engine_failed" });
    await kill(threads[1]);
    await open;
    assert.equal(engine.health, "failed");
    assert.ok(engine.stats().steps >= steps, "the counts went back");
    assert.equal(threads.length, 2);
    assert.deepEqual(
      [restarted, fatal].map((deaths) => deaths.map(({ code }) => code)),
      [["engine_failed"], ["engine_failed"]],
    );
    await assert.rejects(engine.submit([1], short), { code: "engine_failed" });
    await engine.close();
  });

  it("whose helper thread dies counts as dead and does not wait for it", LIMIT, async () => {
    const { engine, threads } = await start("helper");
    await engine.submit([1], short); // An answer proves that the helper thread runs.
    await assert.rejects(engine.submit([FATAL_TOKEN], long), {
      code: "engine_failed",
      message: /a helper thread of the engine ended/,
    });
    const { hypotheses } = await engine.submit([1, 2], short);
    assert.equal(hypotheses[0]?.tokenIds.length, 8);
    assert.equal(engine.health, "ready");
    assert.equal(threads.length, 2);
    await engine.close();
  });

  it("whose helper thread dies before the model is loaded does not start", LIMIT, async () => {
    const message = "a helper thread of the engine ended";
    await assert.rejects(startMortalEngine(join(directory.path, "stillborn"), { stillbornFrom: 0 }), {
      code: "engine_failed",
      message,
    });
    const fatal: GptError[] = [];
    const { engine, threads } = await startMortalEngine(join(directory.path, "stillborn successor"), {
      stillbornFrom: 1,
      onDeath: (error, isFatal) => void (isFatal && fatal.push(error)),
    });
    await kill(threads[0]);
    await assert.rejects(engine.submit([1], short), { code: "engine_failed", message });
    assert.equal(engine.health, "failed");
    assert.deepEqual(
      fatal.map((error) => error.message),
      [message],
    );
    await engine.close();
  });

  it("can be closed at any time", LIMIT, async () => {
    const idle = await start("idle");
    await idle.engine.close();
    await assert.rejects(idle.engine.submit([1], short), { code: "cancelled" });
    const busy = await start("busy");
    const open = assert.rejects(busy.engine.submit([1], long), { code: "cancelled" });
    await busy.engine.close();
    await open;
    const dying = await start("dying");
    const ended = kill(dying.threads[0]);
    await Promise.all([dying.engine.close(), ended]);
    assert.equal(dying.threads.length, 1);
    assert.deepEqual(dying.fatal, []);
    const restarting = await start("restarting");
    await restarting.engine.submit([1], short);
    await assert.rejects(restarting.engine.submit([FATAL_TOKEN], long), { code: "engine_failed" });
    await restarting.engine.close();
    assert.deepEqual(restarting.fatal, []);
  });
});

describe("a request in the engine thread", () => {
  it("that is aborted gives its pages back, and the others go on", LIMIT, async () => {
    const { engine } = await start("abort");
    assert.ok(engine.stats().pagesTotal > 0);
    const controller = new AbortController();
    const aborted = assert.rejects(engine.submit([1, 2], long, { signal: controller.signal }), {
      code: "cancelled",
    });
    const other = engine.submit([3], someDecoding({ maxLength: 100 }));
    await engine.submit([9], short);
    assert.ok(engine.stats().pagesInUse > 0);
    controller.abort();
    await aborted;
    assert.equal((await other).hypotheses[0]?.tokenIds.length, 100);
    await engine.submit([9], short);
    const { pagesInUse, requestsRunning, requestsWaiting } = engine.stats();
    assert.deepEqual(
      { pagesInUse, requestsRunning, requestsWaiting },
      {
        pagesInUse: 0,
        requestsRunning: 0,
        requestsWaiting: 0,
      },
    );
    await engine.close();
  });

  it("that is not finished in time is given up, and its pages come home", LIMIT, async () => {
    const deadlines: { ms: number; expire: () => void }[] = [];
    const clock = {
      now: () => 0,
      after: (ms: number, expire: () => void) => {
        deadlines.push({ ms, expire });
        return () => {};
      },
    };
    const options = { clock, requestDeadlineMs: 55_000 };
    const { engine } = await startMortalEngine(join(directory.path, "deadline"), options);
    let pagesWhileRunning = 0;
    const late = engine.submit([1, 2], long, {
      onTokens: () => {
        pagesWhileRunning = engine.stats().pagesInUse;
        deadlines[0]?.expire();
      },
    });
    await assert.rejects(late, {
      code: "timed_out",
      message: /the request was not finished within 55000 milliseconds/,
    });
    assert.equal(deadlines[0]?.ms, 55_000);
    assert.ok(pagesWhileRunning > 0);
    await engine.submit([9], short);
    assert.equal(engine.stats().pagesInUse, 0);
    deadlines[0]?.expire(); // The request is done, so its deadline must have no effect.
    await engine.submit([9], short);
    await engine.close();
  });

  it("is timed and counted", LIMIT, async () => {
    const { engine } = await start("timing");
    const before = engine.stats();
    const { timing } = await engine.submit([1, 2, 3], short);
    assert.ok(timing.queueMs >= 0 && timing.firstTokenMs >= timing.queueMs);
    assert.ok(timing.totalMs >= timing.firstTokenMs);
    const { steps, tokensComputed, lastBatchRows, busySeconds, tokensPerSecond } = engine.stats();
    assert.equal(steps - before.steps, 5); // The pass of the prompt gives the first of the five new tokens.
    assert.equal(tokensComputed - before.tokensComputed, 3 + 4);
    assert.equal(lastBatchRows, 1);
    assert.ok(busySeconds > 0 && busySeconds * 1000 <= timing.totalMs);
    assert.ok(tokensPerSecond > 0);
    const waiting = engine.submit([1, 2, 3], short);
    const { waitingTokens, waitingSeconds } = engine.stats();
    assert.ok(waitingTokens > 3);
    assert.equal(waitingSeconds, waitingTokens / tokensPerSecond);
    await waiting;
    assert.equal(engine.stats().waitingSeconds, 0);
    await engine.close();
  });

  it("is refused when it could never run", LIMIT, async () => {
    const { engine } = await start("refused");
    const search = { kind: "beam", numBeams: 64, lengthPenalty: 1, earlyStopping: false } as const;
    const wide = someDecoding({ maxLength: 1024, search });
    await assert.rejects(engine.submit([1], wide), { code: "request_too_large" });
    assert.equal(engine.stats().requestsWaiting, 0);
    await engine.close();
  });
});
