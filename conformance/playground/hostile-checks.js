// What the page does with what a model must not write.
import assert from "node:assert/strict";
import { EMOJI, MARKUP, NUM_SPACES } from "./hostile-model.js";
import { assertClean, Playground } from "./page-object.js";

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

export async function hostileText(browser, server) {
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

export async function spaces(browser, server) {
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

export async function manyTexts(browser, server) {
  const page = await hostileRun(browser, server, {}, "64");
  assert.equal(await page.count(".sequence"), 64);
  assert.ok((await page.count(".token")) > 64 * 200);
  await page.page.evaluate(() => [...document.querySelectorAll(".sequence")].at(-1).scrollIntoView());
  await page.page.click(".sequence:last-child .token[data-index='5']");
  await page.see(".token.selected");
  assertClean(page);
  await page.close();
}
