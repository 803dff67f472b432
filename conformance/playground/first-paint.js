// How soon the page is seen on loopback: `node conformance/playground/first-paint.js [chrome] [firefox] [--runs N]`. Tells the median of the
// first contentful paint, and of the time until the form can be used, each from the start of the navigation. Every run has a browser
// context of its own, so nothing is cached. The page is promised to be seen within 200 ms on a machine that does nothing else.
import { parseArgs } from "node:util";
import { launch, provide, startServer } from "./subject.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string", default: "15" } },
});
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const server = await startServer();
try {
  for (const name of positionals.length > 0 ? positionals : ["chrome"]) {
    if (!provide(name)) continue;
    const browser = await launch(name);
    const runs = [];
    for (let i = 0; i < Number(values.runs); i++) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.goto(await server.link());
      await page.waitForSelector("button.primary:not(:disabled)");
      runs.push(await page.evaluate(timesOf));
      await context.close();
    }
    const told = (key) => {
      const all = runs.map((run) => run[key]);
      return `${median(all).toFixed(0)} ms (${Math.min(...all).toFixed(0)} – ${Math.max(...all).toFixed(0)})`;
    };
    process.stdout.write(
      `${await browser.version()}: first paint ${told("paintMs")}, form ready ${told("readyMs")}, ${runs.length} runs\n`,
    );
    await browser.close();
  }
} finally {
  await server.end();
}

/** Runs in the page, once the form is ready. */
async function timesOf() {
  const readyMs = performance.now();
  const first = () => performance.getEntriesByName("first-contentful-paint")[0];
  while (!first()) await new Promise((resolve) => requestAnimationFrame(resolve));
  return { readyMs, paintMs: first().startTime };
}
