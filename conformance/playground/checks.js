// The checks of the page in a real browser. Each gets a browser and a server, and throws if something is wrong.
import assert from "node:assert/strict";
import { EMOJI, MARKUP, NUM_SPACES } from "./hostile-model.js";
import { Playground } from "./page-object.js";

/** Asserts that the console has no errors, and that no other host was contacted. */
function assertClean({ errors, strangers }) {
  assert.deepEqual(errors, []);
  assert.deepEqual(strangers, []);
}

/** `model`: the server's model: the shipped one, or the hostile one, whose text tries to break the page. */
export const CHECKS = [
  { name: "opens by its link, asks no other host, has no error", model: "shipped", run: opens },
  { name: "shows nothing without a session", model: "shipped", run: withoutSession },
  { name: "shows in each mode the parameters that it reads", model: "shipped", run: parametersOfModes },
  { name: "writes, explains and branches by keyboard alone", model: "shipped", run: byKeyboard },
  { name: "stops at Esc, and keeps what had come", model: "shipped", run: stops },
  { name: "gives the same text for the same seed, and another for a new one", model: "shipped", run: seeds },
  { name: "draws a beam search as a tree", model: "shipped", run: beams },
  { name: "answers its sliders without asking, as a request would", model: "shipped", run: sliders },
  { name: "scores a text token by token", model: "shipped", run: scores },
  { name: "fills the form from a link and sends nothing", model: "shipped", run: links },
  { name: "keeps a history that can be cleared", model: "shipped", run: history },
  { name: "tells what a request is elsewhere", model: "shipped", run: clients },
  { name: "makes no markup of what a model writes", model: "hostile", run: hostileText },
  { name: "holds ten thousand spaces in 360 pixels", model: "hostile", run: spaces },
  { name: "shows 64 texts at once", model: "hostile", run: manyTexts },
  { name: "has no serious finding of axe, in all views, light and dark", model: "shipped", run: accessible },
  { name: "survives the end of its server, and its new start", model: "shipped", run: restarts },
];

async function opens(browser, server) {
  const page = await Playground.open(browser, server);
  assert.match(await page.text(".model"), /gpt-2.*int8/);
  assert.equal(await page.page.evaluate(() => location.search), "", "the token left the address");
  await page.page.reload();
  await page.see("button.primary:not(:disabled)");
  assertClean(page);
}

async function withoutSession(browser, server) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const response = await page.goto(server.origin);
  assert.equal(response.status(), 401);
  assert.equal(await page.$("#page"), null);
  const statuses = await page.evaluate(async () => {
    const facts = await fetch("/playground/facts");
    const text = await fetch("/playground/generate", { method: "POST", body: '{"input":"a"}' });
    return [facts.status, text.status];
  });
  assert.ok(
    statuses.every((status) => status === 401 || status === 403),
    String(statuses),
  );
  await context.close();
}

async function parametersOfModes(browser, server) {
  const page = await Playground.open(browser, server);
  const facts = await page.page.evaluate(() =>
    fetch("/playground/facts").then((response) => response.json()),
  );
  const { fields } = facts.endpoints[0];
  const outside = ["mode", "logprobs", "echo"];
  for (const { name } of facts.modes) {
    await page.mode(name);
    const expected = fields.filter(
      (field) => !outside.includes(field.name) && (!field.modes || field.modes.includes(name)),
    );
    await page.until(
      (count) => document.querySelectorAll(".box label[for]").length === count,
      expected.length,
    );
    const shown = await page.texts(".box label[for]");
    assert.deepEqual(shown.toSorted(), expected.map((field) => field.name).toSorted(), name);
  }
  await page.fill("#field-max_length", "0");
  await page.see("#field-max_length[aria-invalid]");
  assert.match(await page.text("#field-max_length-help"), /must be an integer from 1/);
  assertClean(page);
  await page.close();
}

