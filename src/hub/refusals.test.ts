// Error answers of hubs, mirrors and servers that are not hubs, and the messages made from them. Also that the token is
// sent to the hub only.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeHub, type FakeHubOptions, type Fault } from "../../test/support/fake-hub.ts";
import { addCommit, fakeRepository, modelContents } from "../../test/support/fake-repository.ts";
import { HubUser } from "../../test/support/hub-user.ts";
import { aProxy } from "../../test/support/proxies.ts";
import { connectionFailure } from "./failure.ts";

const TOKEN = "hf_secret";

interface Options extends FakeHubOptions {
  readonly isPrivate?: boolean;
  readonly isGated?: boolean;
  readonly env?: Record<string, string>;
}

async function scene(context: TestContext, faults: readonly Fault[], options: Options = {}) {
  const { isPrivate = false, isGated = false, env = {}, ...hubOptions } = options;
  const repository = fakeRepository("owner/model", modelContents(), { isPrivate, isGated });
  const hub = await FakeHub.start([repository], { tokens: [TOKEN], ...hubOptions }, context);
  hub.fail(...faults);
  return { hub, repository, user: new HubUser(context, hub.endpoint, { env }) };
}

test("a rate limit is waited for as long as it lasts, and named", async (context) => {
  const limited = (headers: Record<string, string>): Fault => ({
    on: "api",
    answer: { status: 429, headers },
  });
  const cases: [faults: Fault[], waits: number[]][] = [
    [Array(2).fill(limited({ ratelimit: '"api";r=0;t=2' })), [3000, 3000]],
    [[limited({ ratelimit: '"api";r=7;t=2, "pages";r=0;t=4' })], [5000]],
    [[limited({ "retry-after": "1" })], [2000]],
    [[limited({ "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" })], [1000]],
    [[limited({})], [1000]],
    [[{ on: "cdn", answer: { status: 429, headers: { "retry-after": "20", ratelimit: "x" } } }], [21_000]],
  ];
  for (const [faults, waits] of cases) {
    const { user } = await scene(context, faults);
    await user.pull("owner/model");
    assert.deepEqual(user.waits, waits);
  }
  const { user } = await scene(context, [limited({ ratelimit: '"api";r=0;t=2' })]);
  await user.pull("owner/model");
  assert.deepEqual(user.notices, ["the hub's rate limit is reached; waiting 3 s"]);
  const long = await scene(context, [limited({ ratelimit: '"api";r=0;t=900' })]);
  await assert.rejects(long.user.pull("owner/model"), {
    code: "hub_refused",
    message: "the hub's rate limit is reached; it ends in 901 s; a token (HF_TOKEN) raises it",
  });
  assert.deepEqual(long.user.waits, []);
  const endless = await scene(context, [{ ...limited({ "retry-after": "0" }), times: 99 }]);
  await assert.rejects(endless.user.pull("owner/model"), { code: "hub_refused", message: /tried 6 times$/ });
});

test("a server in trouble is asked again, then its words are told", async (context) => {
  const down: Fault = { on: "cdn", answer: { status: 503, body: "under\u001b[31m repair" } };
  const twice = await scene(context, [{ ...down, times: 2 }]);
  await twice.user.pull("owner/model");
  assert.deepEqual(twice.user.waits, [1000, 2000]);
  const { user, hub } = await scene(context, [{ ...down, times: 99 }]);
  await assert.rejects(user.pull("owner/model"), {
    code: "hub_refused",
    message: `${new URL(hub.cdn).host} refuses model.safetensors: HTTP 503, "under [31m repair"; tried 6 times`,
  });
  const wait = await scene(context, [
    { on: "api", answer: { status: 503, headers: { "retry-after": "7" } } },
  ]);
  await wait.user.pull("owner/model");
  assert.deepEqual(wait.user.waits, [8000]);
});

