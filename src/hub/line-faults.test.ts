// Connections and servers that fail. Whatever happens, either the right file appears under its name, or there is an error
// message and no file. Waits take no time in these tests; only their lengths are compared.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeHub, type FakeHubOptions, type Fault } from "../../test/support/fake-hub.ts";
import { fakeRepository, modelContents, sha256 } from "../../test/support/fake-repository.ts";
import { HubUser, type HubUserOptions } from "../../test/support/hub-user.ts";

const SIZE = 200_000;
const WEIGHTS = modelContents(SIZE)["model.safetensors"] as Buffer;

interface Scene {
  readonly hub: FakeHub;
  readonly user: HubUser;
}

async function scene(
  context: TestContext,
  faults: readonly Fault[],
  options: HubUserOptions = {},
  hubOptions: FakeHubOptions = {},
): Promise<Scene> {
  const hub = await FakeHub.start([fakeRepository("owner/model", modelContents(SIZE))], hubOptions, context);
  hub.fail(...faults);
  return { hub, user: new HubUser(context, hub.endpoint, options) };
}

const ranges = (hub: FakeHub): (string | undefined)[] =>
  hub.log.filter(({ place }) => place === "cdn").map(({ headers }) => headers.range);

/** The model is complete, its weights are right, and no partial files are left. */
async function assertPulled({ user }: Scene): Promise<void> {
  const { directory } = await user.pull("owner/model");
  assert.equal(sha256(readFileSync(join(directory, "model.safetensors"))), sha256(WEIGHTS));
  assertClean(user);
}

/** Every blob has the hash that is its name, and the folder holds nothing else. */
function assertClean(user: HubUser): void {
  const blobs = join(user.cache, "models--owner--model", "blobs");
  for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
    assert.match(name, /^([0-9a-f]{40}|[0-9a-f]{64})$/);
    if (name.length === 64) assert.equal(sha256(readFileSync(join(blobs, name))), name);
  }
}

async function assertRefused({ user }: Scene, code: string, message: RegExp): Promise<void> {
  await assert.rejects(user.pull("owner/model"), { code, message });
  assertClean(user);
  assert.ok(!existsSync(join(user.cache, "models--owner--model", "refs")), "no reference");
}

test("a line that is cut again and again goes on from the byte reached, and bytes begin the count anew", async (context) => {
  const cuts = [50_000, 50_001, 120_000, 120_000, 120_000, 120_000, 120_000, 199_999];
  const scene_ = await scene(
    context,
    cuts.map((cutAt) => ({ on: "cdn", body: { cutAt } })),
  );
  await assertPulled(scene_);
  assert.deepEqual(ranges(scene_.hub), [undefined, ...cuts.map((cutAt) => `bytes=${cutAt}-`)]);
  assert.deepEqual(scene_.user.waits, [1000, 1000, 1000, 2000, 4000, 8000, 8000, 1000]);
  assert.deepEqual(scene_.user.notices, []);
});

test("cut at random bytes, small files too, the model arrives whole", async (context) => {
  for (let seed = 1; seed <= 10; seed++) {
    const at = (n: number): number => Math.floor((((seed * 7919 + n * 104_729) % 1000) / 1000) * SIZE);
    const scene_ = await scene(context, [
      { on: "api", isCut: true },
      { on: "resolve", file: "config.json", body: { resetAt: seed } },
      { on: "cdn", body: { resetAt: at(1) } },
      { on: "cdn", body: { cutAt: at(2) } },
      { on: "cdn", body: { endAt: at(3) } },
      { on: "cdn", body: { cutAt: at(4), ignoreRange: true } },
    ]);
    await assertPulled(scene_);
  }
});

test("an answer that ends too early, in good order, is continued", async (context) => {
  const scene_ = await scene(context, [{ on: "cdn", body: { endAt: 70_000 } }]);
  await assertPulled(scene_);
  assert.deepEqual(ranges(scene_.hub), [undefined, "bytes=70000-"]);
});

test("a server without ranges is begun anew and told of once, and does not count as progress for ever", async (context) => {
  const cut: Fault = { on: "cdn", times: 3, body: { cutAt: 100_000, ignoreRange: true } };
  const scene_ = await scene(context, [cut, { on: "cdn", body: { ignoreRange: true } }]);
  await assertPulled(scene_);
  assert.deepEqual(scene_.user.notices, [
    `${new URL(scene_.hub.cdn).host} cannot resume model.safetensors; starting over`,
  ]);
  const endless = await scene(context, [{ ...cut, times: Number.POSITIVE_INFINITY }]);
  await assert.rejects(endless.user.pull("owner/model"), {
    code: "hub_unreachable",
    message: /tried 6 times$/,
  });
  assert.equal(ranges(endless.hub).length, 6);
});