async function byKeyboard(browser, server) {
  const page = await Playground.open(browser, server);
  const { keyboard } = page.page;
  const focused = () =>
    page.page.evaluate(() => document.activeElement.id || document.activeElement.className);
  for (let i = 0; i < 60 && (await focused()) !== "prompt"; i++) await keyboard.press("Tab");
  assert.equal(await focused(), "prompt");
  await keyboard.down("Control");
  await keyboard.press("a");
  await keyboard.up("Control");
  await keyboard.type("Once upon a time");
  await keyboard.down("Control");
  await keyboard.press("Enter");
  await keyboard.up("Control");
  await page.see(".speed");
  for (let i = 0; i < 60 && !(await focused()).includes("tokens"); i++) await keyboard.press("Tab");
  assert.equal(await page.count(".token.selected"), 1, "the focus chooses the first token");
  await keyboard.press("ArrowRight");
  await keyboard.press("ArrowRight");
  await keyboard.press("ArrowDown");
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  assert.equal(await focused(), "inspector");
  assert.match(await page.text(".inspector-card small"), /text 1, token \d+ · id/);
  assert.equal(await page.count(".alternatives tbody tr"), 10);
  for (let i = 0; i < 5 && (await focused()) !== "pick"; i++) await keyboard.press("Tab");
  assert.equal(await focused(), "pick");
  await keyboard.press("Enter");
  await page.until(() =>
    /^From text 1 with another token/.test(document.querySelector(".about").textContent),
  );
  await page.see(".speed");
  assert.equal(await page.count(".sequence"), 1);
  assertClean(page);
  await page.close();
}

async function stops(browser, server) {
  const page = await Playground.open(browser, server);
  await page.fill("#field-num_return_sequences", "16");
  await page.fill("#field-max_length", "256");
  await page.press("Generate");
  await page.until(() => document.querySelectorAll(".token").length > 40);
  await page.page.keyboard.press("Escape");
  await page.until(() => /Stopped/.test(document.querySelector(".about").textContent));
  assert.ok((await page.count(".token")) > 40);
  await page.see("button.primary:not(:disabled)");
  assertClean(page);
  await page.close();
}

async function seeds(browser, server) {
  const page = await Playground.open(browser, server);
  await page.generate();
  const first = await page.texts(".sequence-text");
  const again = async (words) => {
    await page.press(words);
    await page.until(
      () => !document.querySelector(".speed") || /Writing/.test(document.querySelector(".about").textContent),
    );
    await page.until(
      () => document.querySelector(".speed") && !/Writing/.test(document.querySelector(".about").textContent),
    );
    return page.texts(".sequence-text");
  };
  assert.deepEqual(await again("Again, same seed"), first);
  assert.notDeepEqual(await again("Again, new seed"), first);
  assert.match(await page.text(".steps"), /3 of 3/);
  await page.page.click("button[aria-label='Earlier run']");
  await page.until(() => /2 of 3/.test(document.querySelector(".steps").textContent));
  assertClean(page);
  await page.close();
}

async function beams(browser, server) {
  const page = await Playground.open(browser, server);
  await page.mode("beam");
  await page.fill("#field-max_length", "30");
  await page.generate();
  assert.ok((await page.count(".node.beam")) >= 50, "five beams in many steps");
  assert.ok((await page.count(".node.on-path")) > 10);
  assert.match((await page.texts(".sequence header small"))[0], /score -\d/);
  const before = await page.count(".node");
  await page.press("Show what was dropped");
  await page.until((count) => document.querySelectorAll(".node").length > count, before);
  await page.page.evaluate(() => document.querySelector(".node").focus());
  await page.page.keyboard.press("Enter");
  await page.see(".node-facts");
  assert.match(await page.text(".node-facts"), /in step 1: .*Sum of log-probabilities/);
  assertClean(page);
  await page.close();
}

async function sliders(browser, server) {
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
  for (const [temperature, topK, topP] of [
    [0.7, 50, 0.92],
    [0.7, 0, 0.92],
    [1, 0, 0.5],
  ]) {
    await slide("#slider-temperature", Math.log10(temperature));
    await slide("#slider-top_k", topK);
    await slide("#slider-top_p", topP);
    const shown = await left();
    // The slider has steps, so the value that it shows is compared.
    const exact = Number(await page.text(".slider output"));
    assert.equal(asked, 0, "the page answers by itself");
    assert.equal(await page.page.evaluate(() => globalThis.numLater), 0, "and will not ask later");
    const real = await page.page.evaluate(leftOfRequest, { temperature: exact, top_k: topK, top_p: topP });
    asked = 0;
    assert.equal(shown, real, JSON.stringify({ temperature, topK, topP }));
  }
  assertClean(page);
  await page.close();
}