test("an address that has expired is asked for anew, three times, then the store's words are told", async (context) => {
  const expired: Fault = { on: "cdn", answer: { status: 403, body: `expired ${"x".repeat(500)}` } };
  const { user, hub } = await scene(context, [expired]);
  await user.pull("owner/model");
  assert.equal(hub.asked("resolve").filter((line) => line.includes("safetensors")).length, 2);
  const always = await scene(context, [{ ...expired, times: 99 }]);
  await assert.rejects(always.user.pull("owner/model"), {
    code: "hub_refused",
    message: /^localhost:\d+ refuses model\.safetensors: HTTP 403, "expired x{192}"; tried 4 times$/,
  });
  assert.equal(always.hub.asked("cdn").length, 4);
  assert.deepEqual(always.user.waits, []);
});

test("who may not read is told what to do", async (context) => {
  const unknown =
    /^owner\/none: the hub knows no such model, or it is private; check the name, or set HF_TOKEN/;
  const cases: [name: string, options: Options, faults: Fault[], code: string, message: RegExp][] = [
    ["owner/none", {}, [], "hub_refused", unknown],
    ["owner/none", { env: { HF_TOKEN: TOKEN } }, [], "hub_refused", unknown],
    ["owner/model", { isPrivate: true }, [], "hub_refused", /^owner\/model: the hub knows no such model/],
    [
      "owner/model",
      { env: { HF_TOKEN: "hf_old" } },
      [],
      "hub_refused",
      /^the hub refuses the token from HF_TOKEN: Invalid credentials in Authorization header; renew it, or unset it/,
    ],
    [
      "owner/model",
      { env: { HF_TOKEN: TOKEN } },
      [{ on: "api", answer: { status: 403 } }],
      "hub_refused",
      /^the hub refuses the token from HF_TOKEN: HTTP 403/,
    ],
    [
      "owner/model",
      { isGated: true },
      [],
      "hub_refused",
      /^owner\/model is gated: ask for access at http:\S+\/owner\/model, then/,
    ],
    [
      "owner/model",
      { env: { HF_TOKEN: TOKEN } },
      [{ on: "resolve", answer: { status: 403, headers: { "x-error-code": "GatedRepo" } } }],
      "hub_refused",
      /^owner\/model is gated/,
    ],
    ["owner/model@none", {}, [], "hub_refused", /^owner\/model has no revision "none"$/],
    [
      "owner/model",
      {},
      [
        {
          on: "api",
          answer: { status: 403, headers: { "x-error-message": "Access to this resource is disabled." } },
        },
      ],
      "hub_refused",
      /^owner\/model was taken down by the hub: Access to this resource is disabled\.$/,
    ],
  ];
  for (const [name, options, faults, code, message] of cases) {
    const { user } = await scene(context, faults, options);
    await assert.rejects(user.pull(name), { code, message });
    assert.deepEqual(user.waits, []);
    assert.ok(!existsSync(join(user.cache, "models--owner--model", "refs")));
  }
});

test("a gated model costs no large request, and a private one comes with its token", async (context) => {
  const gated = await scene(context, [], { isGated: true });
  await assert.rejects(gated.user.pull("owner/model"));
  assert.deepEqual(gated.hub.asked("cdn"), []);
  for (const options of [{ isPrivate: true }, { isGated: true }]) {
    const { user } = await scene(context, [], { ...options, env: { HF_TOKEN: TOKEN } });
    assert.equal((await user.pull("owner/model")).name, "model");
  }
});

test("the token goes to the hub's own origin, over every redirect, and nowhere else", async (context) => {
  const other = await FakeHub.start([fakeRepository("owner/model", modelContents())], {}, context);
  const aliases = { model: "owner/model" };
  const { user, hub } = await scene(context, [], { aliases, env: { HF_TOKEN: TOKEN } });
  await user.pull("model");
  for (const { place, headers } of hub.log) {
    assert.equal(headers.authorization, place === "cdn" ? undefined : `Bearer ${TOKEN}`, place);
    assert.equal(headers["accept-encoding"], "identity");
    assert.equal(headers.cookie, undefined);
  }
  // Another port of the same host is another origin.
  const away = (on: "api" | "resolve", path: string): Fault => ({
    on,
    answer: { status: 302, headers: { location: `${other.endpoint}${path}` } },
  });
  const led = await scene(context, [away("api", "/api/models/owner/model/revision/main")], {
    env: { HF_TOKEN: TOKEN },
  });
  await led.user.pull("owner/model");
  assert.ok(other.log.length > 0);
  for (const { headers } of other.log) assert.equal(headers.authorization, undefined);
});

