// Makes the pictures in README and docs/guides/playground.md: `npm run screenshots [-- NAME…]`. It uses Chromium, the shipped model and fixed
// seeds, so that the texts are the same each time. Fonts are those of the machine; Inter and Noto Serif are installed if possible.
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Playground } from "./page-object.js";
import { launch, provide, startServer } from "./subject.js";
import { terminalPicture } from "./terminal-picture.js";

const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const FONTS = ["fonts-inter", "fonts-noto-core", "fonts-liberation", "fonts-noto-color-emoji"];

const PICTURES = {
  async write(open) {
    const page = await open({ width: 1440, height: 860, scheme: "light" });
    await page.fill("#field-seed", "3");
    await page.fill("#field-max_length", "70");
    await page.fill("#field-num_return_sequences", "4");
    await page.generate();
    await page.page.click(".sequence .token[data-index='6']");
    return page;
  },
  async beams(open) {
    const page = await open({ width: 1700, height: 900, scheme: "dark" });
    await page.mode("beam");
    await page.fill("#field-max_length", "26");
    await page.fill("#field-num_return_sequences", "1");
    await page.generate();
    await page.press("Show what was dropped");
    await page.page.evaluate(() => {
      const banned = [...document.querySelectorAll(".node")].find((node) => node.textContent.includes("⊘"));
      banned?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    await page.see(".node-facts");
    return page;
  },
  async next(open) {
    const page = await open({ width: 900, height: 620, scheme: "light" });
    await page.press("Next token");
    await page.see(".distribution");
    return page;
  },
  async score(open) {
    const page = await open({ width: 900, height: 760, scheme: "dark" });
    await page.press("Score a text");
    await page.fill(
      "#score-text",
      "The old man looked at the sea and whistled. The sea looked at the old man and whistled back.",
    );
    await page.press("Score", ".buttons");
    await page.see(".speed");
    await page.page.click(".token[data-index='8']");
    return page;
  },
  async phone(open) {
    const page = await open({ width: 360, height: 720, scheme: "light" });
    await page.press("Mode and parameters");
    await page.fill("#field-seed", "3");
    await page.fill("#field-max_length", "60");
    await page.press("Mode and parameters");
    await page.generate();
    return page;
  },
};

if (!provide("chrome", FONTS)) process.exit(1);
mkdirSync(FOLDER, { recursive: true });
const named = process.argv.slice(2);
const isWanted = (name) => named.length === 0 || named.includes(name);
const server = await startServer(["--threads", "2"]);
const browser = await launch("chrome", {
  args: ["--no-sandbox", "--hide-scrollbars", "--font-render-hinting=none"],
});
for (const [name, make] of Object.entries(PICTURES)) {
  if (!isWanted(name)) continue;
  const page = await make((options) => Playground.open(browser, server, options));
  const path = `${FOLDER}playground-${name}.png`;
  await page.page.mouse.move(2, 2);
  await page.page.evaluate(() => scrollTo(0, 0));
  // The tree is only a part of a long page.
  const part = name === "beams" ? await page.page.$(".beams") : page.page;
  await part.screenshot({ path });
  tell(path);
  await page.close();
}
if (isWanted("terminal")) {
  const page = await browser.newPage();
  await page.setContent(await terminalPicture());
  const path = `${FOLDER}terminal.png`;
  await (await page.$("pre")).screenshot({ path });
  tell(path);
}
await browser.close();
await server.end();

function tell(path) {
  process.stdout.write(`${path}: ${Math.round(statSync(path).size / 1024)} kB\n`);
}
