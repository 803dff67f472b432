// Who is let into the playground, and what its routes answer where no model is needed for that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aFront, signedHeaders } from "../../../test/support/front.ts";
import { aPlayground, asPage, cookieOf, PLACE } from "../../../test/support/playground.ts";
import type { Clients, Facts } from "../../dialects/playground/events.ts";
import { MODES, requestSchema } from "../../request/params.ts";
import { fieldsOf } from "../../wording.ts";
import { routesOf } from "./routes.ts";

const GENERATE = "/playground/generate";
const BODY = { input: "Hello", num_return_sequences: 1 };

test("a link opens one browser, and the next link is told", async () => {
  const front = aPlayground();
  const { token } = front.sessions;
  const opened = await front.app.inject({ url: `/?token=${token}`, headers: PLACE });
  const cookie = String(opened.headers["set-cookie"]);
  assert.match(cookie, /^gpt2-playground-\d+=[\w-]{43}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Strict$/);
  assert.deepEqual(front.nextTokens, [front.sessions.token]);
  assert.notEqual(front.sessions.token, token);

  const [session = ""] = cookie.split(";");
  for (const url of ["/", `/?token=${token}`]) {
    const again = await asPage(front.app, session, { url });
    assert.notEqual(again.statusCode, 401, url);
    assert.equal(again.headers["set-cookie"], undefined);
  }
  const stranger = await front.app.inject({ url: `/?token=${token}`, headers: PLACE });
  assert.equal(stranger.statusCode, 401);
  assert.equal(stranger.headers["set-cookie"], undefined);
  assert.match(stranger.body, /used already/);
});

test("without a session nothing is answered but how to get one", async () => {
  const front = aPlayground({ auth: "none" });
  const cookie = await cookieOf(front);
  const other = aPlayground();
  const cookies = {
    none: "",
    "of another server": await cookieOf(other),
    "of another name": cookie.replace("gpt2-playground-0", "gpt2-playground-1"),
    "cut off": cookie.slice(0, -1),
    "without a value": "gpt2-playground-0=",
  };
  for (const [name, value] of Object.entries(cookies)) {
    for (const [operation, { method, path }] of routesOf("playground")) {
      const url = path;
      const headers = { ...PLACE, cookie: value };
      const payload = method === "POST" ? { payload: JSON.stringify(BODY) } : {};
      const { statusCode } = await front.app.inject({ method, url, headers, ...payload });
      assert.equal(statusCode, 401, `${name}: ${operation}`);
    }
  }
  const body = JSON.stringify(BODY);
  const signed = signedHeaders(body, { path: GENERATE });
  const { statusCode } = await front.app.inject({
    method: "POST",
    url: GENERATE,
    headers: signed,
    payload: body,
  });
  assert.equal(statusCode, 401, "a signature is no session");
  assert.deepEqual(front.generator.asked, []);
});

test("other pages and other names of this address are refused, with the session's cookie too", async () => {
  const front = aPlayground({ hostAlias: ["proxy.example:8443"] });
  const cookie = await cookieOf(front);
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await asPage(front.app, cookie, { url: GENERATE, body: BODY, headers })).statusCode;
  for (const host of ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "127.0.0.2:8080"]) {
    assert.notEqual(await status({ host }), 200, host);
  }
  for (const origin of [
    "http://evil.example",
    "null",
    "http://127.0.0.1:9090",
    "http://127.0.0.1:8080.evil",
  ]) {
    assert.equal(await status({ origin }), 403, origin);
  }
  for (const headers of [
    { origin: "http://127.0.0.1:8080" },
    { host: "localhost:8080", origin: "http://localhost:8080" },
    { host: "[::1]:8080" },
    { host: "proxy.example:8443", origin: "https://proxy.example:8443" },
  ]) {
    assert.equal(await status(headers), 200, JSON.stringify(headers));
  }
  // What a page of another port embeds comes with the cookie and without an Origin.
  const embedded = async (site: string, url: string): Promise<number> =>
    (await asPage(front.app, cookie, { url, headers: { "sec-fetch-site": site } })).statusCode;
  for (const url of ["/playground/facts", "/playground/app.js"]) {
    for (const site of ["same-site", "cross-site", "anything"])
      assert.equal(await embedded(site, url), 403, `${site} ${url}`);
    for (const site of ["same-origin", "none"])
      assert.equal(await embedded(site, url), 200, `${site} ${url}`);
  }
  assert.equal(await embedded("cross-site", "/"), 200, "a link from elsewhere leads to the page");
  const rebound = await front.app.inject({
    url: `/?token=${front.sessions.token}`,
    headers: { host: "evil.example" },
  });
  assert.equal(rebound.statusCode, 403);
  assert.equal(rebound.headers["set-cookie"], undefined);
});

test("sessions end, and there are only so many", async () => {
  const front = aPlayground({ playgroundSessionsMax: 2, playgroundSessionHours: 1 });
  const first = await cookieOf(front);
  const status = async (cookie: string): Promise<number> =>
    (await asPage(front.app, cookie, { url: "/playground/facts" })).statusCode;
  assert.equal(await status(first), 200);
  front.pass(1_800_000);
  const [second, third] = [await cookieOf(front), await cookieOf(front)];
  assert.deepEqual([await status(first), await status(second), await status(third)], [401, 200, 200]);
  front.pass(3_600_000);
  assert.deepEqual([await status(second), await status(third)], [401, 401]);
});

