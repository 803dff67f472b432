// Overloads the server for a long time, with callers that leave at random. Memory must not grow, all pages must be freed, /ping and the
// event loop must stay quick, and every request must be answered exactly once or be ended by its own caller.
// `node conformance/soak/soak.js [--minutes 20] [--seed 1] [--from dist]`.
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { KEY, randomFrom, startServer } from "../../bench/support/server-under-test.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "dist" },
  },
});
const DURATION_MS = Number(values.minutes) * 60_000;
/** More callers than the queue has room for. */
const CALLERS = 24;
const QUEUE = 16;
const DRIFT_MAX = 0.05;
const PING_P99_MS = 50;
const LOOP_P99_MS = 15;
/** The period of the timer with which the server measures its event loop. An idle loop shows this delay. */
const LOOP_PERIOD_MS = 10;

const built = (file) => import(pathToFileURL(resolve(values.from, file)).href);
const { signRequest } = await built("src/sigv4/index.js");
const { joinedParts } = await built("test/support/event-stream.js");
const { below, pick } = randomFrom(Number(values.seed));
const server = await startServer(resolve(values.from, "src/cli/main.js"), [
  "--queue-requests-max",
  String(QUEUE),
]);
const agent = new Agent({ keepAlive: true });
/** `late`: answered with the error for the deadline. */
const counts = { sent: 0, answered: 0, refused: 0, late: 0, left: 0, broken: 0 };
const pings = [];
const memory = [];
const started = Date.now();
const isOver = () => Date.now() - started >= DURATION_MS;

function aRequest() {
  const mode = pick(["sample", "sample-top-p", "sample-top-k", "beam", "greedy"]);
  const beams = 3 + below(3);
  const search = mode === "beam" ? { num_beams: beams, num_return_sequences: 1 + below(beams) } : {};
  return {
    input: "The sea ".repeat(1 + below(8)),
    mode,
    max_length: 40 + below(80),
    num_return_sequences: 3,
    seed: below(1000),
    ...search,
  };
}

/** Sends one request. A third of the callers leave after a while, whatever they have received. */
async function call() {
  const asked = aRequest();
  const body = JSON.stringify(asked);
  const path = `/endpoints/gpt-2/${pick(["invocations", "invocations-response-stream"])}`;
  const headers = signRequest(
    { method: "POST", url: server.origin + path, body },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now: new Date() },
  );
  const sent = httpRequest({ host: "127.0.0.1", port: server.port, path, method: "POST", headers, agent });
  counts.sent++;
  let hasLeft = false;
  const leaving =
    below(3) === 0
      ? setTimeout(() => {
          hasLeft = true;
          sent.destroy();
        }, below(400))
      : undefined;
  sent.end(body);
  try {
    const [response] = await once(sent, "response");
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    const outcome = outcomeOf(asked, path, response, Buffer.concat(chunks));
    counts[hasLeft ? "left" : outcome]++;
    if (outcome === "refused") await pause(20);
  } catch {
    counts[hasLeft ? "left" : "broken"]++;
  } finally {
    clearTimeout(leaving);
  }
}

/** The result of a request whose answer is complete. */
function outcomeOf({ input, num_return_sequences: count }, path, { statusCode }, answer) {
  if (statusCode === 503) return "refused";
  if (statusCode === 424) return JSON.parse(answer).ErrorCode === "timed_out" ? "late" : "broken";
  if (statusCode !== 200) return "broken";
  if (answer.includes("ModelInvocationTimeExceeded")) return "late";
  const texts = JSON.parse(path.endsWith("stream") ? joinedParts(answer) : answer);
  const isWhole = texts.length === count && texts.every((text) => text.startsWith(input));
  return isWhole ? "answered" : "broken";
}

async function caller() {
  while (!isOver()) await call();
}

async function observer() {
  while (!isOver()) {
    const before = performance.now();
    const { status } = await fetch(`${server.origin}/ping`);
    pings.push(performance.now() - before);
    if (status !== 200) counts.broken++;
    memory.push(server.residentMb());
    await pause(200);
  }
}

await Promise.all([observer(), ...Array.from({ length: CALLERS }, caller)]);
const loop = 1000 * (await server.metric("nodejs_eventloop_lag_p99_seconds")) - LOOP_PERIOD_MS;
agent.destroy();
for (let i = 0; i < 100 && (await server.metric("gpt2_kv_pages_in_use")) > 0; i++) await pause(100);

const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
// After a quarter of the time the server counts as warmed up.
const quarter = Math.floor(memory.length / 4);
const drift = mean(memory.slice(-quarter)) / mean(memory.slice(quarter, 2 * quarter)) - 1;
const p99 = pings.toSorted((a, b) => a - b)[Math.floor(pings.length * 0.99)];
const pages = await server.metric("gpt2_kv_pages_in_use");
const { sent, answered, refused, late, left, broken } = counts;
const checks = {
  "every request was answered once or left by its caller":
    answered + refused + late + left === sent && broken === 0,
  "some were answered, some refused, some left": answered > 0 && refused > 0 && left > 0,
  "all pages came home": pages === 0,
  [`memory moved by ${(100 * drift).toFixed(1)} %, at most ${100 * DRIFT_MAX}`]: Math.abs(drift) <= DRIFT_MAX,
  [`p99 of /ping ${p99.toFixed(1)} ms, below ${PING_P99_MS}`]: p99 < PING_P99_MS,
  [`p99 of the event loop's delay ${loop.toFixed(1)} ms, below ${LOOP_P99_MS}`]: loop < LOOP_P99_MS,
  "the server ended with 0": (await server.stop()) === 0,
};
const tenths = Array.from({ length: 10 }, (_, i) => memory[Math.floor((i / 10) * memory.length)].toFixed(0));
process.stdout.write(
  `${JSON.stringify(counts)}; memory ${tenths.join(" ")} ${memory.at(-1).toFixed(0)} MB\n`,
);
for (const [check, holds] of Object.entries(checks))
  process.stdout.write(`${holds ? "ok    " : "FAILED"} ${check}\n`);
process.exit(Object.values(checks).every(Boolean) ? 0 : 1);