/** The number of tokens that a real request can draw. This function runs in the page. */
async function leftOfRequest(filters) {
  const input = document.querySelector("#prompt").value;
  const body = JSON.stringify({
    input,
    mode: "sample",
    ...filters,
    max_new_tokens: 1,
    num_return_sequences: 1,
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch("/playground/generate", { method: "POST", headers, body });
  const events = (await response.text())
    .split("\n")
    .flatMap((line) => (line.startsWith("data: ") ? [JSON.parse(line.slice(6))] : []));
  const end = events.find(({ type }) => type === "end");
  const sent = events.filter(({ type }) => type === "tokens").flatMap(({ tokens }) => tokens);
  const [token] = [...sent, ...end.sequences[0].rest];
  return token.choice.filters.at(-1).left;
}

async function scores(browser, server) {
  const page = await Playground.open(browser, server);
  await page.press("Score a text");
  await page.fill("#score-text", "The cat sat on the mat.");
  await page.press("Score", ".buttons");
  await page.see(".speed");
  assert.match(await page.text(".speed"), /perplexity\d/);
  assert.equal((await page.texts(".tokens"))[0], "The cat sat on the mat.");
  await page.page.hover(".token[data-index='2']");
  await page.see(".alternatives tbody tr");
  await page.press("As a table");
  assert.equal(await page.count(".token-table tbody tr"), 7);
  assertClean(page);
  await page.close();
}

async function links(browser, server) {
  const page = await Playground.open(browser, server);
  await page.mode("sample");
  await page.fill("#field-temperature", "0.33");
  await page.fill("#field-seed", "42");
  await page.fill("#prompt", "A link that holds é");
  await page.page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", {
      value: {
        async writeText(text) {
          globalThis.copied = text;
        },
      },
    });
  });
  await page.press("Copy link");
  await page.until(() => globalThis.copied !== undefined);
  const link = await page.page.evaluate(() => globalThis.copied);
  const other = await Playground.open(browser, server, { link });
  await other.until(() => document.querySelector("#prompt").value === "A link that holds é");
  const value = (id) => other.page.$eval(id, (box) => box.value);
  assert.deepEqual([await value("#field-temperature"), await value("#field-seed")], ["0.33", "42"]);
  assert.equal(await other.count(".sequence"), 0, "a link runs nothing by itself");
  assertClean(other);
  await page.close();
  await other.close();
}

async function history(browser, server) {
  const page = await Playground.open(browser, server);
  await page.fill("#prompt", "To be remembered");
  await page.fill("#field-max_length", "12");
  await page.generate();
  await page.press("History");
  await page.see(".history li");
  assert.match((await page.texts(".history li"))[0], /To be remembered.*seed \d+/);
  await page.page.reload();
  await page.see("button.primary:not(:disabled)");
  await page.press("History");
  await page.page.click(".history li button");
  await page.until(() => document.querySelector("#prompt")?.value === "To be remembered");
  await page.press("History");
  await page.press("Clear");
  await page.until(() => document.querySelectorAll(".history li").length === 0);
  assert.equal(await page.page.evaluate(() => localStorage.getItem("gpt2-api.history")), null);
  assertClean(page);
  await page.close();
}

async function clients(browser, server) {
  const page = await Playground.open(browser, server);
  await page.press("This request as a command");
  await page.see(".way-out .choices");
  const names = await page.texts(".way-out .choices label");
  for (const name of ["curl", "boto3", "AWS CLI", "JavaScript", "OpenAI", "JSON"]) {
    assert.ok(
      names.some((shown) => shown.includes(name)),
      `${name} is not among ${names}`,
    );
  }
  assert.match(await page.text(".code pre"), /The old man looked at the sea and/);
  await page.fill("#prompt", "It's new");
  await page.until(() => document.querySelector(".code pre").textContent.includes("new"));
  assertClean(page);
  await page.close();
}

/** The hostile model's text. It begins with the prompt of one token. */
async function hostileRun(browser, server, options, sequences = "1") {
  const page = await Playground.open(browser, server, options);
  if ((options?.width ?? 1400) < 760) await page.press("Mode and parameters");
  await page.mode("greedy");
  await page.fill("#field-max_new_tokens", "229");
  await page.fill("#field-num_return_sequences", sequences);
  await page.fill("#prompt", "a");
  await page.generate();
  return page;
}

