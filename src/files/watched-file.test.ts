import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs, { mkdirSync, renameSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { aFile } from "../../test/support/changing-file.ts";
import { WatchedFile, type WithoutFile } from "./watched-file.ts";

const KEPT = "the last good content";
const ENDING = { content: "nothing", graceMs: 30_000 } as const;

/** A watched file that takes any text but "bad", on a clock that the test moves. */
function watched(context: TestContext, withoutFile: WithoutFile<string>, isSecret = true) {
  const file = aFile(context, "file");
  const clock = { ms: 5000 };
  const told: string[] = [];
  let parses = 0;
  const open = () =>
    new WatchedFile<string>({
      path: file.path,
      flag: "--a-file",
      parse(text) {
        parses++;
        if (text.startsWith("bad")) throw new Error("it is bad");
        return text;
      },
      withoutFile,
      isSecret,
      onProblem: (message) => told.push(message.replace(file.path, "PATH")),
      elapsed: () => clock.ms,
    });
  return { ...file, clock, told, open, parses: () => parses };
}

/** Makes a call of node:fs fail, or do something else first. */
function meddle(context: TestContext, name: "readFileSync" | "openSync", what: () => void) {
  const original = fs[name] as (...args: unknown[]) => unknown;
  const mock = context.mock.method(fs, name, (...args: unknown[]) => {
    what();
    return original(...args);
  });
  syncBuiltinESMExports();
  return () => {
    mock.mock.restore();
    syncBuiltinESMExports();
  };
}

test("a change counts at once, written in place or put in place", (context) => {
  const { write, replace, open, told } = watched(context, ENDING);
  write("one");
  const file = open();
  assert.equal(file.content, "one");
  write("two");
  assert.equal(file.content, "two");
  replace("tri");
  assert.equal(file.content, "tri");
  assert.deepEqual(told, []);
});

test("a file that cannot be used from the start is refused by flag and path", (context) => {
  const { path, write, remove, open } = watched(context, ENDING);
  const refused = (reason: string) => ({
    code: "invalid_config",
    message: `--a-file ${path} cannot be used: ${reason}`,
  });
  assert.throws(open, refused("it is not there"));
  write("bad");
  assert.throws(open, refused("it is bad"));
  truncateSync(path, 2 ** 24 + 1);
  assert.throws(open, refused("it has 16777217 bytes, and may have 16777216"));
  remove();
  mkdirSync(path);
  assert.throws(open, refused("it is not a regular file"));
  remove();
  execFileSync("mkfifo", [path]);
  assert.throws(open, refused("it is not a regular file"));
  assert.throws(() => watchedAt(join(dirname(path), "file", "below")).content, /is not there/);
});

function watchedAt(path: string) {
  return new WatchedFile({
    path,
    flag: "--a-file",
    parse: (text) => text,
    withoutFile: KEPT,
    isSecret: false,
    onProblem: () => {},
  });
}

test("unusable content: the last good one counts for its time, then what stands in for it", (context) => {
  const { write, open, clock } = watched(context, ENDING);
  write("one");
  const file = open();
  write("bad");
  assert.equal(file.content, "one");
  clock.ms += ENDING.graceMs - 1;
  assert.deepEqual([file.content, file.state.isRevoked, file.state.isUrgent], ["one", false, true]);
  write("bad, and written again");
  assert.equal(file.content, "one");
  clock.ms += 1;
  assert.deepEqual([file.content, file.state.isRevoked], ["nothing", true]);
  write("two");
  assert.equal(file.content, "two");
  assert.equal(file.state.problem, undefined);
});

test("a file that is gone counts at once, and nothing but good content brings it back", (context) => {
  const { path, write, remove, open } = watched(context, ENDING);
  write("one");
  const file = open();
  remove();
  assert.equal(file.content, "nothing");
  write("bad");
  assert.equal(file.content, "nothing");
  remove();
  mkdirSync(path);
  assert.equal(file.content, "nothing");
  remove();
  write("one");
  assert.equal(file.content, "one");
});

test("a file that is gone after it could not be used is gone", (context) => {
  const { write, remove, open } = watched(context, ENDING);
  write("one");
  const file = open();
  write("bad");
  assert.equal(file.content, "one");
  remove();
  assert.equal(file.content, "nothing");
});

test("what lets nobody in stays as it was last", (context) => {
  const { write, remove, open, clock, told } = watched(context, KEPT);
  write("one");
  const file = open();
  write("bad");
  clock.ms += 1e9;
  assert.equal(file.content, "one");
  remove();
  assert.equal(file.content, "one");
  assert.deepEqual([file.state.isUrgent, file.state.isRevoked], [false, false]);
  assert.match(
    told[0] ?? "",
    /^--a-file PATH cannot be used: it is bad; its last good content stays in force$/,
  );
});

test("a file that could not be read once is read again, though it has not changed", (context) => {
  const { write, open } = watched(context, ENDING);
  write("one");
  const file = open();
  write("two");
  const restore = meddle(context, "readFileSync", () => {
    throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  });
  assert.equal(file.content, "one");
  assert.equal(file.state.problem, "it cannot be read (EIO)");
  restore();
  assert.equal(file.content, "two");
});

test("a file that is replaced while it is read is read again", (context) => {
  const { write, replace, open, clock } = watched(context, ENDING);
  write("one");
  const file = open();
  clock.ms += 10_000;
  assert.equal(file.content, "one");
  write("two");
  let replaced = false;
  // Between the look at its times and its opening, and again right after that.
  const restore = meddle(context, "openSync", () => {
    if (replaced) return;
    replaced = true;
    replace("tri");
  });
  assert.equal(file.content, "tri");
  restore();
  replace("for");
  assert.equal(file.content, "for");
});

test("two contents with the same times and size are told apart while they may still be written", (context) => {
  const { path, open, clock } = watched(context, ENDING);
  writeFileSync(path, "one", { mode: 0o600 });
  utimesSync(path, 1, 1);
  const frozen = statSync(path);
  const mock = context.mock.method(fs, "statSync", () => frozen);
  syncBuiltinESMExports();
  const file = open();
  writeFileSync(path, "two");
  assert.equal(file.content, "two");
  clock.ms += 1999;
  writeFileSync(path, "tri");
  assert.equal(file.content, "tri");
  clock.ms += 1000; // The first look after the time reads once more.
  writeFileSync(path, "for");
  assert.equal(file.content, "for");
  mock.mock.restore();
  syncBuiltinESMExports();
});

test("a file that has not changed is not read once it is settled, and never parsed again", (context) => {
  const { write, open, clock, parses } = watched(context, ENDING);
  write("one");
  const file = open();
  let reads = 0;
  const restore = meddle(context, "readFileSync", () => reads++);
  for (let i = 0; i < 3; i++) file.check();
  assert.deepEqual([reads, parses()], [3, 1]);
  clock.ms += 2000;
  for (let i = 0; i < 3; i++) file.check();
  assert.deepEqual([reads, parses()], [4, 1]);
  write("bad");
  for (let i = 0; i < 3; i++) file.check();
  assert.deepEqual([reads, parses()], [7, 2]);
  restore();
});

test("a problem is told at once, again after a minute, and with what it has come to mean", (context) => {
  const { write, remove, open, clock, told } = watched(context, ENDING);
  write("one");
  const file = open();
  write("bad");
  for (let i = 0; i < 5; i++) file.check();
  assert.deepEqual(told.splice(0), [
    "--a-file PATH cannot be used: it is bad; its last good content stays in force for 30 seconds",
  ]);
  clock.ms += 30_000;
  for (let i = 0; i < 5; i++) file.check();
  const revoked =
    "--a-file PATH cannot be used: it is bad; nothing that stood in it is valid until it can be used";
  assert.deepEqual(told.splice(0), [revoked]);
  clock.ms += 59_999;
  file.check();
  assert.deepEqual(told, []);
  clock.ms += 1;
  for (let i = 0; i < 5; i++) file.check();
  assert.deepEqual(told.splice(0), [revoked]);
  remove();
  file.check();
  assert.match(
    told.splice(0).join(),
    /^--a-file PATH cannot be used: it is not there; nothing that stood in it is valid/,
  );
  write("two");
  file.check();
  assert.deepEqual(told, ["--a-file PATH can be used again"]);
});

test("others who may read a secret or write what is trusted are told of", {
  skip: process.platform === "win32",
}, (context) => {
  const cases: [mode: number, isSecret: boolean, words: RegExp | undefined][] = [
    [0o600, true, undefined],
    [0o400, true, undefined],
    [0o640, true, /others may read it \(mode 0640\); `chmod go-rwx` makes it safe$/],
    [0o604, true, /others may read it \(mode 0604\)/],
    [0o666, true, /others may read and write it \(mode 0666\)/],
    [0o620, true, /others may write it \(mode 0620\)/],
    [0o644, false, undefined],
    [0o664, false, /others may write it \(mode 0664\); `chmod go-w` makes it safe$/],
    [0o602, false, /others may write it/],
  ];
  for (const [mode, isSecret, words] of cases) {
    const { write, setMode, open, told } = watched(context, ENDING, isSecret);
    write("one");
    setMode(mode);
    const file = open();
    file.check();
    if (words === undefined) assert.deepEqual(told, [], mode.toString(8));
    else {
      assert.equal(told.length, 1);
      assert.match(told[0] ?? "", words);
    }
    assert.equal(file.content, "one");
  }
});

test("a link may be turned to another file", (context) => {
  const { path, write, open } = watched(context, ENDING);
  write("one");
  const folder = dirname(path);
  renameSync(path, join(folder, "first"));
  writeFileSync(join(folder, "second"), "two", { mode: 0o600 });
  fs.symlinkSync("first", path);
  const file = open();
  assert.equal(file.content, "one");
  fs.symlinkSync("second", join(folder, "new"));
  renameSync(join(folder, "new"), path);
  assert.equal(file.content, "two");
});
