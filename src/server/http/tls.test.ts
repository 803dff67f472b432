import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { aFront, PATH, signedHeaders } from "../../../test/support/front.ts";
import { aPlayground } from "../../../test/support/playground.ts";
import { connected, listening, received, until } from "../../../test/support/sockets.ts";
import { packageRoot } from "../../generator/model-directory.ts";
import { TlsFiles } from "./tls.ts";

const FIXTURES = join(packageRoot(), "test", "fixtures", "tls");

function certificateFiles(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const paths = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  let seconds = 1_000_000_000;
  const use = (kind: "cert" | "key", name: "first" | "second"): void => {
    copyFileSync(join(FIXTURES, `${name}-${kind}.pem`), paths[kind]);
    seconds++;
    utimesSync(paths[kind], seconds, seconds);
    chmodSync(paths[kind], 0o600);
  };
  use("cert", "first");
  use("key", "first");
  return { ...paths, use, open: () => new TlsFiles(paths.cert, paths.key, () => {}) };
}

/** The status of a signed request from a client that trusts one certificate only; rejects for any other certificate. */
function invoke(port: number, trusted: "first" | "second"): Promise<number | undefined> {
  const body = '{"input":""}';
  const headers = signedHeaders(body, { origin: `https://localhost:${port}` });
  const ca = readFileSync(join(FIXTURES, `${trusted}-cert.pem`));
  return new Promise((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      servername: "localhost",
      port,
      path: PATH,
      method: "POST",
      headers,
      ca,
    };
    request({ ...options, agent: false }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    })
      .on("error", reject)
      .end(body);
  });
}

test("a new certificate is used from the next connection on, once certificate and key belong together", async (context) => {
  const files = certificateFiles(context);
  const log: string[] = [];
  const logger = { level: "info", stream: { write: (line: string) => void log.push(line) } };
  const { app } = aFront({}, { tls: files.open(), logger });
  await app.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  assert.equal(await invoke(port, "first"), 200);
  files.use("cert", "second");
  assert.equal(await invoke(port, "first"), 200);
  files.use("key", "second");
  assert.equal(await invoke(port, "second"), 200);
  await assert.rejects(invoke(port, "first"));
  assert.equal(log.filter((line) => line.includes("the certificate was renewed")).length, 1);
});

test("the playground's cookie is for encrypted connections only, where the server encrypts", async (context) => {
  const { app, sessions } = aPlayground({}, { tls: certificateFiles(context).open() });
  await app.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const ca = readFileSync(join(FIXTURES, "first-cert.pem"));
  const path = `/?token=${sessions.token}`;
  const options = { host: "127.0.0.1", servername: "localhost", port, path, ca, agent: false };
  const asked = request({ ...options, headers: { host: `127.0.0.1:${port}` } }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  const [cookie = ""] = response.headers["set-cookie"] ?? [];
  assert.match(cookie, /^gpt2-playground-\d+=[\w-]{43}; (?=.*; HttpOnly; ).*; Secure$/);
});

test("a certificate that is expired or not yet valid is reported once, at the start or later", (context) => {
  const { cert, key, use } = certificateFiles(context);
  const problems: string[] = [];
  let now = new Date("2030-01-01");
  const open = () =>
    new TlsFiles(
      cert,
      key,
      (message) => problems.push(message),
      () => now,
    );
  const files = open();
  assert.deepEqual(problems, []);
  now = new Date("2200-01-01");
  files.read();
  files.read();
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /^the certificate of .*cert\.pem expired on Oct 30 .* 2126 GMT, so clients refuse it/,
  );
  use("cert", "second");
  files.read();
  assert.equal(problems.length, 2);
  now = new Date("2020-01-01");
  use("key", "second");
  open().read();
  assert.match(problems[2] ?? "", /cert\.pem is not valid before Nov 23 .* 2026 GMT, so clients refuse it/);
  assert.equal(problems.length, 3);
});

test("files that are missing, or do not belong together, are refused by name", (context) => {
  const files = certificateFiles(context);
  files.use("key", "second");
  assert.throws(files.open, {
    code: "invalid_config",
    message: /cert\.pem and .*key\.pem are not a certificate/,
  });
  writeFileSync(files.cert, "nonsense");
  assert.throws(files.open, { code: "invalid_config" });
  rmSync(files.cert);
  assert.throws(files.open, { code: "invalid_config", message: /cert\.pem cannot be used: it is not there/ });
});

/** Resolves when the server closes a TCP connection. */
async function closed(socket: Socket): Promise<void> {
  socket.on("error", () => {}).resume();
  await once(socket, "close");
}

test("a connection without a valid handshake ends within the time of the settings", {
  timeout: 20_000,
}, async (context) => {
  const { app } = await listening(
    context,
    { tlsHandshakeTimeoutMs: 100 },
    { tls: certificateFiles(context).open() },
  );
  const [silent, half, plain] = await Promise.all([connected(app), connected(app), connected(app)]);
  half.write(Buffer.from([22, 3, 1, 2, 0, 1]));
  plain.write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await Promise.all([silent, half, plain].map(closed));
  while (app.connections.stats.open > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(app.connections.stats.refused.handshake, 3);
});

test("connections in their handshake count for the limit, and make room when they end", async (context) => {
  const files = certificateFiles(context);
  const { app } = await listening(context, { connectionsMax: 2 }, { tls: files.open() });
  const silent = await Promise.all([connected(app), connected(app)]);
  await closed(await connected(app));
  assert.deepEqual([app.connections.stats.open, app.connections.stats.refused.full], [2, 1]);
  const left = closed(silent[0] as Socket);
  silent[0]?.end();
  await left;
  assert.equal(await invoke((app.server.address() as AddressInfo).port, "first"), 200);
});

test("a stop ends connections in their handshake, and idle ones without a reset", {
  timeout: 20_000,
}, async (context) => {
  const settings = { tlsHandshakeTimeoutMs: 600_000 };
  const { app } = await listening(context, settings, { tls: certificateFiles(context).open() });
  const { port } = app.server.address() as AddressInfo;
  const silent = await connected(app);
  const ca = readFileSync(join(FIXTURES, "first-cert.pem"));
  const idle = connectTls({ host: "127.0.0.1", port, servername: "localhost", ca });
  const text = received(idle);
  const answered = until(idle, /\}$/);
  idle.write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await answered;
  const stopped = app.close();
  await Promise.all([closed(silent), text, stopped]);
  assert.match(await text, /^HTTP\/1\.1 200 OK/);
});

test("a stop waits for pending answers on TLS connections", async (context) => {
  const { app, generator } = await listening(context, {}, { tls: certificateFiles(context).open() });
  const release = generator.holdAnswers();
  const silent = await connected(app);
  const answer = invoke((app.server.address() as AddressInfo).port, "first");
  await generator.wasAsked;
  const stopped = app.close();
  await closed(silent); // By now idle connections are ended.
  release();
  assert.equal(await answer, 200);
  await stopped;
});
