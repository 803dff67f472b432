// Proxies on the way to the hub, and certificates that are not trusted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { FakeHub } from "../../test/support/fake-hub.ts";
import { fakeRepository, modelContents } from "../../test/support/fake-repository.ts";
import { HubUser } from "../../test/support/hub-user.ts";
import { aProxy } from "../../test/support/proxies.ts";
import { packageRoot } from "../generator/model-directory.ts";

const MODEL = fakeRepository("owner/model", modelContents());

test("a proxy carries everything, in one tunnel for each host, with its own credentials", async (context) => {
  const hub = await FakeHub.start([MODEL], {}, context);
  const proxy = await aProxy(context);
  const user = new HubUser(context, hub.endpoint, {
    env: { HTTP_PROXY: proxy.url.replace("//", "//me:p%20w@") },
  });
  await user.pull("owner/model");
  assert.deepEqual(
    proxy.asked,
    [hub.endpoint, hub.cdn].map((url) => ({
      target: new URL(url).host,
      credentials: `Basic ${Buffer.from("me:p w").toString("base64")}`,
    })),
  );
  for (const { headers } of hub.log) assert.equal(headers["proxy-authorization"], undefined);
});

test("hosts of NO_PROXY are reached without it", async (context) => {
  const hub = await FakeHub.start([MODEL], {}, context);
  const proxy = await aProxy(context);
  const user = new HubUser(context, hub.endpoint, {
    env: { http_proxy: proxy.url, HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "localhost" },
  });
  await user.pull("owner/model");
  assert.deepEqual(
    proxy.asked.map(({ target }) => target),
    [new URL(hub.endpoint).host],
  );
});

test("a proxy that refuses, is not there or says nothing is named, without its password", async (context) => {
  const hub = await FakeHub.start([MODEL], {}, context);
  const refusing = await aProxy(context, { status: 407 });
  const overloaded = await aProxy(context, { status: 503 });
  const silent = await aProxy(context, { numSilent: 99 });
  const gone = { url: "http://127.0.0.1:1" };
  const cases: [proxy: { url: string }, cause: RegExp, numWaits: number][] = [
    [refusing, /: the proxy answers 407; through the proxy 127\.0\.0\.1:\d+$/, 0],
    [overloaded, /: the proxy answers 503; through the proxy 127\.0\.0\.1:\d+; tried 6 times$/, 5],
    [silent, /: no answer in time; through the proxy 127\.0\.0\.1:\d+; tried 6 times$/, 5],
    [gone, /: the connection is refused; through the proxy 127\.0\.0\.1:1; tried 6 times$/, 5],
  ];
  for (const [{ url }, message, numWaits] of cases) {
    const user = new HubUser(context, hub.endpoint, {
      env: { HTTP_PROXY: url.replace("//", "//me:secret@") },
      // Servers that do answer get a long timeout, for slow machines.
      ...(url === silent.url && { environment: { connectTimeoutMs: 20, headersTimeoutMs: 20 } }),
    });
    await assert.rejects(user.pull("owner/model"), (error: Error & { code?: string }) => {
      assert.equal(error.code, "hub_unreachable");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    assert.equal(user.waits.length, numWaits);
  }
});

test("what is asked after a silence does not wait behind what was asked before it", async (context) => {
  const hub = await FakeHub.start([MODEL], {}, context);
  const proxy = await aProxy(context, { numSilent: 1 });
  const user = new HubUser(context, hub.endpoint, {
    env: { HTTP_PROXY: proxy.url },
    environment: { connectTimeoutMs: 300, headersTimeoutMs: 300 },
  });
  await user.pull("owner/model");
  assert.deepEqual(user.waits, [1000]);
});

test("a certificate that nobody trusts ends the attempt at once, with what to do", async (context) => {
  const pem = (name: string) => readFileSync(join(packageRoot(), "test", "fixtures", "tls", name));
  const server = createServer({ cert: pem("first-cert.pem"), key: pem("first-key.pem") });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const user = new HubUser(context, `https://127.0.0.1:${port}`);
  await assert.rejects(user.pull("owner/model"), {
    code: "hub_unreachable",
    message: new RegExp(
      `^cannot reach 127\\.0\\.0\\.1:${port}: its certificate is not trusted \\(.+\\); NODE_EXTRA_CA_CERTS`,
    ),
  });
  assert.deepEqual(user.waits, []);
});
