// Partial files: who owns one, which are taken over, and what is left on the disk.
import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { seededBytes, sha256 } from "../../test/support/fake-repository.ts";
import { abandonedBytes, LostFile, ownPartialFiles, PartialFile, tidy } from "./partial-file.ts";
import { WORLD, type World } from "./world.ts";

const CONTENT = seededBytes(1000, 1);
const FILE = { name: "x", size: 1000, etag: sha256(CONTENT) };

function scene(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const clock = { aheadMs: 0 };
  const world: World = { ...WORLD, now: () => Date.now() + clock.aheadMs };
  const left = (name: string, content: Buffer, ageMs: number): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    const seconds = (Date.now() - ageMs) / 1000;
    utimesSync(path, seconds, seconds);
    return path;
  };
  return { folder, clock, world, left, claim: () => PartialFile.claim(folder, FILE, world) };
}

const named = (digits: string): string => `${FILE.etag}.gpt2api-${digits}.incomplete`;

test("what is begun has a name of its own, and is whole when its hash is right", async (context) => {
  const { folder, claim } = scene(context);
  const [one, two] = [await claim(), await claim()];
  assert.notEqual(one.path, two.path);
  assert.match(one.path, /[0-9a-f]{64}\.gpt2api-[0-9a-f]{8}\.incomplete$/);
  await one.write(CONTENT.subarray(0, 600));
  await two.write(CONTENT);
  await one.write(CONTENT.subarray(600));
  assert.deepEqual([one.digest(), two.digest(), one.length], [FILE.etag, FILE.etag, 1000]);
  await one.finish();
  assert.deepEqual(readFileSync(one.path), CONTENT);
  await two.discard();
  assert.equal(readdirSync(folder).length, 1);
});

test("the longest that has been still for a minute is taken over, hashed and continued", async (context) => {
  const { folder, left, claim } = scene(context);
  left(named("00000001"), CONTENT.subarray(0, 100), 61_000);
  left(named("00000002"), CONTENT.subarray(0, 700), 61_000);
  left(named("00000003"), CONTENT.subarray(0, 900), 59_000);
  const others = [
    `${FILE.etag}.incomplete`,
    `${FILE.etag}.0123abcd.incomplete`,
    named("0000000g"),
    `${"a".repeat(64)}.gpt2api-00000001.incomplete`,
  ];
  for (const name of others) left(name, CONTENT, 999_000);
  assert.equal(await abandonedBytes(folder, FILE.etag, Date.now()), 700);
  const partial = await claim();
  assert.equal(partial.length, 700);
  assert.ok(!readdirSync(folder).includes(named("00000002")));
  // Under its new name the file does not look abandoned.
  assert.ok(Date.now() - statSync(partial.path).mtimeMs < 30_000);
  await partial.write(CONTENT.subarray(700));
  assert.equal(partial.digest(), FILE.etag);
  await partial.discard();
  await tidy(folder, [FILE.etag], Date.now());
  assert.deepEqual(readdirSync(folder).sort(), [...others, named("00000003")].sort());
  assert.equal((await ownPartialFiles(folder)).length, 2);
});

test("what nobody came back for in a day goes, whatever it was", async (context) => {
  const { folder, left } = scene(context);
  const other = `${"b".repeat(40)}.gpt2api-00000001.incomplete`;
  left(other, CONTENT, 86_000_000);
  await tidy(folder, [FILE.etag], Date.now());
  assert.deepEqual(readdirSync(folder), [other]);
  await tidy(folder, [], Date.now() + 1_000_000);
  assert.deepEqual(readdirSync(folder), []);
});

test("what is longer than the file is no beginning of it", async (context) => {
  const { left, claim } = scene(context);
  left(named("00000001"), Buffer.concat([CONTENT, CONTENT]), 61_000);
  const partial = await claim();
  assert.equal(partial.length, 0);
  assert.equal(statSync(partial.path).size, 0);
  await partial.write(CONTENT);
  assert.equal(partial.digest(), FILE.etag);
  await partial.leave();
});

test("who leaves it need not wait to take it again, and who discards it leaves nothing", async (context) => {
  const { folder, claim } = scene(context);
  const partial = await claim();
  await partial.write(CONTENT.subarray(0, 10));
  await partial.leave();
  const again = await claim();
  assert.equal(again.length, 10);
  await again.restart();
  assert.equal(statSync(again.path).size, 0);
  await again.discard();
  assert.deepEqual(readdirSync(folder), []);
});

test("after a pause that was long enough for others to take it, its owner looks before it writes", async (context) => {
  const { folder, clock, claim } = scene(context);
  const partial = await claim();
  await partial.write(CONTENT.subarray(0, 10));
  clock.aheadMs += 61_000;
  await partial.write(CONTENT.subarray(10, 20));
  renameSync(partial.path, join(folder, named("00000009")));
  // Within a minute nobody may take the file over, so ownership is not checked.
  await partial.write(CONTENT.subarray(20, 30));
  clock.aheadMs += 61_000;
  await assert.rejects(partial.write(CONTENT.subarray(30)), LostFile);
  await assert.rejects(partial.finish(), LostFile);
  assert.equal(statSync(join(folder, named("00000009"))).size, 30);
  await partial.leave();
});

test("a pause that its timer noticed stays in doubt until its owner has looked, though the clock is set back", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const { folder, clock, claim } = scene(context);
  const partial = await claim();
  await partial.write(CONTENT.subarray(0, 10));
  clock.aheadMs = 61_000;
  context.mock.timers.tick(20_000);
  clock.aheadMs = 0;
  await partial.write(CONTENT.subarray(10, 20)); // It was still there: the doubt is over.
  const other = join(folder, named("00000009"));
  renameSync(partial.path, other);
  await partial.write(CONTENT.subarray(20, 30));
  clock.aheadMs = 61_000;
  context.mock.timers.tick(20_000);
  clock.aheadMs = 0;
  await assert.rejects(partial.write(CONTENT.subarray(30)), LostFile);
  assert.equal(statSync(other).size, 30);
  await partial.leave();
});

test("a file that took the name of what is open is somebody else's", async (context) => {
  const { folder, claim } = scene(context);
  const partial = await claim();
  await partial.write(CONTENT.subarray(0, 10));
  renameSync(partial.path, join(folder, named("00000009")));
  writeFileSync(partial.path, "theirs");
  await assert.rejects(partial.finish(), LostFile);
  await partial.leave();
  assert.equal(readFileSync(partial.path, "utf8"), "theirs");
});

test("two that find the same file do not both get it", async (context) => {
  const { left, claim } = scene(context);
  left(named("00000001"), CONTENT.subarray(0, 500), 61_000);
  const claimed = await Promise.all([claim(), claim(), claim(), claim()]);
  assert.deepEqual(claimed.map(({ length }) => length).sort(), [0, 0, 0, 500]);
  assert.equal(new Set(claimed.map(({ path }) => path)).size, 4);
  for (const partial of claimed) await partial.discard();
});