async function hostileText(browser, server) {
  const page = await hostileRun(browser, server);
  const shown = (await page.texts(".sequence .tokens"))[0];
  // Direction marks and invisible characters are shown as such. The emoji, which is cut into eleven tokens, is whole.
  const written = `${MARKUP}↵\n\u05e9\u05dc\u05d5\u05dd U+202EabcU+202C ${EMOJI}␀␇␡${" ".repeat(NUM_SPACES)}`;
  assert.equal(shown, written);
  assert.equal(await page.count(".sequence :is(img, script, b, iframe, style, link)"), 0);
  assert.notEqual(await page.page.title(), "owned");
  const isolation = await page.page.evaluate(
    () => getComputedStyle(document.querySelector(".sequence-text")).unicodeBidi,
  );
  assert.equal(isolation, "isolate");
  await page.press("As a table");
  await page.see(".token-table");
  assert.equal(await page.count(".token-table :is(img, script)"), 0);
  assertClean(page);
  await page.close();
}

async function spaces(browser, server) {
  const page = await hostileRun(browser, server, { width: 360, height: 700 });
  const shown = (await page.texts(".sequence .tokens"))[0];
  assert.ok(shown.includes(" ".repeat(NUM_SPACES)));
  const [content, width] = await page.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= width, `${content} pixels of content in ${width}`);
  const [inside, box] = await page.page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.querySelector(".sequence-text");
    return [scrollWidth, clientWidth];
  });
  assert.ok(inside <= box, `${inside} pixels of text in ${box}`);
  await page.fill("#prompt", " ");
  await page.press("Show pieces");
  await page.see(".pieces li");
  const [after] = await page.page.evaluate(() => [document.documentElement.scrollWidth]);
  assert.ok(after <= width);
  assertClean(page);
  await page.close();
}

async function manyTexts(browser, server) {
  const page = await hostileRun(browser, server, {}, "64");
  assert.equal(await page.count(".sequence"), 64);
  assert.ok((await page.count(".token")) > 64 * 200);
  await page.page.evaluate(() => [...document.querySelectorAll(".sequence")].at(-1).scrollIntoView());
  await page.page.click(".sequence:last-child .token[data-index='5']");
  await page.see(".token.selected");
  assertClean(page);
  await page.close();
}

async function accessible(browser, server) {
  for (const scheme of ["light", "dark"]) {
    const page = await Playground.open(browser, server, { scheme });
    const check = async (what) => assert.deepEqual(await page.violations(), [], `${what}, ${scheme}`);
    await page.mode("beam");
    await page.fill("#field-max_length", "24");
    await page.generate();
    await page.press("Show pieces");
    await page.page.click(".sequence .token[data-index='3']");
    await page.press("This request as a command");
    await page.see(".way-out .choices");
    await check("writing");
    await page.press("As a table");
    await check("the table");
    await page.press("Next token");
    await page.see(".distribution");
    await check("next token");
    await page.press("Score a text");
    await page.press("Score", ".buttons");
    await page.see(".speed");
    await check("scoring");
    await page.press("History");
    await page.see(".history li");
    await check("history");
    await page.close();
  }
}

async function restarts(browser, server) {
  const page = await Playground.open(browser, server);
  await page.fill("#field-max_length", "20");
  await page.generate();
  const before = await page.texts(".sequence-text");
  await server.stop();
  await page.press("Generate");
  await page.until(() => /does not answer/.test(document.querySelector(".failure")?.textContent ?? ""));
  await page.page.click("button[aria-label='Earlier run']");
  await page.until((count) => document.querySelectorAll(".sequence").length === count, before.length);
  assert.deepEqual(await page.texts(".sequence-text"), before, "what was written stays");
  await server.restart();
  await page.press("Generate");
  await page.until(() => /Open the link/.test(document.querySelector(".failure")?.textContent ?? ""));
  const again = await Playground.open(browser, server);
  await again.fill("#field-max_length", "20");
  await again.generate();
  await page.press("Generate");
  await page.until(() => !document.querySelector(".failure") && document.querySelector(".speed"));
  await page.close();
  await again.close();
}
