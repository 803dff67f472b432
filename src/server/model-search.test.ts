import assert from "node:assert/strict";
import { test } from "node:test";
import type { FoundModel } from "../generator/find-model.ts";
import { ModelSearch } from "./model-search.ts";

test("each model is found once, those of a hub one after the other, and a stop ends downloads", async () => {
  const asked: string[] = [];
  const fetched = new Map<string, (part: number) => void>();
  const settle = new Map<
    string,
    { resolve: (model: FoundModel) => void; reject: (error: unknown) => void }
  >();
  const search = new ModelSearch(["gpt2", "tiny", "gpt2", "owner/other"], (model, signal, onFetched) => {
    asked.push(model);
    fetched.set(model, onFetched);
    return new Promise((resolve, reject) => {
      settle.set(model, { resolve, reject });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  const aTurn = () => new Promise((resolve) => setImmediate(resolve));
  await aTurn();
  assert.deepEqual(asked.sort(), ["gpt2", "tiny"]);
  assert.equal(search.stateOf("gpt2"), "loading");
  fetched.get("gpt2")?.(0.459);
  assert.equal(search.stateOf("gpt2"), "downloading 45 %");
  assert.equal(search.stateOf("tiny"), "loading");
  const first = search.of("gpt2");
  assert.equal(search.of("gpt2"), first);
  settle.get("gpt2")?.resolve({ directory: "/gpt2", name: "gpt2" });
  assert.equal((await first).directory, "/gpt2");
  await aTurn();
  assert.deepEqual(asked.at(-1), "owner/other");
  fetched.get("gpt2")?.(1);
  assert.equal(search.stateOf("gpt2"), "loading");
  await search.close();
  await assert.rejects(search.of("owner/other"), /the server stops/);
});

test("after a failed download the next model is tried; a name that can be no model is refused at once", async () => {
  const search = new ModelSearch(["a", "b"], async (model) => {
    if (model === "a") throw new Error("no a");
    return { directory: model, name: model };
  });
  await assert.rejects(search.of("a"), /no a/);
  assert.equal((await search.of("b")).name, "b");
  assert.throws(() => new ModelSearch(["gpt2", "/no/such"], () => assert.fail("nothing is begun")), {
    code: "invalid_checkpoint",
  });
});
