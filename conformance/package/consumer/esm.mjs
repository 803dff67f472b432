// A project of ES modules: the library, then the server and its client.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { loadModel } from "gpt2-api";
import { Client } from "gpt2-api/client";
import { createApp, DEFAULT_SETTINGS, loadGenerator } from "gpt2-api/server";
import { signRequest } from "gpt2-api/sigv4";

const REQUEST = {
  input: "The old man looked at the sea and",
  mode: "greedy",
  max_new_tokens: 12,
  num_return_sequences: 1,
};
const TEXT = `${REQUEST.input} said, "I am not a man, but I am`;

const model = await loadModel("tiny", { precision: "f32", threads: 2, kvCacheMb: 64 });
assert.deepEqual((await model.generate(REQUEST)).texts, [TEXT]);
await model.close();

const generator = await loadGenerator({
  model: fileURLToPath(new URL("models/tiny", import.meta.resolve("gpt2-api/package.json"))),
  name: "tiny",
  precision: "f32",
  kvCacheMb: 64,
  queueRequestsMax: 8,
});
const credential = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" };
const app = createApp({
  generators: new Map([["gpt-2", generator]]),
  settings: DEFAULT_SETTINGS,
  keys: {
    keyPair: (id) => (id === credential.accessKeyId ? { ...credential, endpoints: "*" } : undefined),
    apiKey: () => undefined,
  },
});
const url = await app.listen({ port: 0, host: "127.0.0.1" });
const client = new Client({ url, keyPair: credential });
assert.deepEqual((await client.generate(REQUEST)).texts, [TEXT]);
let streamed = "";
for await (const { text } of client.generate(REQUEST)) streamed += text;
assert.equal(streamed, TEXT);
assert.equal(typeof signRequest, "function");
await app.close();
await generator.close();
console.log("fine");
