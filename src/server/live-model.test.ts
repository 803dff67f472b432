import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { temporaryDirectory } from "../../test/support/checkpoints.ts";
import { FakeGenerator } from "../../test/support/fake-generator.ts";
import { deferred } from "../../test/support/sockets.ts";
import { GptError } from "../errors.ts";
import type { FoundModel } from "../generator/find-model.ts";
import { LiveModel, type LiveModelOptions, type OnDeath } from "./live-model.ts";

class ClosableGenerator extends FakeGenerator {
  closings = 0;
  /** `close` waits for this. */
  closed: Promise<void> = Promise.resolve();

  override async close(): Promise<void> {
    this.closings += 1;
    this.cancel();
    await this.closed;
  }
}

/** A model with fake generators. Its directory is a link to the last state that the test put there. */
async function aModel(context: TestContext, options: Partial<LiveModelOptions> = {}) {
  const temporary = temporaryDirectory();
  context.after(() => temporary.remove());
  const link = join(temporary.path, "current");
  const put = (state: string): void => {
    const directory = join(temporary.path, state);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.json"), state);
    rmSync(`${link}.new`, { force: true });
    symlinkSync(directory, `${link}.new`);
    renameSync(`${link}.new`, link);
  };
  put("one");
  const loaded: ClosableGenerator[] = [];
  const names: string[] = [];
  const deaths: string[] = [];
  const ends: OnDeath[] = [];
  const find = async (): Promise<FoundModel> => ({ directory: link, name: "model" });
  const live = new LiveModel({
    model: "./current",
    find,
    load: async ({ directory }, onDeath) => {
      const generator = new ClosableGenerator();
      names.push(directory.slice(temporary.path.length + 1));
      loaded.push(generator);
      ends.push(onDeath);
      return generator;
    },
    check: async () => {},
    refusal: () => undefined,
    isInPlace: false,
    lingerMs: 60_000,
    onDeath: (_name, { message }, isFatal) => deaths.push(`${message} ${isFatal}`),
    ...options,
  });
  await live.start(await find());
  const at = (index: number): ClosableGenerator => loaded[index] as ClosableGenerator;
  return { live, put, loaded, names, deaths, ends, at, path: temporary.path };
}

const aTurn = () => new Promise((resolve) => setImmediate(resolve));

test("requests stay with the generator that they began with, which is closed after the last of them", async (context) => {
  const { live, put, at, names } = await aModel(context);
  const [first, second] = [live.hold(), live.hold()];
  assert.equal(first?.generator, at(0));
  put("two");
  assert.deepEqual(await live.reload(), {
    model: "./current",
    result: "replaced",
    message: "./current: model serves now",
  });
  assert.deepEqual(names, ["one", "two"]);
  assert.equal(live.present, at(1));
  assert.equal(live.hold()?.generator, at(1));
  first?.release();
  first?.release(); // A second release has no effect.
  await aTurn();
  assert.equal(at(0).closings, 0);
  second?.release();
  await aTurn();
  assert.deepEqual([at(0).closings, at(1).closings], [1, 0]);
});

test("an old generator is closed when its time is over, even with open requests", async (context) => {
  const { live, put, at } = await aModel(context, { lingerMs: 5000 });
  const held = live.hold();
  put("two");
  context.mock.timers.enable({ apis: ["setTimeout"] });
  await live.reload();
  context.mock.timers.tick(4999);
  await aTurn();
  assert.equal(at(0).closings, 0);
  context.mock.timers.tick(1);
  await aTurn();
  assert.equal(at(0).closings, 1);
  held?.release();
  await aTurn();
  assert.equal(at(0).closings, 1);
});

test("closed, it waits for no request that lingers on an old generator", async (context) => {
  const { live, put, at } = await aModel(context);
  live.hold();
  put("two");
  await live.reload();
  await live.close();
  assert.deepEqual([at(0).closings, at(1).closings], [1, 1]);
});

