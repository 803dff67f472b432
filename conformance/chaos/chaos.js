// Honest clients measure their latency, alone and then beside hostile clients of every kind, over HTTP and over HTTPS. Checked are:
// the honest clients' p99 latency is at most twice that of the time alone; each of their requests is answered once, with the same text;
// memory stays below a limit that follows from the settings; afterwards the server is idle and ready; and it stops in time while
// everything runs again.
//
// About the factor of two: hostile callers with a key get a fair share of the processor like everybody else, so part of the longer wait
// is the share of five more keys. To meet the limit an operator sets limits for each key, as FLAGS does. Honest callers keep their
// connections, because new ones are refused while `--connections-max` are open. Hostile callers run in a thread with a low priority, and
// the server computes with one thread, so that the load generator disturbs the measurement little. It needs two idle cores or more.
//
// On two idle cores a minute of it showed 1.9 times over HTTP, and 2.1 to 2.6 times over HTTPS, where handshakes compete with the
// engine for the cores. So CI, whose machine may be busy, allows 4 times.
//
// `node conformance/chaos/chaos.js [--minutes 6] [--seed 1] [--tries 1] [--wait-ratio-max 2]` takes about that many minutes. Build first. With `--tries`, a
// transport runs again if only its waits were too long: something else may have used the processor.
// @ts-check
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { percentile } from "../../bench/support/stats.js";
import { callerOf, emptyTally, honestClient } from "./honest.js";
import { HOSTILE_KEYS, startAttack } from "./hostile.js";
import { keyOf, startTarget } from "./target.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
    tries: { type: "string", default: "1" },
    "wait-ratio-max": { type: "string", default: "2" },
  },
});
const HONEST = Array.from({ length: 12 }, (_, i) => `honest${i}`);
const WAIT_RATIO_MAX = Number(values["wait-ratio-max"]);
/** How much longer than its time limit a stop may take. */
const STOP_GRACE_MS = 1000;
const DRAIN_MS = 3000;
const FLAGS = [
  "--drain-timeout-ms",
  String(DRAIN_MS),
  "--headers-timeout-ms",
  "5000",
  "--request-timeout-ms",
  "10000",
  "--key-requests-max",
  "2",
  "--connections-max",
  "640",
  "--threads",
  "1",
];
/** Time for starting, warming up, becoming idle and stopping. */
const OVERHEAD_MS = 12_000;
/** Shares of the time for each transport: alone, and under attack, which is longer so that rare waits show. */
const PHASE_MS = Math.max(5000, (Number(values.minutes) * 60_000) / 2 - OVERHEAD_MS);
const ALONE_SHARE = 0.35;
const IDLE_TIMEOUT_MS = 10_000;
const MIB = 2 ** 20;
/** Memory of a connection besides bodies and answers: buffers of Node and of TLS. */
const CONNECTION_BYTES = 200_000;
/** The factor from live memory to memory with garbage that V8 has not collected yet. */
const GARBAGE = 2;

/** Metrics that are all 0 when the server is idle. */
const IDLE_METRICS = ["gpt2_requests_waiting", "gpt2_requests_running", "gpt2_kv_pages_in_use"];

const results = [];
for (const isTls of [false, true]) {
  let found = await run(isTls);
  for (let tries = Number(values.tries); tries > 1 && isSlowOnly(found); tries--) found = await run(isTls);
  results.push(...found);
}
for (const [check, holds] of results) process.stdout.write(`${holds ? "ok    " : "FAILED"} ${check}\n`);
const numFailed = results.filter(([, holds]) => !holds).length;
process.stdout.write(`${results.length - numFailed} passed, ${numFailed} failed\n`);
process.exit(numFailed === 0 ? 0 : 1);

/** Whether the first check, that of the waits, is the only one that does not hold. @param {[string, boolean][]} found */
function isSlowOnly([[, isQuick], ...others]) {
  return !isQuick && others.every(([, holds]) => holds);
}

/**
 * The check of the waits comes first.
 * @param {boolean} isTls
 * @returns {Promise<[check: string, holds: boolean][]>}
 */
