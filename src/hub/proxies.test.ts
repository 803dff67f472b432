import assert from "node:assert/strict";
import { test } from "node:test";
import { proxyFor } from "./proxies.ts";

const proxies = { http: "http://p.example:1", https: "q.example:2", none: "" };
const proxyOf = (address: string, changes = {}) =>
  proxyFor(new URL(address), { ...proxies, ...changes })?.host;

test("each scheme has its proxy, and https takes that of http where it has none", () => {
  assert.equal(proxyOf("http://hub.example/"), "p.example:1");
  assert.equal(proxyOf("https://hub.example/"), "q.example:2");
  assert.equal(proxyOf("https://hub.example/", { https: "" }), "p.example:1");
  assert.equal(proxyOf("http://hub.example/", { http: "" }), undefined);
  assert.throws(() => proxyOf("http://hub.example/", { http: "ftp://secret@p" }), {
    code: "invalid_config",
    message: /^HTTPS_PROXY and HTTP_PROXY must be addresses such as http:\/\/proxy.example:3128$/,
  });
});

test("NO_PROXY names hosts, what lies below them, and ports", () => {
  const cases: [none: string, address: string, isDirect: boolean][] = [
    ["hub.example", "https://hub.example/", true],
    ["hub.example", "https://cdn.hub.example/", true],
    ["hub.example", "https://myhub.example/", false],
    [".hub.example", "https://hub.example/", true],
    ["*.hub.example", "https://a.hub.example/", true],
    ["HUB.example", "https://hub.EXAMPLE/", true],
    ["hub.example:443", "https://hub.example/", true],
    ["hub.example:80", "https://hub.example/", false],
    ["hub.example:8080", "http://hub.example:8080/", true],
    ["a.example, hub.example", "https://hub.example/", true],
    ["a.example hub.example", "https://hub.example/", true],
    ["*", "https://hub.example/", true],
    [",", "https://hub.example/", false],
    ["127.0.0.1", "http://127.0.0.1:9/", true],
  ];
  for (const [none, address, isDirect] of cases) {
    assert.equal(proxyOf(address, { none }) === undefined, isDirect, `${none} ${address}`);
  }
});
