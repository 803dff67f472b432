// What somebody gets who has stolen something: a link that was used, the session's cookie, the way to a browser that has it. The
// browser's own rules are part of the defence, so a hostile page in the same browser tries too.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { Playground } from "./page-object.js";

/** Routes that tell or do something, each with a body that is right. */
const ROUTES = [
  ["GET", "/playground/facts"],
  ["POST", "/playground/generate", { input: "a", max_new_tokens: 1 }],
  ["POST", "/playground/next", { input: "a" }],
  ["POST", "/playground/score", { input: "a b" }],
  ["POST", "/playground/tokenize", { input: "a" }],
  ["POST", "/playground/clients", { input: "a" }],
];

/** A link serves one browser; the next one gets neither page nor cookie, and the first goes on. */
export async function usedLink(browser, server) {
  const link = await server.link();
  const owner = await Playground.open(browser, server, { link });
  const context = await browser.createBrowserContext();
  const thief = await context.newPage();
  const response = await thief.goto(link);
  assert.equal(response.status(), 401);
  assert.match(await thief.evaluate(() => document.body.textContent), /used already/);
  assert.deepEqual(await context.cookies(), []);
  await context.close();
  assert.equal(await owner.page.evaluate(() => document.cookie), "", "no script sees the cookie");
  await owner.page.reload();
  await owner.see("button.primary:not(:disabled)");
  await owner.close();
}

/** The session's cookie outside its page: with another Origin, another Host, cut, left out. */
export async function stolenCookie(browser, server) {
  const owner = await Playground.open(browser, server);
  const cookies = await owner.page.browserContext().cookies();
  const session = cookies.find(({ name }) => name === `gpt2-playground-${server.port}`);
  assert.deepEqual([session.httpOnly, session.sameSite], [true, "Strict"]);
  const cookie = `${session.name}=${session.value}`;
  const own = { host: `127.0.0.1:${server.port}`, origin: server.origin, cookie };
  const attempts = [
    ["as the page", own, 200],
    ["another Origin", { ...own, origin: "http://evil.example" }, 403],
    ["an Origin of another port", { ...own, origin: `http://127.0.0.1:${server.port + 1}` }, 403],
    ["an Origin that hides", { ...own, origin: "null" }, 403],
    ["another Host", { ...own, host: `evil.example:${server.port}` }, 403],
    ["no cookie", { ...own, cookie: "" }, 401],
    ["a cookie that is cut", { ...own, cookie: cookie.slice(0, -1) }, 401],
    ["the cookie of another port", { ...own, cookie: `gpt2-playground-1=${session.value}` }, 401],
  ];
  for (const [what, headers, expected] of attempts) {
    for (const [method, path, body] of ROUTES) {
      assert.equal(await statusOf(server, { method, path, headers }, body), expected, `${what}: ${path}`);
    }
  }
  await owner.close();
}

/** The status of a request that no browser would send. */
function statusOf({ port }, options, body) {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, "content-type": "application/json" };
    const sent = request({ ...options, host: "127.0.0.1", port, headers, agent: false }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode));
    });
    sent.on("error", reject).end(body && JSON.stringify(body));
  });
}

/** A page of another port is of the same site, so that the browser sends the cookie with what it asks: the Origin has to tell. */
export async function hostilePage(browser, server) {
  const owner = await Playground.open(browser, server);
  const hostile = createServer((_, answer) => {
    answer.setHeader("content-type", "text/html").end(hostileHtml(server.origin));
  }).listen(0, "127.0.0.1");
  await once(hostile, "listening");
  const page = await browser.newPage();
  const statuses = [];
  page.on("response", (response) => {
    if (response.url().startsWith(`${server.origin}/playground/`)) statuses.push(response.status());
  });
  await page.goto(`http://127.0.0.1:${hostile.address().port}/`);
  const read = await page.evaluate(readAsStranger, server.origin, ROUTES);
  assert.deepEqual(
    read.filter((got) => got !== "nothing"),
    [],
    "a stranger's page reads an answer",
  );
  const [form] = await Promise.all([
    page.waitForNavigation(),
    page.evaluate(() => document.forms[0].submit()),
  ]);
  assert.equal(form.status(), 403, "a form is no page of ours");
  assert.ok(statuses.length > 0 && statuses.every((status) => status >= 400), String(statuses));
  await page.close();
  await new Promise((resolve) => hostile.close(resolve));
  assert.deepEqual(owner.errors, []);
  await owner.close();
}

function hostileHtml(origin) {
  return `<!doctype html><title>hostile</title>
    <form method="post" enctype="text/plain" action="${origin}/playground/generate"><input name='{"input":"a","stop":"' value='"}'></form>`;
}

/** What the scripts of another page can read; runs in that page. */
function readAsStranger(origin, routes) {
  const ask = async (path, options) => {
    try {
      const response = await fetch(`${origin}${path}`, { credentials: "include", ...options });
      return (await response.text()) === "" ? "nothing" : `${path}: ${response.status}`;
    } catch {
      return "nothing";
    }
  };
  return Promise.all([
    ask("/", {}),
    ...routes.flatMap(([method, path, body]) => [
      ask(path, { method, body: body && JSON.stringify(body) }),
      ask(path, { method, body: body && JSON.stringify(body), mode: "no-cors" }),
    ]),
  ]);
}