async function run(isTls) {
  const transport = isTls ? "HTTPS" : "HTTP";
  const target = await startTarget({ isTls, keyNames: [...HONEST, ...HOSTILE_KEYS], flags: FLAGS });
  const callers = HONEST.map((name) => callerOf(isTls, keyOf(name)));
  await honestLoad(target, callers, 2000); // Warms up code and pages.
  const alone = await honestLoad(target, callers, PHASE_MS * ALONE_SHARE);
  const restingMb = target.residentMb();
  const watch = watchMemory(target);
  const attack = startAttack(target, Number(values.seed));
  const attacked = await honestLoad(target, callers, PHASE_MS * (1 - ALONE_SHARE));
  const rounds = await attack.stop();
  const peakMb = watch.stop();
  const boundMb = restingMb + memoryBoundMb(target.settings);
  const isIdle = await becomesIdle(target);
  const lastAttack = startAttack(target, Number(values.seed) + 1);
  await pause(1500); // Until hostile connections of all kinds are open.
  const stop = await target.stop();
  await lastAttack.stop();
  for (const { agent } of callers) agent.destroy();
  const [p99Alone, p99] = [alone, attacked].map(({ waits }) =>
    percentile(waits.length ? waits : [Infinity], 0.99),
  );
  const ratio = Number(p99) / Number(p99Alone);
  process.stdout.write(
    `${transport}: honest p99 ${p99Alone?.toFixed(0)} ms alone (${alone.answered} requests), ${p99?.toFixed(0)} ms beside ` +
      `hostile ones (${attacked.answered}); memory ${restingMb.toFixed(0)} MB, at most ${peakMb.toFixed(0)} MB; ` +
      `hostile rounds ${JSON.stringify(rounds)}\n`,
  );
  const wrong = { ...alone.wrong, ...attacked.wrong };
  return [
    [
      `${transport}: honest p99 is ${ratio.toFixed(2)} times its value alone, at most ${WAIT_RATIO_MAX}`,
      ratio <= WAIT_RATIO_MAX,
    ],
    [
      `${transport}: every honest request was answered once, with the same text ${JSON.stringify(wrong)}`,
      Object.keys(wrong).length === 0 && attacked.answered === attacked.sent && attacked.answered > 0,
    ],
    [
      `${transport}: memory ${peakMb.toFixed(0)} MB, at most ${boundMb.toFixed(0)} MB by the settings`,
      peakMb <= boundMb,
    ],
    [`${transport}: afterwards no request is left, all pages are home, and the server is ready`, isIdle],
    [
      `${transport}: stopped with ${stop.code} after ${stop.ms.toFixed(0)} ms, at most ${DRAIN_MS + STOP_GRACE_MS}`,
      stop.code === 0 && stop.ms <= DRAIN_MS + STOP_GRACE_MS,
    ],
  ];
}

/**
 * @param {import("./target.js").Target} target
 * @param {readonly import("./honest.js").Caller[]} callers
 * @param {number} ms
 */
async function honestLoad(target, callers, ms) {
  const tally = emptyTally();
  const over = new AbortController();
  const clients = callers.map((caller, i) => honestClient(target, caller, i, over.signal, tally));
  await pause(ms);
  over.abort();
  await Promise.all(clients);
  return tally;
}

/**
 * Whether the server becomes idle and ready within some time.
 * @param {import("./target.js").Target} target
 */
async function becomesIdle(target) {
  const until = performance.now() + IDLE_TIMEOUT_MS;
  while (performance.now() < until) {
    const left = await Promise.all(IDLE_METRICS.map((name) => target.metric(name)));
    if (left.every((value) => value === 0) && (await target.isReady())) return true;
    await pause(100);
  }
  return false;
}

/** @param {import("./target.js").Target} target */
function watchMemory(target) {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, target.residentMb());
  }, 100);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

/**
 * How much memory all callers together may add to that of an idle server.
 * @param {Record<string, any>} settings
 */
function memoryBoundMb(settings) {
  const bodies = settings["bodies-bytes-max"] + settings["refused-bytes-max"];
  const connections = settings["connections-max"] * CONNECTION_BYTES;
  const numKeys = HONEST.length + HOSTILE_KEYS.length;
  const unread = numKeys * settings["key-requests-max"] * settings["unread-bytes-max"];
  // The system allocates pages of keys and values only when they are used.
  const keysAndValues = settings["kv-cache-mb"] * MIB;
  return (GARBAGE * (bodies + connections + unread) + keysAndValues) / MIB;
}