test("a reload waits until the last old generator is closed: never are three in memory", async (context) => {
  const { live, put, at, loaded } = await aModel(context);
  const { promise: closed, release: endClosing } = deferred();
  at(0).closed = closed;
  const held = live.hold();
  put("two");
  await live.reload();
  put("three");
  const reload = live.reload();
  held?.release();
  for (let i = 0; i < 10; i++) await aTurn();
  assert.equal(loaded.length, 2);
  endClosing();
  assert.equal((await reload).result, "replaced");
  assert.equal(loaded.length, 3);
});

test("unchanged files are not loaded again; files that cannot be loaded leave the old model and are reported", async (context) => {
  let failure: Error | undefined;
  const loaded = new ClosableGenerator();
  const { live, put } = await aModel(context, {
    load: async () => {
      if (failure) throw failure;
      return loaded;
    },
  });
  assert.equal((await live.reload()).result, "unchanged");
  put("two");
  failure = new GptError("invalid_checkpoint", "model.safetensors is cut off");
  const outcome = await live.reload();
  assert.deepEqual(
    [outcome.result, outcome.message],
    ["failed", "./current: model.safetensors is cut off; the old one serves on"],
  );
  assert.deepEqual([live.present, live.problem, live.reloadNote], [loaded, outcome.message, outcome.message]);
  failure = undefined;
  assert.equal((await live.reload()).result, "replaced");
  assert.deepEqual([live.problem, live.reloadNote], [undefined, undefined]);
  assert.deepEqual(live.outcomes, { replaced: 1, unchanged: 1, refused: 0, failed: 1 });
});

test("without memory beside the old one a reload is refused, or closes the old one first if that is allowed", async (context) => {
  const refusal = () => "new has no room beside old: 9 MiB of 8 MiB";
  const { live, put, at } = await aModel(context, { refusal });
  put("two");
  const { result, message } = await live.reload();
  assert.deepEqual(
    [result, message],
    ["refused", "new has no room beside old: 9 MiB of 8 MiB; --reload-in-place ends the old one first"],
  );
  assert.equal(live.present, at(0));

  const order: string[] = [];
  const other = await aModel(context, {
    refusal,
    isInPlace: true,
    check: async ({ directory }) => void order.push(`check ${directory.slice(-3)}`),
  });
  const held = other.live.hold();
  other.put("two");
  const reload = other.live.reload();
  while (other.live.present !== undefined) await aTurn();
  assert.deepEqual(order, ["check two"]);
  assert.deepEqual([other.live.hold(), other.loaded.length], [undefined, 1]);
  assert.equal(other.live.reloadNote, "a new checkpoint is being loaded");
  held?.release();
  assert.equal((await reload).result, "replaced");
  assert.deepEqual([other.at(0).closings, other.live.present], [1, other.at(1)]);
});

test("in place, a checkpoint that fails its check closes nothing; if it fails later, the old files are loaded again", async (context) => {
  const broken = new GptError("invalid_checkpoint", "broken");
  const common = { refusal: () => "no room", isInPlace: true };
  const checked = await aModel(context, { ...common, check: () => Promise.reject(broken) });
  checked.put("two");
  assert.equal((await checked.live.reload()).result, "failed");
  assert.deepEqual([checked.live.present, checked.at(0).closings], [checked.at(0), 0]);

  const names: string[] = [];
  const load = async ({ directory }: FoundModel): Promise<ClosableGenerator> => {
    names.push(directory.slice(-3));
    if (directory.endsWith("two")) throw broken;
    return new ClosableGenerator();
  };
  const late = await aModel(context, { ...common, load });
  late.put("two");
  assert.match((await late.live.reload()).message, /: broken; the old one serves on$/);
  assert.deepEqual(names, ["one", "two", "one"]);
  assert.notEqual(late.live.present, undefined);
  late.put("two");
  rmSync(join(late.path, "one"), { recursive: true });
  assert.match((await late.live.reload()).message, /: broken; no model serves$/);
  assert.equal(late.live.present, undefined);
  assert.match(late.live.reloadNote ?? "", /no model serves/);
});

