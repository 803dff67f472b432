// A project of CommonJS modules: `require` where this Node.js can load an ES module so, and `import()`.
const assert = require("node:assert/strict");

async function main() {
  const { loadModel, GptError } = process.features.require_module
    ? require("gpt2-api")
    : await import("gpt2-api");
  const { Client } = await import("gpt2-api/client");
  assert.equal(typeof Client, "function");
  const model = await loadModel("tiny", { threads: 1, kvCacheMb: 64 });
  const { texts } = await model.generate({ input: "Once", max_new_tokens: 3, num_return_sequences: 1 });
  assert.match(texts[0], /^Once/);
  await assert.rejects(Promise.resolve(model.generate({})), GptError);
  await model.close();
  console.log("fine");
}

void main();
