// Reloads of models on disk while callers send requests, from the signal to the release of the old model's memory.
import assert from "node:assert/strict";
import { cpSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { joinedParts } from "../../test/support/event-stream.ts";
import { FakeHub } from "../../test/support/fake-hub.ts";
import { addCommit, directoryContents, fakeRepository } from "../../test/support/fake-repository.ts";
import { HubUser } from "../../test/support/hub-user.ts";
import { deferred } from "../../test/support/sockets.ts";
import { findModel } from "../generator/find-model.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { MemoryBudget, PROCESS_BYTES } from "../machine/memory-budget.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import { createApp } from "./doors/runtime.ts";
import { Models, type ModelsOptions } from "./models.ts";

const TOKENIZER = join(packageRoot(), "test", "fixtures", "tokenizer", "small");
const MIB = 2 ** 20;
const SEEDS = { a: 3, b: 4 } as const;

/** Two checkpoints with different weights and tokenizers, and a link to one of them. */
function aPlace(context: TestContext) {
  const temporary = temporaryDirectory();
  context.after(() => temporary.remove());
  for (const [name, seed] of Object.entries(SEEDS)) {
    const options = { seed, V: 300, P: 128, config: { eos_token_id: null } };
    const directory = writeCheckpoint(join(temporary.path, name), options);
    cpSync(TOKENIZER, directory, { recursive: true });
  }
  // The same tokens with other ids, so that every text is wrong if the wrong tokenizer decodes it.
  const file = join(temporary.path, "b", "tokenizer.json");
  const json = JSON.parse(readFileSync(file, "utf8"));
  const ids = Object.entries(json.model.vocab as Record<string, number>);
  json.model.vocab = Object.fromEntries(ids.map(([token, id]) => [token, id === 299 ? id : 298 - id]));
  writeFileSync(file, JSON.stringify(json));
  const link = join(temporary.path, "current");
  const point = (name: string): void => {
    symlinkSync(join(temporary.path, name), `${link}.new`);
    renameSync(`${link}.new`, link);
  };
  point("a");
  return { link, point, path: temporary.path };
}

function served(
  context: TestContext,
  model: string,
  settings: Partial<Settings> = {},
  options: Partial<ModelsOptions> = {},
) {
  const told: string[] = [];
  const all = {
    ...DEFAULT_SETTINGS,
    auth: "none",
    precision: "f32",
    threads: 1,
    kvCacheMb: 1,
    ...settings,
  } as const;
  const models = new Models(all, [{ name: "gpt-2", model }], {
    env: {},
    findModel: (name) => findModel(name, () => assert.fail("no hub is asked")),
    onProblem: (message) => told.push(message),
    onReloaded: (message) => told.push(message),
    ...options,
  });
  context.after(() => models.close());
  const app = createApp({
    generators: models.sources,
    settings: all,
    keys: { keyPair: () => undefined, apiKey: () => undefined },
  });
  return { models, app, told };
}

type App = ReturnType<typeof createApp>;

const ENDPOINT = "/endpoints/gpt-2";
/** One request of each kind. The parts of an answer that depend on the model are compared. */
const REQUESTS: Readonly<Record<string, (app: App) => Promise<unknown>>> = {
  async whole(app) {
    const payload = { input: "Hello world", max_length: 40, seed: 7, logprobs: 2 };
    const answer = await app.inject({ method: "POST", url: `${ENDPOINT}/invocations`, payload });
    return [answer.statusCode, answer.json()];
  },
  async streamed(app) {
    const payload = { input: "Hello world, hello", max_length: 120, seed: 5 };
    const url = `${ENDPOINT}/invocations-response-stream`;
    const answer = await app.inject({ method: "POST", url, payload });
    return [answer.statusCode, joinedParts(answer.rawPayload)];
  },
  async openAi(app) {
    const payload = { prompt: ["Hello", "world"], max_tokens: 20, temperature: 0, logprobs: 3, seed: 1 };
    const answer = await app.inject({ method: "POST", url: `${ENDPOINT}/openai/v1/completions`, payload });
    return [answer.statusCode, answer.json().choices];
  },
  async tokens(app) {
    const payload = { prompt: "Hello world" };
    const answer = await app.inject({ method: "POST", url: `${ENDPOINT}/openai/tokenize`, payload });
    return [answer.statusCode, answer.json()];
  },
};

const ask = async (app: App, kind: string): Promise<string> => JSON.stringify(await REQUESTS[kind]?.(app));

/** The correct answers, from one model alone. */
async function rightAnswers(context: TestContext, model: string): Promise<Map<string, string>> {
  const { models, app } = served(context, model);
  await models.ready();
  const answers = new Map<string, string>();
  for (const kind of Object.keys(REQUESTS)) answers.set(kind, await ask(app, kind));
  await models.close();
  return answers;
}

test("ten reloads lose no request, and every answer comes from exactly one of the two models", {
  timeout: 120_000,
}, async (context) => {
  const { link, point, path } = aPlace(context);
  const right = await Promise.all(["a", "b"].map((name) => rightAnswers(context, join(path, name))));
  for (const kind of Object.keys(REQUESTS)) assert.notEqual(right[0]?.get(kind), right[1]?.get(kind), kind);
  let [engines, ended] = [0, 0];
  const count = (worker: { once(event: "exit", then: () => void): void }): void => {
    engines += 1;
    worker.once("exit", () => {
      ended += 1;
    });
  };
  process.on("worker", count);
  context.after(() => process.off("worker", count));
  const { models, app, told } = served(context, link);
  await models.ready();
  let isOver = false;
  const seen = new Set<string>();
  const crowd = Object.keys(REQUESTS).flatMap((kind) =>
    Array.from({ length: 3 }, async () => {
      while (!isOver) {
        const answer = await ask(app, kind);
        const whose = right.findIndex((answers) => answers.get(kind) === answer);
        assert.ok(whose >= 0, `${kind}: ${answer}`);
        seen.add(`${kind} ${whose}`);
      }
    }),
  );
  for (let reload = 1; reload <= 10; reload++) {
    point(reload % 2 === 1 ? "b" : "a");
    const [outcome] = await models.reload();
    assert.equal(outcome?.result, "replaced", outcome?.message);
    // New requests are answered by the new model.
    assert.equal(await ask(app, "tokens"), right[reload % 2]?.get("tokens"));
  }
  isOver = true;
  await Promise.all(crowd);
  assert.equal(seen.size, 2 * Object.keys(REQUESTS).length);
  assert.equal(told.length, 10);
  assert.equal((await models.reload())[0]?.result, "unchanged");
  assert.equal(engines, 11);
  while (ended < 10) await new Promise((resolve) => setImmediate(resolve));
  await models.close();
  assert.equal(ended, 11);
});

test("a fingerprint and a list of models are those of the model that serves", async (context) => {
  const { link, point } = aPlace(context);
  const { models, app } = served(context, link);
  await models.ready();
  const fingerprint = async (): Promise<unknown> => {
    while (models.byEndpoint().get("gpt-2")?.fingerprint === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const answer = await app.inject({ method: "GET", url: "/v1/models" });
    return [models.byEndpoint().get("gpt-2")?.fingerprint, answer.json().data];
  };
  const first = await fingerprint();
  point("b");
  await models.reload();
  const second = await fingerprint();
  assert.notDeepEqual(second, first);
  point("a");
  await models.reload();
  assert.deepEqual(((await fingerprint()) as unknown[])[0], (first as unknown[])[0]);
});

test("a broken checkpoint, or files that change while they are read, leave the old model serving", async (context) => {
  const { link, point, path } = aPlace(context);
  const { models, app, told } = served(context, link);
  await models.ready();
  const before = await ask(app, "whole");
  cpSync(join(path, "b"), join(path, "cut"), { recursive: true });
  truncateSync(join(path, "cut", "model.safetensors"), 1000);
  point("cut");
  const [outcome] = await models.reload();
  assert.equal(outcome?.result, "failed");
  assert.match(told.at(-1) ?? "", /^reload failed: .*model\.safetensors.*; the old one serves on$/);
  assert.equal(await ask(app, "whole"), before);
  rmSync(join(path, "cut"), { recursive: true });
  assert.match((await models.reload())[0]?.message ?? "", /there is no such directory/);
  assert.equal(await ask(app, "whole"), before);
});

test("a model without memory beside the old one is refused with both sizes, or loaded in its place", async (context) => {
  const { link, point, path } = aPlace(context);
  // Each model needs a few MiB: there is memory for one, but not for two.
  const memory = () => new MemoryBudget({ bytes: PROCESS_BYTES.busy + 40 * MIB, file: undefined });
  const isFree = (budget: MemoryBudget): boolean =>
    budget.refusalBeside({ name: "", precision: "f32", least: 40 * MIB, full: 40 * MIB }) === undefined;
  const settings = { kvCacheMb: 24 };
  const first = memory();
  const refusing = served(context, link, settings, { memory: first });
  await refusing.models.ready();
  point("b");
  const [refused] = await refusing.models.reload();
  assert.equal(refused?.result, "refused");
  assert.match(
    refused?.message ?? "",
    /^current has no room beside current: together they may need \d+ MiB, and there is this machine's memory of 168 MiB; --reload-in-place/,
  );
  assert.ok(!isFree(first));
  await refusing.models.close();
  assert.ok(isFree(first));
  point("a");
  const right = await rightAnswers(context, join(path, "b"));
  const second = memory();
  const inPlace = served(context, link, { ...settings, reloadInPlace: true }, { memory: second });
  await inPlace.models.ready();
  for (const name of ["b", "a", "b"]) {
    point(name);
    assert.equal((await inPlace.models.reload())[0]?.result, "replaced");
  }
  assert.equal(await ask(inPlace.app, "whole"), right.get("whole"));
  await inPlace.models.close();
  assert.ok(isFree(second));
});

test("reloads requested during a reload become one, which reads the files as they are then", async (context) => {
  const { link, point } = aPlace(context);
  let { promise: hold, release } = deferred();
  release();
  let finds = 0;
  const { models } = served(
    context,
    link,
    {},
    {
      findModel: async (name) => {
        finds += 1;
        await hold;
        return findModel(name, () => assert.fail("no hub is asked"));
      },
    },
  );
  await models.ready();
  ({ promise: hold, release } = deferred());
  const first = models.reload();
  while (finds < 2) await new Promise((resolve) => setImmediate(resolve));
  point("b");
  const others = [models.reload(), models.reload("gpt-2"), models.reload()];
  assert.deepEqual(await models.reload("nowhere"), []);
  release();
  assert.equal((await first)[0]?.result, "replaced");
  for (const other of others) assert.equal((await other)[0]?.result, "unchanged");
  assert.equal(finds, 3);
});

test("a stop ends running and waiting reloads at once", async (context) => {
  const { link } = aPlace(context);
  let finds = 0;
  const { models, told } = served(
    context,
    link,
    {},
    {
      findModel: async (name) => {
        if (finds++ > 0) await new Promise(() => {});
        return findModel(name, () => assert.fail("no hub is asked"));
      },
    },
  );
  await models.ready();
  const first = models.reload();
  while (finds < 2) await new Promise((resolve) => setImmediate(resolve));
  const second = models.reload();
  models.stopReloads();
  for (const each of [first, second]) {
    assert.deepEqual((await each)[0], {
      endpoints: ["gpt-2"],
      model: link,
      result: "failed",
      message: `${link}: the server stops`,
    });
  }
  assert.equal(finds, 2);
  await models.close();
  assert.deepEqual(told, []);
});

test("--watch-model reloads files that have changed and are no longer written, and reports once if they are gone", async (context) => {
  const { link, point } = aPlace(context);
  const { models, told } = served(context, link);
  await models.ready();
  const looks = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) await models.look(false);
    return told.length;
  };
  assert.equal(await looks(3), 0);
  point("b");
  assert.deepEqual([await looks(1), await looks(1), await looks(2)], [0, 1, 1]);
  assert.match(told[0] ?? "", /: current serves now$/);
  rmSync(link);
  assert.equal(await looks(3), 2);
  assert.match(told[1] ?? "", /^--watch-model cannot look at .*current: .*there is no such directory/);
  point("a");
  assert.equal(await looks(3), 3);
});