test("a token is not sent in the open, which is said; loopback is not the open", async (context) => {
  const { user } = await scene(context, [], { isPrivate: true, env: { HF_TOKEN: TOKEN } });
  await user.pull("owner/model");
  assert.deepEqual(user.notices, []);
  const open = await scene(context, [], { isPrivate: true, env: { HF_TOKEN: TOKEN } });
  // Another host name for the same address, through a proxy.
  const proxy = await aProxy(context, { target: open.hub.endpoint });
  const proxied = new HubUser(context, "http://hub.example", {
    env: { HF_TOKEN: TOKEN },
    environment: { proxies: { http: proxy.url, https: "", none: "" } },
  });
  await assert.rejects(proxied.pull("owner/model"), {
    code: "invalid_config",
    message:
      "HF_ENDPOINT is http: the token is not sent to hub.example, which refuses owner/model; use https",
  });
  assert.deepEqual(proxied.notices, ["HF_ENDPOINT is http: the token is not sent to hub.example; use https"]);
  for (const { headers } of open.hub.log) assert.equal(headers.authorization, undefined);
});

test("redirects end, and lead to no other scheme", async (context) => {
  const loop: Fault = {
    on: "api",
    times: 99,
    answer: { status: 307, headers: { location: "/api/models/x" } },
  };
  const cases: [fault: Fault, message: RegExp][] = [
    [loop, /does not answer like a hub \(more than 10 redirects\); check HF_ENDPOINT and proxies/],
    [
      { on: "api", answer: { status: 302, headers: { location: "file:///etc/passwd" } } },
      /it redirects to "file:/,
    ],
    [{ on: "api", answer: { status: 302 } }, /it redirects to ""/],
    [
      { on: "api", answer: { status: 301, headers: { location: "http://[" } } },
      /it redirects to "http:\/\/\["/,
    ],
  ];
  for (const [fault, message] of cases) {
    const { user, hub } = await scene(context, [fault]);
    await assert.rejects(user.pull("owner/model"), { code: "hub_unreachable", message });
    assert.ok(hub.log.length <= 11);
  }
});

test("lists of many pages are followed, behind a mirror too, and not for ever", async (context) => {
  for (const linkOrigin of [undefined, "https://huggingface.co"]) {
    const { user, hub } = await scene(context, [], { pageSize: 3, ...(linkOrigin && { linkOrigin }) });
    const { directory } = await user.pull("owner/model");
    assert.ok(existsSync(join(directory, "model.safetensors")));
    assert.equal(hub.asked("api").length, 4);
  }
  const strange = await scene(context, [], { pageSize: 3, linkOrigin: "http://localhost:1" });
  await assert.rejects(strange.user.pull("owner/model"), {
    code: "hub_unreachable",
    message: /its next page is at/,
  });
  const link = { link: `<?cursor=0>; rel="next"` };
  const page: Fault = { on: "api", times: 99, answer: { status: 200, headers: link, body: "[]" } };
  const endless = await scene(context, [page]);
  await assert.rejects(endless.user.pull(`owner/model@${"0".repeat(40)}`), {
    code: "hub_unreachable",
    message: /a list of more than 20 pages/,
  });
});

