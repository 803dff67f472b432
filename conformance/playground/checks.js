// The checks of the page in a real browser. Each gets a browser and a server, and throws if something is wrong.
import assert from "node:assert/strict";
import { hostilePage, stolenCookie, usedLink } from "./access-checks.js";
import { hostileText, manyTexts, spaces } from "./hostile-checks.js";
import { scores, scoresAsTheCommand, sliders } from "./number-checks.js";
import { assertClean, Playground } from "./page-object.js";

/** `model`: the server's model: the shipped one, or the hostile one, whose text tries to break the page. */
export const CHECKS = [
  { name: "opens by its link, asks no other host, has no error", model: "shipped", run: opens },
  { name: "shows nothing without a session", model: "shipped", run: withoutSession },
  { name: "lets nobody in by a link that was used", model: "shipped", run: usedLink },
  { name: "answers its cookie from its own page alone", model: "shipped", run: stolenCookie },
  { name: "tells a page of another origin nothing", model: "shipped", run: hostilePage },
  { name: "shows in each mode the parameters that it reads", model: "shipped", run: parametersOfModes },
  { name: "writes, explains and branches by keyboard alone", model: "shipped", run: byKeyboard },
  { name: "stops at Esc, and keeps what had come", model: "shipped", run: stops },
  { name: "gives the same text for the same seed, and another for a new one", model: "shipped", run: seeds },
  { name: "draws a beam search as a tree", model: "shipped", run: beams },
  { name: "answers its sliders without asking, as a request would", model: "shipped", run: sliders },
  { name: "scores a text token by token", model: "shipped", run: scores },
  { name: "shows the probabilities of the command score", model: "shipped", run: scoresAsTheCommand },
  { name: "fills the form from a link and sends nothing", model: "shipped", run: links },
  { name: "keeps a history that can be cleared", model: "shipped", run: history },
  { name: "copies where scripts have no clipboard", model: "shipped", run: copies },
  { name: "keeps what is chosen in sight in 360 pixels", model: "shipped", run: narrow },
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
  await keyboard.press("Escape");
  await page.until(() => !document.querySelector(".glass.pinned"));
  assert.match(await focused(), /tokens/, "the focus returns to the text");
  await keyboard.press("ArrowRight");
  await keyboard.press("Enter");
  assert.match(await page.text(".inspector-card small"), /text 1, token 1 · id/);
  assert.equal(await page.count(".alternatives tbody tr"), 10);
  for (let i = 0; i < 5 && (await focused()) !== "pick"; i++) await keyboard.press("Tab");
  assert.equal(await focused(), "pick");
  await keyboard.press("Enter");
  await page.until(() =>
    /^From text 1 with another token/.test(document.querySelector(".about").textContent),
  );
  assert.equal(await focused(), "texts", "the focus waits for the new texts");
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
  assert.match((await page.texts(".history li"))[0], /To be remembered.*seed \d+/s);
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

async function copies(browser, server) {
  const page = await Playground.open(browser, server);
  await page.page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.addEventListener("copy", () => {
      globalThis.copied = document.activeElement.value;
    });
  });
  // Browsers want a press by hand for this.
  await page.page.click(".way-out .buttons button");
  await page.until(() => globalThis.copied !== undefined);
  assert.match(await page.page.evaluate(() => globalThis.copied), /^http:.*#1\./);
  await page.until(() =>
    [...document.querySelectorAll("button")].some((each) => each.textContent === "Copied"),
  );
  assertClean(page);
  await page.close();
}

async function narrow(browser, server) {
  const page = await Playground.open(browser, server, { width: 360, height: 700 });
  const box = (selector) => page.page.$eval(selector, (element) => element.getBoundingClientRect().toJSON());
  const inSight = async (what) => {
    await page.see(".glass.pinned");
    await page.until(
      () =>
        document.querySelector(".token.selected").getBoundingClientRect().bottom <=
        document.querySelector(".glass").getBoundingClientRect().top,
    );
    const { top } = await box(".token.selected");
    assert.ok(top >= 0, `${what} is at ${top}`);
  };
  await page.press("Mode and parameters");
  await page.fill("#field-seed", "3");
  await page.press("Mode and parameters");
  await page.generate();
  for (const index of [0, 20, 60]) {
    await page.still(`.sequence:last-child .token[data-index='${index}']`);
    await page.page.click(`.sequence:last-child .token[data-index='${index}']`);
    await inSight(`token ${index}`);
    await page.page.click("[aria-label=Close]");
  }
  await page.press("As a table");
  await page.see(".token-table");
  const names = await page.page.$$eval(".token-table .token-name", (all) =>
    all.map((each) => each.getClientRects().length),
  );
  assert.ok(
    names.every((lines) => lines === 1),
    `names of tokens in lines: ${names}`,
  );
  const [inside, outside] = [await box(".token-table"), await box(".table-box")];
  assert.ok(inside.right <= outside.right, `${inside.right} of ${outside.right} pixels`);
  await page.press("As a table");
  await page.press("Score a text");
  assert.ok(
    (await box("#score-text")).bottom <= (await box("button.primary")).top,
    "the box is above its button",
  );
  await page.press("Score", ".buttons");
  await page.see(".speed");
  await page.page.click(".token[data-index='7']");
  await inSight("a token of the scored text");
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

async function accessible(browser, server) {
  for (const [scheme, width] of [
    ["light", 360],
    ["light", 1400],
    ["dark", 360],
    ["dark", 1400],
  ]) {
    const page = await Playground.open(browser, server, { scheme, width });
    const check = async (what) =>
      assert.deepEqual(await page.violations(), [], `${what}, ${scheme}, ${width} pixels`);
    if (width === 360) await page.press("Mode and parameters");
    await page.mode("beam");
    await page.fill("#field-max_length", "60");
    await page.generate();
    await page.press("Show pieces");
    await page.page.click(".sequence .token[data-index='3']");
    await page.press("This request as a command");
    await page.see(".way-out .choices");
    await page.press("The answer as JSON");
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
