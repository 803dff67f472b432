// How `doctor` gathers facts: about checkpoints with one fault each, folders, ports, and a hub on the loopback address.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../../test/support/checkpoints.ts";
import { packageRoot } from "../../generator/model-directory.ts";
import { hubEnvironment } from "../../hub/hub-environment.ts";
import type { TensorSource } from "../../model/loading/tensor-source.ts";
import { compareHashes, inspectModel, scanned } from "./model-facts.ts";
import { folderFacts, hubFacts, obstacleTo, sharedFolderFacts, tryToListen } from "./place-facts.ts";

const temporary = temporaryDirectory();
after(() => temporary.remove());
const OPTIONS = { precision: "f32", threads: 1 } as const;
const TINY = join(packageRoot(), "models", "tiny");

function checkpoint(name: string): string {
  return writeCheckpoint(join(temporary.path, name), { seed: 3, V: 61, P: 64 });
}

test("a correct model is opened and loaded, and every number is checked", async () => {
  const { config, parameters, hashes, tokenizer, notFinite, loadError, golden } = await inspectModel(
    TINY,
    OPTIONS,
  );
  assert.deepEqual([config.contextLength, parameters > 16e6, hashes.numKnown], [256, true, 0]);
  assert.ok(tokenizer && "vocabSize" in tokenizer && tokenizer.vocabSize <= config.vocabSize);
  assert.deepEqual([notFinite, loadError, golden], [undefined, undefined, undefined]);
});

test("a checkpoint that cannot be opened, one that lacks a tensor, one with a broken tokenizer", async () => {
  await assert.rejects(inspectModel(temporary.path, OPTIONS), {
    code: "invalid_checkpoint",
    message: /config\.json/,
  });

  const cut = checkpoint("cut");
  const config = JSON.parse(readFileSync(join(cut, "config.json"), "utf8"));
  writeFileSync(join(cut, "config.json"), JSON.stringify({ ...config, n_positions: 7 }));
  const lacking = await inspectModel(cut, OPTIONS);
  assert.match(lacking.loadError?.message ?? "", /wpe\.weight has shape/);

  const broken = checkpoint("broken-tokenizer");
  writeFileSync(join(broken, "vocab.json"), "{");
  writeFileSync(join(broken, "merges.txt"), "");
  const { tokenizer, loadError } = await inspectModel(broken, OPTIONS);
  assert.ok(tokenizer && "error" in tokenizer && tokenizer.error.includes("vocab.json"));
  assert.equal(loadError, undefined);
  assert.equal((await inspectModel(checkpoint("bare"), OPTIONS)).tokenizer, undefined);
});

test("the first number that is not finite is found, whatever the tensor's type", () => {
  const cases: [dtype: "F32" | "F16" | "BF16", bytes: Uint8Array, value: number][] = [
    ["F32", new Uint8Array(new Float32Array([1, 2, Number.NaN, Number.NaN]).buffer), Number.NaN],
    ["F16", new Uint8Array(new Uint16Array([0x3c00, 0x7bff, 0x7c00]).buffer), Number.POSITIVE_INFINITY],
    ["BF16", new Uint8Array(new Uint16Array([0x3f80, 0x7f7f, 0xff80]).buffer), Number.NEGATIVE_INFINITY],
  ];
  for (const [dtype, bytes, value] of cases) {
    const source = {
      tensor: () => ({
        dtype,
        read: (_: number, into: Uint8Array) => into.set(bytes.subarray(0, into.length)),
      }),
    } as Partial<TensorSource> as TensorSource;
    const scan = scanned(source);
    const into = new Uint8Array(bytes.length);
    scan.source.tensor("good", [1]).read(0, into.subarray(0, dtype === "F32" ? 4 : 2));
    assert.equal(scan.notFinite(), undefined);
    scan.source.tensor("bad", [9]).read(10, into);
    scan.source.tensor("later", [9]).read(0, into);
    assert.deepEqual(scan.notFinite(), { tensor: "bad", index: 12, value });
    assert.deepEqual(into, bytes);
  }
});

test("files whose name in the hub's cache is their hash are compared with it", async () => {
  const model = checkpoint("hashed");
  const blobs = join(temporary.path, "blobs");
  mkdirSync(blobs);
  const link = (name: string): string => {
    const path = join(model, name);
    const blob = join(blobs, createHash("sha256").update(readFileSync(path)).digest("hex"));
    renameSync(path, blob);
    symlinkSync(blob, path);
    return blob;
  };
  const config = link("config.json");
  link("model.safetensors");
  assert.deepEqual(await compareHashes(model), { numKnown: 2, differing: [] });
  writeFileSync(config, `${readFileSync(config, "utf8")} `);
  assert.deepEqual(await compareHashes(model), { numKnown: 2, differing: ["config.json"] });
});

