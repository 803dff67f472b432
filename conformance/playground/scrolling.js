// How smoothly the page scrolls through 64 texts of 1,024 tokens: `node conformance/playground/scrolling.js [chrome] [firefox]`. Tells the
// median, the 95th percentile and the longest time between two frames, while the wheel turns from the first text to the last. The texts are
// made in the page, because no model that comes with the software has that many positions.

import { Playground } from "./page-object.js";
import { launch, provide, startServer } from "./subject.js";

const NUM_TEXTS = 64;
const NUM_TOKENS = 1024;
const WHEEL_PIXELS = 300;
const FRAMES_PER_TURN = 4;

const names = process.argv.length > 2 ? process.argv.slice(2) : ["chrome"];
const server = await startServer();
try {
  for (const name of names) {
    if (!provide(name)) continue;
    const browser = await launch(name);
    const self = await Playground.open(browser, server);
    const { page } = self;
    await page.evaluate(answerWithManyTexts, NUM_TEXTS, NUM_TOKENS);
    await self.generate();
    const shown = [await self.count(".sequence"), await self.count(".token")];
    // Beside the texts, which scroll by themselves.
    await page.mouse.move(4, 600);
    await page.evaluate(recordFrames);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    for (let y = 0; y < 2 * height; y += WHEEL_PIXELS) {
      await page.mouse.wheel({ deltaY: WHEEL_PIXELS });
      await page.evaluate(framesLater, FRAMES_PER_TURN);
    }
    const isAtEnd = await page.evaluate(
      () => scrollY + innerHeight >= document.documentElement.scrollHeight - 1,
    );
    if (!isAtEnd) throw new Error("the wheel did not reach the last text");
    const frames = (await page.evaluate(() => globalThis.frameTimes)).slice(1).toSorted((a, b) => a - b);
    const at = (share) => `${frames[Math.floor(share * (frames.length - 1))].toFixed(0)} ms`;
    process.stdout.write(
      `${await browser.version()}: ${shown[0]} texts, ${shown[1]} tokens, ${height} pixels, ${frames.length} frames: ` +
        `median ${at(0.5)}, 95 % within ${at(0.95)}, longest ${at(1)}\n`,
    );
    await browser.close();
  }
} finally {
  await server.end();
}

/** Runs in the page: the next generation is answered with these texts. */
function answerWithManyTexts(numTexts, numTokens) {
  const words = ["the", "sea", "old", "man", "whistled", "and", "looked", "back"];
  const token = (n) => {
    const id = n % words.length;
    const text = ` ${words[id]}`;
    return { id, name: text, text, logprob: -((n * 7) % 11), rank: 1 + (n % 90), alternatives: [] };
  };
  const tokens = (text) => Array.from({ length: numTokens }, (_, i) => token(text + i + (i >> 3)));
  const texts = Array.from({ length: numTexts }, (_, text) => tokens(text));
  const sequences = texts.map((all) => ({
    text: all.map(({ text }) => text).join(""),
    tokenIds: all.map(({ id }) => id),
    rest: [],
    finishReason: "length",
  }));
  const numbers = { promptTokens: 1, cachedTokens: 0, queueMs: 0, firstTokenMs: 1, totalMs: 1 };
  const events = [
    { type: "start", version: 1, seed: 1, prompt: [], text: "" },
    ...texts.map((all, sequence) => ({ type: "tokens", sequence, tokens: all })),
    { type: "end", sequences, seed: 1, ...numbers, generatedTokens: numTexts * numTokens, answer: [] },
  ];
  const real = globalThis.fetch;
  globalThis.fetch = (url, options) =>
    String(url).endsWith("/generate")
      ? Promise.resolve(new Response(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")))
      : real(url, options);
}

/** Runs in the page: keeps the time between every two frames. */
function recordFrames() {
  globalThis.frameTimes = [];
  let last = performance.now();
  const next = (now) => {
    globalThis.frameTimes.push(now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}

/** Runs in the page. */
async function framesLater(count) {
  for (let i = 0; i < count; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
}
