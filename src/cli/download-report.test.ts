import assert from "node:assert/strict";
import { test } from "node:test";
import type { HubEvent } from "../hub/hub-event.ts";
import { DownloadReport } from "./download-report.ts";

const label = "owner/name at 607a30d7";
const size = 100_000_000;
const begin: HubEvent = { kind: "begin", label, numFiles: 8, bytes: 151_000_000, numPresent: 3 };
const end: HubEvent = { kind: "end", label, size };
const at = (bytes: number): HubEvent => ({
  kind: "progress",
  label,
  file: "model.safetensors",
  fileBytes: bytes,
  fileSize: size,
  bytes,
  size,
});

interface Watcher {
  readonly isTTY?: boolean;
  readonly env?: Record<string, string>;
  readonly isQuiet?: boolean;
}

/** What is written when each event arrives at its given second. */
function reportOf(events: readonly (readonly [second: number, event: HubEvent])[], watcher: Watcher = {}) {
  const { isTTY = false, env = {}, isQuiet = false } = watcher;
  const lines: string[] = [];
  const drawn: string[] = [];
  let now = 0;
  const stream = { isTTY, columns: 100, write: (text: string) => drawn.push(text) };
  const line = (text: string): void => void lines.push(text);
  const report = new DownloadReport({ line, stream, env, isQuiet, now: () => now });
  for (const [second, event] of events) {
    now = 1000 * second;
    report.onEvent(event);
  }
  return { lines, drawn };
}

const FIRST = `${label}: 8 files, 151 MB, 3 already here`;

test("a log gets few lines: the first, one per tenth at least ten seconds apart, at least one a minute, and the last", () => {
  const slow = [5, 10, 12, 15, 21, 29, 35].map((second) => [second, at(second * 1e6)] as const);
  const { lines, drawn } = reportOf([[0, begin], ...slow, [40, at(95e6)], [41, end]]);
  assert.deepEqual(lines, [
    FIRST,
    `${label}: 10 %, 10 of 100 MB, 1.0 MB/s, 2 min left`,
    `${label}: 21 %, 21 of 100 MB, 1.0 MB/s, 79 s left`,
    `${label}: 35 %, 35 of 100 MB, 1.0 MB/s, 65 s left`,
    `${label} is complete, 100 MB fetched in 41 s`,
  ]);
  assert.deepEqual(drawn, []);
  const minutes = reportOf([
    [0, begin],
    [59, at(1e6)],
    [60, at(1.5e6)],
    [119, at(2e6)],
    [120, at(2.1e6)],
  ]);
  assert.deepEqual(
    minutes.lines.slice(1).map((text) => text.split(", ")[0]),
    [`${label}: 1 %`, `${label}: 2 %`],
  );
});

test("a terminal gets one progress line with rate and time left, which is removed before lines that stay", () => {
  const events = [
    [0, begin],
    [1, at(10e6)],
    [3, at(30e6)],
    [3.5, { kind: "notice", text: "waiting" }],
    [10, end],
  ] as const;
  const { lines, drawn } = reportOf(events, { isTTY: true });
  assert.deepEqual(lines, [FIRST, "waiting", `${label} is complete, 100 MB fetched in 10 s`]);
  assert.deepEqual(drawn, [
    "\r\x1b[Kmodel.safetensors   10 %   10 of 100 MB",
    "\r\x1b[Kmodel.safetensors   30 %   30 of 100 MB   10.0 MB/s   7 s left",
    "\r\x1b[K",
  ]);
  assert.deepEqual(reportOf(events, { isTTY: true, env: { TERM: "dumb" } }).drawn, []);
});

test("in quiet mode only the first line, the last line and notices are written", () => {
  const events = [
    [0, begin],
    [20, at(50e6)],
    [90, { kind: "notice", text: "waiting" }],
    [91, end],
  ] as const;
  for (const isTTY of [false, true]) {
    const { lines, drawn } = reportOf(events, { isTTY, isQuiet: true });
    assert.deepEqual(lines, [FIRST, "waiting", `${label} is complete, 100 MB fetched in 91 s`]);
    assert.deepEqual(drawn, []);
  }
});

test("the rate is that of the last seconds, and a download that begins again has none yet", () => {
  const events = [
    [0, begin],
    [1, at(50e6)],
    [2, at(51e6)],
    [7, at(56e6)],
    [8, at(1e6)],
    [8.2, at(1.1e6)],
  ] as const;
  const { drawn } = reportOf(events, { isTTY: true });
  assert.match(drawn[2] ?? "", / {3}1\.0 MB\/s {3}44 s left$/);
  assert.match(drawn[3] ?? "", /1 of 100 MB$/);
  const long =
    reportOf(
      [
        [0, begin],
        [1, at(0)],
        [5, at(20_000)],
      ],
      { isTTY: true },
    ).drawn.at(-1) ?? "";
  assert.match(long, /0\.0 MB\/s {3}5\.6 h left$/);
});

test("the wording is right for one file, for no file present, and for nothing to fetch", () => {
  const one: HubEvent = { ...begin, numFiles: 1, numPresent: 0, bytes: 1000 };
  assert.deepEqual(
    reportOf([
      [0, one],
      [0, { ...end, size: 0 }],
    ]).lines,
    [`${label}: 1 file, 0.001 MB`, `${label} is complete`],
  );
});