test("folders are inspected without following links", () => {
  const path = join(temporary.path, "folder");
  assert.equal(folderFacts(path, "keys").found, undefined);
  mkdirSync(path, { mode: 0o700 });
  assert.deepEqual(folderFacts(path, "keys").found, { unfit: undefined, canWrite: true });
  symlinkSync(path, `${path}-link`);
  assert.match(folderFacts(`${path}-link`, "keys").found?.unfit?.reason ?? "", /is a symbolic link$/);
});

test("a folder that cannot be made: the nearest one above it is a file, or not for this user", () => {
  assert.equal(obstacleTo(join(temporary.path, "not", "yet", "there")), undefined);
  const file = join(temporary.path, "no folder");
  writeFileSync(file, "");
  assert.equal(obstacleTo(join(file, "a", "b")), file);
  assert.equal(obstacleTo(temporary.path), undefined);
  const barred = join(temporary.path, "barred");
  mkdirSync(barred, { mode: 0o500 });
  const isRoot = process.getuid?.() === 0; // Nothing is barred to root.
  assert.equal(obstacleTo(join(barred, "a")), isRoot || process.platform === "win32" ? undefined : barred);
});

test("a shared folder: its owner, who may write, and a path that is not a folder", () => {
  const path = join(temporary.path, "hub");
  assert.equal(sharedFolderFacts(path), undefined);
  mkdirSync(path);
  const well = { isFolder: true, isOthers: false, othersWrite: false, canWrite: true };
  chmodSync(path, 0o755);
  assert.deepEqual(sharedFolderFacts(path), well);
  chmodSync(path, 0o775);
  assert.deepEqual(sharedFolderFacts(path), { ...well, othersWrite: process.platform !== "win32" });
  writeFileSync(join(temporary.path, "file"), "");
  assert.equal(sharedFolderFacts(join(temporary.path, "file"))?.isFolder, false);
});

test("a port is tried and released", async (context) => {
  const server = createTcpServer().listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.equal(await tryToListen("127.0.0.1", port), "EADDRINUSE");
  server.close();
  await once(server, "close");
  assert.equal(await tryToListen("127.0.0.1", port), undefined);
  assert.equal(await tryToListen("127.0.0.1", port), undefined);
});

test("the hub is asked for an answer and its time, unless a variable forbids it", async (context) => {
  const asked: string[] = [];
  const hub = createServer(({ method, url, headers }, response) => {
    assert.equal(headers.authorization, undefined);
    asked.push(`${method} ${url}`);
    response.writeHead(asked.length === 1 ? 200 : 404, { date: "Tue, 01 Dec 2026 00:00:00 GMT" }).end();
  }).listen(0, "127.0.0.1");
  context.after(() => hub.close());
  await once(hub, "listening");
  const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  const there = Date.UTC(2026, 11, 1);
  const answered = { endpoint, offlineBy: undefined, error: undefined, there };
  const ask = (env: Record<string, string>) => hubFacts(hubEnvironment({ HF_HOME: temporary.path, ...env }));
  assert.deepEqual(await ask({ HF_ENDPOINT: `${endpoint}/`, HF_TOKEN: "hf_secret" }), answered);
  // Any status shows that the hub can be reached.
  assert.deepEqual(await ask({ HF_ENDPOINT: endpoint, HF_HUB_OFFLINE: "0" }), answered);
  assert.deepEqual(asked, ["HEAD /", "HEAD /"]);
  for (const name of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]) {
    const { offlineBy, error } = await ask({ HF_ENDPOINT: endpoint, [name]: "On" });
    assert.deepEqual([offlineBy, error, asked.length], [name, undefined, 2]);
  }
  hub.closeAllConnections();
  hub.close();
  await once(hub, "close");
  const gone = await ask({ HF_ENDPOINT: endpoint });
  assert.match(gone.error ?? "", /^cannot reach 127\.0\.0\.1:\d+: the connection is refused$/);
  const proxied = await ask({ HF_ENDPOINT: "http://hub.example", HTTP_PROXY: endpoint });
  assert.match(proxied.error ?? "", /; through the proxy 127\.0\.0\.1:\d+$/);
});
