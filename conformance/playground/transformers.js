// Compares what the page gets from its server with Hugging Face transformers: the tokens of scored and of generated texts, their
// alternatives, and the 200 most likely next tokens. `transformers.sh` calls it with a Python that has transformers.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { logitsOf } from "../../dist/src/playground/logic/filtered.js";
import { Playground } from "./page-object.js";
import { launch, provide, startServer } from "./subject.js";

const TOLERANCE = 1e-4;
const MODEL = fileURLToPath(new URL("../../models/tiny/", import.meta.url));
const SCRIPT = fileURLToPath(new URL("reference.py", import.meta.url));
const TEXTS = [
  "The old man looked at the sea and whistled. The sea looked at the old man and whistled back.",
  "naïve 日本 \u{1f469}\u200d\u{1f680}:\n\tthe   old man",
  "a".repeat(300),
];
const RUNS = [
  { mode: "sample-top-p", num_return_sequences: 4, max_length: 200, seed: 1 },
  { mode: "sample", temperature: 2, top_k: 0, top_p: 1, num_return_sequences: 2, max_length: 200, seed: 2 },
  { mode: "greedy", max_length: 200, num_return_sequences: 1 },
];

const [python] = process.argv.slice(2);
assert.ok(python, "call transformers.sh");
if (!provide("chrome")) process.exit(1);
const server = await startServer(["--precision", "f32"]);
const browser = await launch("chrome");
/** Texts as token ids, each with numbers of the page: [position, id, log-probability]. */
const told = [];
try {
  const { page } = await Playground.open(browser, server);
  const ask = (route, body) => page.evaluate(askServer, route, body);
  for (const input of TEXTS) {
    const { tokens } = JSON.parse(await ask("score", { input }));
    told.push({ ids: tokens.map(({ id }) => id), numbers: numbersOf(tokens, 0) });
    const next = JSON.parse(await ask("next", { input }));
    const logits = logitsOf(next);
    const all = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const ids = next.prompt.map(({ id }) => id);
    told.push({ ids, numbers: next.top.map(({ id }) => [ids.length, id, logits[id] - all]) });
  }
  for (const parameters of RUNS)
    told.push(...generated(await ask("generate", { input: TEXTS[0], ...parameters })));
} finally {
  await browser.close();
  await server.end();
}
compare();

/** Runs in the page, with its session. */
async function askServer(route, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`/playground/${route}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return response.text();
}

function generated(stream) {
  const events = stream
    .split("\n")
    .flatMap((line) => (line.startsWith("data: ") ? [JSON.parse(line.slice(6))] : []));
  const { prompt } = events.find(({ type }) => type === "start");
  const { sequences } = events.find(({ type }) => type === "end");
  return sequences.map(({ rest, endToken }, index) => {
    const sent = events.filter(({ type, sequence }) => type === "tokens" && sequence === index);
    const tokens = [...sent.flatMap((event) => event.tokens), ...rest, ...(endToken ? [endToken] : [])];
    const ids = [...prompt, ...tokens].map(({ id }) => id);
    return { ids, numbers: numbersOf(tokens, prompt.length) };
  });
}

/** The numbers of tokens, of which the first stands at position `from`, and of their alternatives. */
function numbersOf(tokens, from) {
  return tokens.flatMap(({ id, logprob, alternatives = [] }, i) =>
    logprob === null ? [] : [{ id, logprob }, ...alternatives].map((one) => [from + i, one.id, one.logprob]),
  );
}

function compare() {
  const input = told.map(({ ids, numbers }) =>
    JSON.stringify({ ids, asked: numbers.map((one) => one.slice(0, 2)) }),
  );
  const run = spawnSync(python, [SCRIPT, MODEL], {
    input: input.join("\n"),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  assert.equal(run.status, 0, run.stderr);
  const answers = run.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(answers.length, told.length);
  const worst = { probability: 0, logprob: 0 };
  let count = 0;
  for (const [i, { numbers }] of told.entries()) {
    for (const [j, [, , logprob]] of numbers.entries()) {
      const expected = answers[i][j];
      worst.logprob = Math.max(worst.logprob, Math.abs(logprob - expected));
      worst.probability = Math.max(worst.probability, Math.abs(Math.exp(logprob) - Math.exp(expected)));
      count++;
    }
  }
  process.stdout.write(
    `${count} numbers of ${told.length} texts: largest error of a probability ${worst.probability.toExponential(1)}, ` +
      `of a log-probability ${worst.logprob.toExponential(1)}\n`,
  );
  assert.ok(worst.probability <= TOLERANCE && worst.logprob <= TOLERANCE, `the tolerance is ${TOLERANCE}`);
}