test("without the setting there is no playground", async () => {
  const { app } = aFront();
  for (const [operation, { method, path }] of routesOf("playground")) {
    const { statusCode } = await app.inject({
      method,
      url: path,
      headers: PLACE,
    });
    assert.ok(statusCode === 404 || statusCode === 405, operation);
  }
});

test("a file of the page is sent with its type, and not again when it is known", async () => {
  const front = aPlayground();
  const cookie = await cookieOf(front);
  for (const [url, type] of [
    ["/", "text/html; charset=utf-8"],
    ["/playground/app.js", "text/javascript; charset=utf-8"],
    ["/playground/app.css", "text/css; charset=utf-8"],
    ["/playground/icon.svg", "image/svg+xml"],
  ] as const) {
    const page = await asPage(front.app, cookie, { url });
    assert.equal(page.body, `the file for ${url.split("/").at(-1) || "index.html"}`);
    assert.equal(page.headers["content-type"], type);
    const headers = { "if-none-match": String(page.headers.etag) };
    const again = await asPage(front.app, cookie, { url, headers });
    assert.deepEqual([again.statusCode, again.body], [304, ""]);
  }
  const unbuilt = aPlayground({}, { files: new Map() });
  const none = await asPage(unbuilt.app, await cookieOf(unbuilt), { url: "/" });
  assert.equal(none.statusCode, 503);
  assert.match(none.body, /npm run build/);
});

test("every answer of the page forbids inline code, other hosts and frames", async () => {
  const front = aPlayground();
  const cookie = await cookieOf(front);
  for (const value of ["", cookie]) {
    const { headers } = await asPage(front.app, value, { url: "/" });
    const policy = String(headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["referrer-policy"], "no-referrer");
  }
});

test("the facts hold every parameter of the schema, with its range, default and modes", async () => {
  const front = aPlayground({ maxNumBeams: 9 });
  const { app } = front;
  const facts = (await asPage(app, await cookieOf(front), { url: "/playground/facts" })).json<Facts>();
  const schema = fieldsOf(requestSchema({ contextLength: 256, maxNumBeams: 9 }));
  const [endpoint] = facts.endpoints;
  assert.deepEqual(
    endpoint?.fields.map(({ name }) => name),
    Object.keys(schema).filter((name) => name !== "input"),
  );
  const field = (name: string) => endpoint?.fields.find((one) => one.name === name);
  const { type, minimum, maximum, modes } = field("num_beams") ?? {};
  assert.deepEqual([type, minimum, maximum, modes], ["integer", 1, 9, ["beam"]]);
  assert.deepEqual(field("temperature")?.isAbove, true);
  assert.deepEqual(field("mode")?.values, Object.keys(MODES));
  assert.equal(field("stop")?.type, "json");
  assert.deepEqual(
    facts.modes.map(({ name }) => name),
    Object.keys(MODES),
  );
  assert.equal(facts.release, "1.2.3");
});

test("errors have the form that the page reads, before a stream and in it", async () => {
  const front = aPlayground();
  const cookie = await cookieOf(front);
  const refused = await asPage(front.app, cookie, { url: GENERATE, body: { ...BODY, top_k: -1 } });
  assert.equal(refused.statusCode, 400);
  assert.deepEqual(refused.json(), {
    error: {
      code: "invalid_field",
      message: "top_k must be an integer of at least 0, got -1",
      field: "top_k",
    },
  });
  const unknown = await asPage(front.app, cookie, { url: GENERATE, body: { ...BODY, endpoint: "none" } });
  assert.equal(unknown.statusCode, 400);
  assert.equal(unknown.json().error.code, "ValidationError");
  const missing = await asPage(front.app, cookie, { url: "/playground/tokenize", body: {} });
  assert.match(missing.json().error.message, /input/);
});

test("a request is written as the commands of its clients, with the text and the seed that were used", async () => {
  const front = aPlayground();
  const body = {
    input: 'It\'s "so" $HOME `id` \\ é\n',
    mode: "beam",
    num_beams: 3,
    num_return_sequences: 2,
    seed: 11,
  };
  const { app } = front;
  const cookie = await cookieOf(front);
  const { clients, body: shown } = (
    await asPage(app, cookie, { url: "/playground/clients", body })
  ).json<Clients>();
  assert.deepEqual(shown, body);
  const code = (client: string): string => clients.find((one) => one.client === client)?.code ?? "";
  // In single quotes nothing has a meaning to a shell but the quote itself.
  const [, quoted = ""] = /--data '((?:[^']|'\\'')*)' /.exec(code("curl")) ?? [];
  assert.deepEqual(JSON.parse(quoted.replaceAll("'\\''", "'")), body);
  assert.deepEqual(JSON.parse(code("JSON")), body);
  assert.match(code("boto3"), /endpoint_url="http:\/\/127\.0\.0\.1:8080"/);
  assert.match(
    code("OpenAI (Python)"),
    /extra_body=\{"num_beams": 3, "length_penalty": 1, "early_stopping": False, "no_repeat_ngram_size": 2\}/,
  );
  assert.match(code("OpenAI (Python)"), /\n {4}n=2,\n {4}seed=11,\n {4}temperature=0,\n/);
});