test("--watch-model follows a cached revision that moves, and asks the hub with one small request", async (context) => {
  const { path } = aPlace(context);
  const repository = fakeRepository("owner/model", directoryContents(join(path, "a")));
  const hub = await FakeHub.start([repository], {}, context);
  const user = new HubUser(context, hub.endpoint);
  const isOnline = { now: true };
  const { models, told } = served(
    context,
    "owner/model",
    {},
    {
      findModel: (name, signal, _onFetched, freshness) => {
        const { environment, world } = user;
        const asked = isOnline.now ? environment : { ...environment, offline: "a test" };
        return findModel(name, () => ({ environment: asked, world, signal }), freshness);
      },
    },
  );
  await models.ready();
  const looks = async (asksHub: boolean): Promise<number> => {
    const before = hub.log.length;
    await models.look(asksHub);
    return hub.log.length - before;
  };
  assert.deepEqual([await looks(false), await looks(true)], [0, 1]);
  addCommit(repository, "main", directoryContents(join(path, "b")));
  assert.deepEqual([await looks(false), await looks(false)], [0, 0]);
  isOnline.now = false;
  assert.deepEqual([await looks(true), told.length], [0, 0]);
  isOnline.now = true;
  assert.ok((await looks(true)) > 1);
  assert.deepEqual([await looks(false), await looks(false)], [0, 0]);
  assert.deepEqual(
    told.map((text) => /owner\/model at [0-9a-f]{8} serves now$/.test(text)),
    [true],
  );
  // Another program updates the revision in the cache.
  addCommit(repository, "main", directoryContents(join(path, "a")));
  await user.pull("owner/model");
  assert.deepEqual([await looks(false), await looks(false), told.length], [0, 0, 2]);
});