test("files count as changed if two looks see the same state, and not again after they could not be loaded", async (context) => {
  let failure: Error | undefined;
  const { live, put, path } = await aModel(context, {
    load: async () => {
      if (failure) throw failure;
      return new ClosableGenerator();
    },
  });
  const looks = async (count: number): Promise<boolean[]> => {
    const seen: boolean[] = [];
    for (let i = 0; i < count; i++) seen.push(await live.isOutdated("here"));
    return seen;
  };
  assert.deepEqual(await looks(3), [false, false, false]);
  put("two");
  assert.deepEqual(await looks(1), [false]);
  writeFileSync(join(path, "two", "model.safetensors"), "half");
  assert.deepEqual(await looks(2), [false, true]);
  utimesSync(join(path, "two", "model.safetensors"), 1, 1);
  assert.deepEqual(await looks(2), [false, true]);
  failure = new Error("broken");
  await live.reload();
  assert.deepEqual(await looks(2), [false, false]);
  failure = undefined;
  writeFileSync(join(path, "two", "model.safetensors"), "whole");
  assert.deepEqual(await looks(2), [false, true]);
  await live.reload();
  assert.deepEqual(await looks(2), [false, false]);
  failure = new Error("broken");
  put("three");
  assert.deepEqual(await looks(2), [false, true]);
  await live.reload();
  // The files that serve are back.
  rmSync(join(path, "current"));
  symlinkSync(join(path, "two"), join(path, "current"));
  assert.deepEqual(await looks(2), [false, true]);
  assert.equal((await live.reload()).result, "unchanged");
  assert.equal(live.problem, undefined);
});

test("the death of a serving engine is reported; a retired one just ends with its requests", async (context) => {
  const { live, put, at, ends, deaths } = await aModel(context);
  const error = new GptError("engine_failed", "it ended");
  ends[0]?.(error, false);
  assert.deepEqual(deaths, ["it ended false"]);
  live.hold();
  put("two");
  await live.reload();
  ends[0]?.(error, true);
  await aTurn();
  assert.equal(at(0).closings, 1);
  assert.equal(deaths.length, 1);
  ends[1]?.(error, true);
  assert.deepEqual(deaths, ["it ended false", "it ended true"]);
});

test("its counts only grow, whichever generator serves", async (context) => {
  const { live, put, at } = await aModel(context);
  const numbers = { ...at(0).stats(), tokensGenerated: 5, restarts: 1, requestsRunning: 2 };
  at(0).stats = () => numbers;
  const held = live.hold();
  put("two");
  await live.reload();
  at(1).stats = () => ({ ...numbers, tokensGenerated: 30, restarts: 0, pagesInUse: 7 });
  const counts = () => {
    const { tokensGenerated, restarts, requestsRunning, pagesInUse } = live.stats();
    return [tokensGenerated, restarts, requestsRunning, pagesInUse];
  };
  assert.deepEqual(counts(), [35, 1, 4, 7]);
  at(0).stats = () => ({ ...numbers, requestsRunning: 0 });
  held?.release();
  await aTurn();
  assert.deepEqual(counts(), [35, 1, 2, 7]);
});

test("closed during a reload, it closes the new generator too and does not serve it", async (context) => {
  const { promise: hold, release } = deferred();
  const late = new ClosableGenerator();
  let loads = 0;
  const { live, put } = await aModel(context, {
    load: async () => {
      if (loads++ === 0) return new ClosableGenerator();
      await hold;
      return late;
    },
  });
  put("two");
  const before = live.present;
  const reload = live.reload();
  while (loads < 2) await aTurn();
  await live.close();
  release();
  assert.match((await reload).message, /the server stops/);
  assert.deepEqual([late.closings, live.present], [1, before]);
});