test("a server that is no hub is recognised, and nothing it says becomes a path", async (context) => {
  const json = (value: unknown): Fault => ({
    on: "api",
    answer: { status: 200, body: JSON.stringify(value) },
  });
  const commit = "0".repeat(40);
  const entry = { type: "file", path: "config.json", size: 2, oid: commit };
  const cases: [faults: Fault[], message: RegExp][] = [
    [
      [{ on: "api", answer: { status: 200, body: "<html>log in</html>" } }],
      /it sends "<html>log in<\/html>" in place of JSON/,
    ],
    [
      [{ on: "api", answer: { status: 200, body: Buffer.alloc(11_000_000, " ") } }],
      /its JSON is larger than 10000000 bytes/,
    ],
    [[json({ sha: "../x", id: "owner/model" })], /no commit and name/],
    [[json({ sha: commit, id: "../../x" })], /no commit and name/],
    [[json([])], /no commit and name/],
    [[json({ sha: commit, id: "owner/model" }), json({})], /its list of files is not a list/],
    [
      [json({ sha: commit, id: "owner/model" }), json([{ ...entry, oid: "../x" }])],
      /no size and hash of config\.json/,
    ],
    [
      [json({ sha: commit, id: "owner/model" }), json([{ ...entry, size: -1 }])],
      /no size and hash of config\.json/,
    ],
    [
      [json({ sha: commit, id: "owner/model" }), json([{ ...entry, lfs: { oid: "x", size: 1 } }])],
      /no size and hash/,
    ],
    [
      [{ on: "resolve", times: 99, body: { encoding: "gzip" } }],
      /Content-Encoding: gzip, which was not asked for/,
    ],
  ];
  for (const [faults, message] of cases) {
    const { user } = await scene(context, faults);
    await assert.rejects(user.pull("owner/model"), { code: "hub_unreachable", message });
    assert.ok(!existsSync(join(user.cache, "models--owner--model", "refs")));
    assert.ok(!existsSync(join(user.cache, "..", "x")));
  }
});

test("a server that cannot list is asked for each file, with the same result", async (context) => {
  const { user, hub } = await scene(context, [], { hasTree: false });
  const plain = await scene(context, []);
  await user.pull("owner/model");
  await plain.user.pull("owner/model");
  assert.deepEqual(user.files("models--owner--model"), plain.user.files("models--owner--model"));
  assert.ok(hub.asked("resolve").some((line) => line.startsWith("HEAD ") && line.endsWith("/vocab.bpe")));
  const nothing = await scene(context, [
    { on: "api", times: 99, answer: { status: 404 } },
    { on: "resolve", times: 99, answer: { status: 404 } },
  ]);
  await assert.rejects(nothing.user.pull("owner/model"), {
    code: "hub_unreachable",
    message: /^127\.0\.0\.1:\d+ does not answer like a hub \(no list of owner\/model, and no config\.json\)/,
  });
});

test("what is fetched is one commit, though the branch moves meanwhile", async (context) => {
  const { user, hub, repository } = await scene(context, []);
  const before = repository.refs.get("main");
  hub.onRequest = ({ url }) => {
    if (url.includes("/tree/")) addCommit(repository, "main", modelContents(1000, 2));
  };
  const { directory } = await user.pull("owner/model");
  assert.ok(directory.endsWith(before ?? ""));
  assert.deepEqual(
    hub.asked("resolve").filter((line) => !line.includes(before ?? "")),
    [],
  );
});

test("what a connection fails of is told, with the proxy on the way", () => {
  const told = (code: string, message = "", proxy?: string) => {
    const failure = connectionFailure(Object.assign(new Error(message), { code }), "hub.example", proxy);
    return [failure.message, failure.facts.isTransient];
  };
  assert.deepEqual(told("ENOTFOUND"), ["cannot reach hub.example: no such name", false]);
  assert.deepEqual(told("EAI_AGAIN"), ["cannot reach hub.example: its name cannot be looked up now", true]);
  assert.deepEqual(told("ECONNREFUSED", "", "proxy.example:3128"), [
    "cannot reach hub.example: the connection is refused; through the proxy proxy.example:3128",
    true,
  ]);
  assert.deepEqual(told("HPE_INVALID_CONSTANT"), [
    "hub.example does not answer like a hub (what it sends is not HTTP); check HF_ENDPOINT and proxies",
    false,
  ]);
  const several = new AggregateError([Object.assign(new Error("x"), { code: "ECONNREFUSED" })]);
  assert.equal(
    connectionFailure(several, "h", undefined).message,
    "cannot reach h: the connection is refused",
  );
});
