// The playground's page in a browser, as a page object: the actions of a person, and what tests read. It records what must not
// happen: errors on the console, and requests to other hosts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WAIT_MS = 30_000;

/** Asserts that the console has no errors, and that no other host was contacted. */
export function assertClean({ errors, strangers }) {
  assert.deepEqual(errors, []);
  assert.deepEqual(strangers, []);
}

export class Playground {
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    this.errors = [];
    this.strangers = [];
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("request", (request) => {
      const url = request.url();
      if (/^https?:/.test(url) && !url.startsWith(`${origin}/`)) this.strangers.push(url);
    });
  }

  /** Opens the link, and waits for the form. */
  static async open(browser, server, { width = 1400, height = 900, scheme, link } = {}) {
    const page = await browser.newPage();
    await page.setViewport({ width, height });
    const self = new Playground(page, server.origin);
    await page.goto(link ?? (await server.link()));
    await self.see("button.primary:not(:disabled)");
    if (scheme) await self.theme(scheme);
    return self;
  }

  /** Uses the page's own switch, because not every browser lets a driver set the preference. */
  async theme(name) {
    const now = () => this.page.evaluate(() => document.documentElement.dataset.theme);
    for (let i = 0; i < 3 && (await now()) !== name; i++) {
      const before = await now();
      await this.page.click("button.theme");
      await this.until((old) => document.documentElement.dataset.theme !== old, before);
    }
  }

  see(selector) {
    return this.page.waitForSelector(selector, { timeout: WAIT_MS });
  }

  until(test, ...args) {
    return this.page.waitForFunction(test, { timeout: WAIT_MS, polling: 50 }, ...args);
  }

  /** Scrolls to an element, and waits until nothing moves it any more: what comes into sight is laid out then, and has another size. */
  async still(selector) {
    await this.page.$eval(selector, async (element) => {
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      let last;
      for (let same = 0; same < 3; ) {
        element.scrollIntoView({ block: "center" });
        await frame();
        const { top } = element.getBoundingClientRect();
        same = top === last ? same + 1 : 0;
        last = top;
      }
    });
  }

  /** The text of the first matching element, or of all. */
  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent);
  }

  texts(selector) {
    return this.page.$$eval(selector, (elements) => elements.map((element) => element.textContent));
  }

  count(selector) {
    return this.page.evaluate((sel) => document.querySelectorAll(sel).length, selector);
  }

  /** Clicks the first button or option with this text. */
  async press(words, within = "body") {
    const found = await this.page.evaluate(
      (wanted, root) => {
        const all = [...document.querySelectorAll(`${root} :is(button, label, summary)`)];
        const own = all.find((element) => element.textContent.trim().startsWith(wanted));
        own?.click();
        return own !== undefined;
      },
      words,
      within,
    );
    if (!found) throw new Error(`there is no ${JSON.stringify(words)} in ${within}`);
  }

  /** Replaces the content of a text box. */
  async fill(selector, value) {
    await this.see(selector);
    await this.page.focus(selector);
    await this.page.evaluate((sel) => document.querySelector(sel).select(), selector);
    if (value === "") await this.page.keyboard.press("Delete");
    else await this.page.keyboard.type(value);
  }

  async mode(name) {
    const found = await this.page.evaluate((wanted) => {
      const all = [...document.querySelectorAll(".modes label")];
      const own = all.find((label) => label.textContent === wanted);
      own?.click();
      return own !== undefined;
    }, name);
    if (!found) throw new Error(`there is no mode ${name}`);
  }

  /** Generates and waits for the end. */
  async generate() {
    const before = await this.page.evaluate(() => document.querySelector(".about")?.textContent ?? "");
    await this.press("Generate");
    await this.until((old) => {
      const about = document.querySelector(".about")?.textContent;
      return (
        about !== undefined && about !== old && document.querySelector(".speed") && !/Writing/.test(about)
      );
    }, before);
  }

  /** axe's accessibility findings that are serious or worse. */
  async violations() {
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, impact, nodes }) => ({
        id,
        impact,
        where: nodes.map(({ html }) => html.slice(0, 160)),
      }));
    });
    return found.filter(({ impact }) => impact === "serious" || impact === "critical");
  }

  close() {
    return this.page.close();
  }
}
