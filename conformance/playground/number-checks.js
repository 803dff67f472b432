// The numbers that the page shows, against those of a real request and of the command `score`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { percent, surpriseBits } from "../../dist/src/playground/logic/heat.js";
import { inOneLine } from "../../dist/src/playground/logic/visible-text.js";
import { assertClean, Playground } from "./page-object.js";
import { COMMAND } from "./subject.js";

const VOCABULARY = 50_257;

export async function sliders(browser, server) {
  const page = await Playground.open(browser, server);
  await page.press("Next token");
  await page.see(".reading");
  let asked = 0;
  page.page.on("request", () => asked++);
  // The page sends its request some time after a change, so an intended request shows as a timer.
  await page.page.evaluate(() => {
    const setTimer = globalThis.setTimeout;
    globalThis.numLater = 0;
    globalThis.setTimeout = (run, delayMs, ...rest) => {
      if (delayMs >= 200) globalThis.numLater++;
      return setTimer(run, delayMs, ...rest);
    };
  });
  const slide = (id, value) =>
    page.page.$eval(
      id,
      (slider, to) => {
        slider.value = to;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      },
      String(value),
    );
  const left = async () => Number((await page.text(".reading b")).replaceAll(",", ""));
  for (const [mode, temperature, topK, topP, minP] of [
    ["sample", 0.7, 50, 0.92, 0],
    ["sample", 0.7, 0, 0.92, 0.01],
    ["sample", 1.6, 0, 0.5, 0],
    ["sample-top-p", 1, 0, 0.8, 0],
    ["sample-top-k", 1, 7, 1, 0.02],
  ]) {
    await slide("#slider-temperature", Math.log10(temperature));
    await slide("#slider-top_k", topK);
    await slide("#slider-top_p", topP);
    await slide("#slider-min_p", minP);
    const shown = await left();
    // The slider has steps, so the value that it shows is compared.
    const exact = Number(await page.text(".slider output"));
    assert.equal(asked, 0, "the page answers by itself");
    assert.equal(await page.page.evaluate(() => globalThis.numLater), 0, "and will not ask later");
    const filters = { temperature: exact, top_k: topK, top_p: topP, min_p: minP };
    const { choice, alternatives, ...token } = await page.page.evaluate(drawnByRequest, { mode, ...filters });
    asked = 0;
    const what = JSON.stringify({ mode, ...filters });
    assert.equal(shown, choice.filters.at(-1)?.left ?? VOCABULARY, what);
    const { u, low, high } = choice.draw;
    assert.ok(low <= u && u < high && Math.abs(high - low - choice.probability) < 1e-6, what);
    for (const { name, logprob, probability } of [
      ...alternatives,
      { ...token, probability: choice.probability },
    ]) {
      const after = probability === 0 ? "cut" : percent(probability);
      const figures = await page.page.evaluate(figuresOf, inOneLine(name));
      if (figures === undefined) assert.notEqual(token.rank <= 30, true, `${name} is not shown, ${what}`);
      else assert.equal(figures, `${percent(Math.exp(logprob))} · ${after}`, `${name}, ${what}`);
    }
  }
  assertClean(page);
  await page.close();
}

/** The token that a real request draws, with what it tells of it; runs in the page. */
async function drawnByRequest(parameters) {
  const input = document.querySelector("#prompt").value;
  const body = JSON.stringify({ input, ...parameters, max_new_tokens: 1, num_return_sequences: 1, seed: 5 });
  const headers = { "content-type": "application/json" };
  const response = await fetch("/playground/generate", { method: "POST", headers, body });
  const events = (await response.text())
    .split("\n")
    .flatMap((line) => (line.startsWith("data: ") ? [JSON.parse(line.slice(6))] : []));
  const end = events.find(({ type }) => type === "end");
  const sent = events.filter(({ type }) => type === "tokens").flatMap(({ tokens }) => tokens);
  return [...sent, ...end.sequences[0].rest][0];
}

/** What the page says of a token before and after its sliders; runs in the page. */
function figuresOf(name) {
  const rows = [...document.querySelectorAll(".distribution tbody tr")];
  const row = rows.find((each) => each.querySelector(".token-name").textContent === name);
  return row?.querySelector(".figures").textContent;
}

export async function scores(browser, server) {
  const page = await Playground.open(browser, server);
  await page.press("Score a text");
  await page.fill("#score-text", "The cat sat on the mat.");
  await page.page.keyboard.down("Control");
  await page.page.keyboard.press("Enter");
  await page.page.keyboard.up("Control");
  await page.see(".speed");
  assert.match(await page.text(".speed"), /perplexity\d/);
  assert.equal((await page.texts(".tokens"))[0], "The cat sat on the mat.");
  await page.page.hover(".token[data-index='2']");
  await page.see(".alternatives tbody tr");
  await page.page.click(".token[data-index='2']");
  await page.see(".glass.pinned");
  await page.page.keyboard.press("Escape");
  await page.until(() => !document.querySelector(".glass.pinned"));
  await page.page.keyboard.press("ArrowRight");
  await page.page.keyboard.press("Enter");
  assert.equal(await page.page.evaluate(() => document.activeElement.id), "inspector");
  await page.press("As a table");
  assert.equal(await page.count(".token-table tbody tr"), 7);
  assertClean(page);
  await page.close();
}

/** The page gets the log-probabilities of the command to 1e-6, and its table shows those. */
export async function scoresAsTheCommand(browser, server) {
  const texts = [
    "The cat sat on the mat.",
    "naïve 日本 \u{1f469}\u200d\u{1f680}:\n\tthe   old man",
    "a".repeat(300),
  ];
  const input = texts.map((text) => JSON.stringify({ text })).join("\n");
  const command = spawnSync(process.execPath, [COMMAND, "score", "--requests", "-"], {
    input,
    encoding: "utf8",
  });
  assert.equal(command.status, 0, command.stderr);
  const expected = command.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const page = await Playground.open(browser, server);
  await page.press("Score a text");
  for (const [i, text] of texts.entries()) {
    await page.fill("#score-text", text);
    const [answer] = await Promise.all([
      page.page.waitForResponse((response) => response.url().endsWith("/playground/score")),
      page.press("Score", ".buttons"),
    ]);
    const { tokens } = await answer.json();
    // The command leaves the first token out, which has nothing before it.
    const { token_ids, logprobs: later } = expected[i];
    const logprobs = [null, ...later];
    assert.deepEqual(
      tokens.map(({ id }) => id),
      token_ids,
    );
    for (const [at, { logprob }] of tokens.entries()) {
      if (at === 0) assert.equal(logprob, null);
      else assert.ok(Math.abs(logprob - logprobs[at]) <= 1e-6, `token ${at}: ${logprob}, ${logprobs[at]}`);
    }
    if (i === 0) {
      await page.see(".legend");
      await page.press("As a table");
    }
    await page.until(
      (count) => document.querySelectorAll(".token-table tbody tr").length === count,
      tokens.length,
    );
    const shown = await page.page.$$eval(".token-table tbody tr", (rows) =>
      rows.map((row) => [...row.cells].slice(2, 5).map((cell) => cell.textContent)),
    );
    const told = logprobs.map((logprob, at) => [
      String(token_ids[at]),
      ...(logprob === null ? ["–", "–"] : [percent(Math.exp(logprob)), surpriseBits(logprob).toFixed(2)]),
    ]);
    assert.deepEqual(shown, told);
  }
  assertClean(page);
  await page.close();
}
