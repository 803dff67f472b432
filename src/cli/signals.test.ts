// What signals do, tested on a fake process, and the end of a real one whose threads wait inside the operating system.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "../../test/support/checkpoints.ts";
import { type Host, Signals } from "./signals.ts";

/** A fake process that records how it would end. */
class FakeProcess extends EventEmitter {
  readonly pid: number;
  readonly ends: string[] = [];
  resources: string[] = [];

  constructor(pid: number) {
    super();
    this.pid = pid;
  }

  kill(pid: number, signal: string): true {
    assert.deepEqual([pid, this.listenerCount(signal)], [this.pid, 0]);
    this.ends.push(signal);
    return true;
  }

  exit(code: number): never {
    this.ends.push(`exit ${code}`);
    return undefined as never;
  }

  abort(): never {
    this.ends.push("abort");
    return undefined as never;
  }

  getActiveResourcesInfo(): string[] {
    return this.resources;
  }
}

function fakes(pid: number) {
  const fake = new FakeProcess(pid);
  return { fake, signals: new Signals(fake as unknown as Host) };
}

const someTurns = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("before a server runs, signals have their default action; process 1, which gets none, exits itself", async () => {
  const { fake: ordinary } = fakes(1234);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) assert.equal(ordinary.listenerCount(signal), 0);
  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const) {
    const { fake: first } = fakes(1);
    first.emit(signal);
    await someTurns();
    assert.deepEqual(first.ends, [`exit ${code}`]);
  }
});

test("a server stops in order at the first signal and ends at once at the second, SIGTERM or SIGINT", async () => {
  for (const [pid, end] of [
    [1234, "SIGINT"],
    [1, "exit 130"],
  ] as const) {
    const { fake, signals } = fakes(pid);
    const stopped = signals.stopped();
    fake.emit("SIGTERM");
    await stopped;
    await someTurns();
    assert.deepEqual(fake.ends, []);
    fake.emit("SIGINT");
    await someTurns();
    assert.deepEqual(fake.ends, [end]);
  }
});

test("the first signal aborts interruptible work in order, and then ends the process", async () => {
  for (const [pid, end, second] of [
    [1234, "SIGINT", "SIGTERM"],
    [1, "exit 130", "exit 143"],
  ] as const) {
    const { fake, signals } = fakes(pid);
    const interrupted = signals.whileInterruptible(async (signal) => {
      fake.emit("SIGINT");
      assert.deepEqual([signal.aborted, fake.ends], [true, []]);
      signal.throwIfAborted();
    });
    await assert.rejects(interrupted, /interrupted by SIGINT/);
    assert.deepEqual(fake.ends, [end]);
    const stubborn = fakes(pid);
    await stubborn.signals.whileInterruptible(async () => {
      stubborn.fake.emit("SIGINT");
      stubborn.fake.emit("SIGTERM");
    });
    assert.deepEqual(stubborn.fake.ends, [second]);
    const { fake: calm, signals: own } = fakes(pid);
    assert.equal(await own.whileInterruptible(async () => 5), 5);
    const failed = own.whileInterruptible(() => Promise.reject(new Error("by itself")));
    await assert.rejects(failed, /by itself/);
    assert.deepEqual([calm.ends, calm.listenerCount("SIGINT")], [[], pid === 1 ? 1 : 0]);
  }
});

test("SIGHUP only reloads", () => {
  const { fake, signals } = fakes(1234);
  let reloads = 0;
  signals.onReload(() => reloads++);
  fake.emit("SIGHUP");
  fake.emit("SIGHUP");
  assert.deepEqual([reloads, fake.ends], [2, []]);
});

test("the process ends with its exit code if all threads can be ended", async () => {
  const { fake, signals } = fakes(1234);
  const worker = Object.assign(new EventEmitter(), {
    terminated: 0,
    terminate: async () => ++worker.terminated,
  });
  const gone = Object.assign(new EventEmitter(), { terminate: () => assert.fail("it ended by itself") });
  fake.emit("worker", worker);
  fake.emit("worker", gone);
  gone.emit("exit");
  await signals.end(3);
  assert.deepEqual([fake.ends, worker.terminated], [["exit 3"], 1]);
});

test("the process ends by a signal if a thread cannot be ended, or Node waits inside the system", async () => {
  const stuck = Object.assign(new EventEmitter(), { terminate: () => new Promise(() => {}) });
  const cases = [
    { pid: 1234, code: 0, end: "SIGTERM" },
    { pid: 1234, code: 1, end: "SIGKILL" },
    { pid: 1, code: 0, end: "abort" },
  ];
  for (const { pid, code, end } of cases) {
    const { fake, signals } = fakes(pid);
    fake.emit("worker", stuck);
    await signals.end(code);
    assert.deepEqual(fake.ends, [end]);
    const other = fakes(pid);
    other.fake.resources = ["Timeout", "FSReqPromise"];
    await other.signals.end(code);
    assert.deepEqual(other.fake.ends, [end]);
  }
});

test("a real process ends while a thread, or Node itself, waits for a disk that does not answer", {
  timeout: 20_000,
}, async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const pipe = join(directory.path, "pipe");
  if (spawnSync("mkfifo", [pipe]).status !== 0) return; // A system without named pipes.
  const open = `(await import("node:fs")).openSync(${JSON.stringify(pipe)})`;
  const waits = {
    thread: `const { Worker } = await import("node:worker_threads");
      new Worker(${JSON.stringify(`(async () => ${open})()`)}, { eval: true }).once("online", end);`,
    node: `(await import("node:fs")).promises.open(${JSON.stringify(pipe)}); setImmediate(end);`,
  };
  for (const [what, wait] of Object.entries(waits)) {
    const script = `
      import { signals } from ${JSON.stringify(new URL("./signals.js", import.meta.url).href)};
      const end = () => setTimeout(() => signals.end(0), 100);
      ${wait}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
    context.after(() => child.kill("SIGKILL"));
    assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"], what);
  }
});