test("another part than was asked for is refused once, then with the header that came", async (context) => {
  const cut: Fault = { on: "cdn", body: { cutAt: 100_000 } };
  for (const contentRange of ["bytes 5-199999/200000", "bytes 100000-199999/200001", "bytes */200000"]) {
    const scene_ = await scene(context, [cut, { on: "cdn", body: { contentRange } }]);
    await assertPulled(scene_);
    assert.deepEqual(ranges(scene_.hub), [undefined, "bytes=100000-", undefined]);
    const again = await scene(context, [
      cut,
      { on: "cdn", body: { contentRange } },
      cut,
      { on: "cdn", body: { contentRange } },
    ]);
    await assert.rejects(again.user.pull("owner/model"), {
      code: "hub_unreachable",
      message: new RegExp(
        `does not answer like a hub \\(Content-Range: ${contentRange.replace("*", "\\*")} for`,
      ),
    });
  }
});

test("a damaged file is fetched twice, and kept never", async (context) => {
  const flipped: Fault = { on: "cdn", body: { flipBit: true } };
  const scene_ = await scene(context, [flipped]);
  await assertPulled(scene_);
  assert.deepEqual(scene_.user.notices, ["model.safetensors arrived damaged; starting over"]);
  await assertRefused(
    await scene(context, [{ ...flipped, times: 2 }]),
    "download_failed",
    /^model\.safetensors of owner\/model has the hash [0-9a-f]{64}, expected [0-9a-f]{64}, twice; .*; nothing was kept$/,
  );
  await assertRefused(
    await scene(context, [{ on: "resolve", file: "config.json", times: 9, body: { flipBit: true } }]),
    "download_failed",
    /^config\.json of owner\/model has the hash [0-9a-f]{40}, expected/,
  );
});

test("a body longer than promised is another file", async (context) => {
  const longer: Fault = { on: "cdn", body: { extraBytes: 5 } };
  await assertPulled(await scene(context, [longer]));
  await assertRefused(
    await scene(context, [{ ...longer, times: 2 }]),
    "download_failed",
    /has more than its 200000 bytes, twice/,
  );
});

test("silence before and in an answer ends in time, and is tried six times", async (context) => {
  const stall: Fault = { on: "cdn", body: { stallAt: 100_000 } };
  const scene_ = await scene(context, [{ on: "api", isSilent: true }, stall, stall], {
    environment: { connectTimeoutMs: 200, headersTimeoutMs: 200, silenceTimeoutMs: 300 },
  });
  await assertPulled(scene_);
  assert.deepEqual(ranges(scene_.hub), [undefined, "bytes=100000-", "bytes=100000-"]);
  const cases = [
    {
      fault: { on: "api", times: 9, isSilent: true },
      environment: { connectTimeoutMs: 20, headersTimeoutMs: 20 },
      cause: "no answer in time",
    },
    {
      fault: { ...stall, times: 9 },
      environment: { silenceTimeoutMs: 30 },
      cause: "silence in the middle of an answer",
    },
  ] as const;
  for (const { fault, environment, cause } of cases) {
    const mute = await scene(context, [fault], { environment });
    await assert.rejects(mute.user.pull("owner/model"), {
      code: "hub_unreachable",
      message: new RegExp(`^cannot reach (localhost|127\\.0\\.0\\.1):\\d+: ${cause}; tried 6 times$`),
    });
  }
});

test("a line that brings next to nothing for minutes is given up", async (context) => {
  let arrived: () => void = () => {};
  const beforePiece = (): Promise<void> =>
    new Promise((resolve) => {
      arrived = resolve;
    });
  const scene_ = await scene(context, [{ on: "cdn", body: { pieces: 1000, beforePiece } }]);
  scene_.user.onBytes = () => {
    scene_.user.aheadMs += 20_000;
    setImmediate(arrived);
  };
  await assert.rejects(scene_.user.pull("owner/model"), {
    code: "hub_unreachable",
    message: /is too slow: less than 30000 bytes of model\.safetensors in 300 s$/,
  });
});

test("a port where nobody listens is tried for 23 seconds", async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const refused = new HubUser(context, `http://127.0.0.1:${port}`);
  await assert.rejects(refused.pull("owner/model"), {
    code: "hub_unreachable",
    message: `cannot reach 127.0.0.1:${port}: the connection is refused; tried 6 times`,
  });
  assert.deepEqual(refused.waits, [1000, 2000, 4000, 8000, 8000]);
});

test("what lies in the cache and is longer than the file, or than the hub's, is begun anew", async (context) => {
  const scene_ = await scene(context, [
    { on: "cdn", body: { cutAt: 100_000 } },
    { on: "cdn", answer: { status: 416 } },
  ]);
  await assertPulled(scene_);
  assert.deepEqual(scene_.user.notices, [
    "the partial model.safetensors is longer than the file; starting over",
  ]);
  const twice = await scene(context, [
    { on: "cdn", body: { cutAt: 100_000 } },
    { on: "cdn", answer: { status: 416 } },
    { on: "cdn", body: { cutAt: 100_000 } },
    { on: "cdn", answer: { status: 416 } },
  ]);
  await assert.rejects(twice.user.pull("owner/model"), {
    code: "hub_refused",
    message: /HTTP 416, ""; tried 2 times$/,
  });
});
