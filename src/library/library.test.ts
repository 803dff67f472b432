// The library as its users import it: by the package's name.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import { loadModel as loadModelType } from "../index.ts";

const { loadModel, GptError } = (await import("gpt2-api" as string)) as typeof import("../index.ts");
const model = await loadModel("tiny", { precision: "f32", threads: 1, kvCacheMb: 64 });
after(() => model.close());

const REQUEST = {
  input: "The old man looked at the sea and",
  mode: "greedy",
  num_return_sequences: 1,
} as const;
const EXPECTED = ' said, "I am not a man, but I am';

describe("the library", () => {
  it("is what an import of the package's name gives", () => {
    assert.equal(loadModel, loadModelType);
  });

  it("completes a text, with every parameter of a request", async () => {
    const { texts, sequences, prompt_tokens, generated_tokens } = await model.generate({
      ...REQUEST,
      max_new_tokens: 12,
    });
    assert.deepEqual(texts, [REQUEST.input + EXPECTED]);
    assert.deepEqual([sequences[0]?.finish_reason, prompt_tokens, generated_tokens], ["length", 8, 12]);
    const scored = await model.generate({
      ...REQUEST,
      max_new_tokens: 12,
      stop: "not",
      logprobs: 2,
      echo: false,
    });
    assert.deepEqual([scored.texts, scored.sequences[0]?.stop], [[' said, "I am '], "not"]);
    assert.equal(scored.sequences[0]?.tokens?.length, scored.sequences[0]?.token_logprobs?.length);
    const byIds = await model.generate({
      ...REQUEST,
      input: undefined as never,
      prompt_token_ids: [464, 1468],
      max_new_tokens: 1,
    });
    assert.equal(byIds.prompt_tokens, 2);
  });

  it("streams pieces which, joined, are the text", async () => {
    const pieces: string[] = [];
    const run = model.generate({ ...REQUEST, max_new_tokens: 12 });
    for await (const { index, text } of run) {
      assert.equal(index, 0);
      pieces.push(text);
    }
    assert.ok(pieces.length > 3);
    assert.equal(pieces.join(""), REQUEST.input + EXPECTED);
    assert.deepEqual((await run).texts, [pieces.join("")]);
    await assert.rejects(async () => {
      for await (const _ of run) assert.fail();
    }, /begun already/);
  });

  it("stops when the reader leaves the loop, or the signal is aborted", async () => {
    const run = model.generate({ ...REQUEST, max_new_tokens: 240 });
    for await (const _ of run) break;
    await assert.rejects(Promise.resolve(run), { code: "cancelled" });
    const controller = new AbortController();
    const told = model.generate({ ...REQUEST, max_new_tokens: 240 }, { signal: controller.signal });
    const failed = assert.rejects(Promise.resolve(told), { code: "cancelled" });
    controller.abort();
    await failed;
    await assert.rejects(
      async () => {
        for await (const _ of model.generate({ ...REQUEST }, { signal: controller.signal })) assert.fail();
      },
      { code: "cancelled" },
    );
  });

  it("scores a text", async () => {
    const { token_ids, logprobs, perplexity } = await model.score("The old man went home");
    assert.deepEqual(token_ids, [464, 1468, 582, 1816, 1363]);
    assert.equal(logprobs[0], null);
    const sum = logprobs.reduce<number>((total, value) => total + (value ?? 0), 0);
    assert.ok(Math.abs(sum - (-6.01765 - 1.72142 - 5.03854 - 4.05588)) < 1e-3);
    assert.ok(Math.abs(perplexity - Math.exp(-sum / 4)) < 1e-9);
    assert.deepEqual((await model.score(token_ids)).logprobs, logprobs);
  });

  it("reports errors with a code", async () => {
    const wrong = (request: object) => Promise.resolve(model.generate(request as never));
    await assert.rejects(
      wrong({ input: "a", max_lenght: 3 }),
      (error) => error instanceof GptError && error.code === "unknown_field",
    );
    await assert.rejects(wrong({ input: "a ".repeat(900) }), { code: "prompt_too_long", field: "input" });
    await assert.rejects(loadModel("./nowhere"), { name: "GptError" });
    const field = "num_return_sequences";
    await assert.rejects(wrong({ input: "a", mode: "beam", num_beams: 2, num_return_sequences: 3 }), {
      field,
    });
    await assert.rejects(model.score(5 as never), { code: "invalid_field", field: "input" });
    await assert.rejects(loadModel("gpt2", { offline: true }), { code: "model_not_cached" });
  });

  it("refuses options that it does not know or cannot use, and loads nothing that is not wanted", async () => {
    const refused = (options: object, message: RegExp) =>
      assert.rejects(loadModel("tiny", options as never), { code: "invalid_config", message });
    await refused({ presicion: "f32" }, /the option "presicion" is unknown; did you mean "precision"\?/);
    await refused({ port: 1 }, /the option "port" is unknown/);
    await refused({ precision: "f16" }, /loadModel: precision must be one of int8, f32, got "f16"/);
    await refused({ threads: -1 }, /loadModel: threads must be an integer from 0 to 256, got -1/);
    await refused({ kvCacheMb: 0.5 }, /kvCacheMb must be an integer/);
    await assert.rejects(loadModel("tiny", { signal: AbortSignal.abort() }), { code: "cancelled" });
    const controller = new AbortController();
    const loading = loadModel("tiny", { threads: 1, kvCacheMb: 16, signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(loading, { code: "cancelled" });
  });

  it("has a tokenizer and information about the model, and can be closed", async () => {
    const { tokenizer, info } = model;
    assert.equal(tokenizer?.decode(tokenizer.encode("naïve 😀")), "naïve 😀");
    assert.deepEqual([info.name, info.precision, info.contextLength], ["tiny", "f32", 256]);
    const other = await loadModel("tiny", { threads: 1, kvCacheMb: 16 });
    await other[Symbol.asyncDispose]();
    await assert.rejects(Promise.resolve(other.generate({ input: "a" })), { code: "cancelled" });
  });

  it("works in a program that is given on the command line", () => {
    const code =
      'const { loadModel } = await import("gpt2-api"); ' +
      'const model = await loadModel("tiny", { threads: 2, kvCacheMb: 16 }); await model.close(); console.log("closed");';
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
      cwd: packageRoot(),
      encoding: "utf8",
    });
    assert.equal(stdout, "closed\n", stderr);
  });

  it("loads no HTTP server", () => {
    const code =
      'await import("gpt2-api"); ' +
      'const { Session } = await import("node:inspector"); const s = new Session(); s.connect(); let urls = []; ' +
      's.on("Debugger.scriptParsed", ({ params }) => urls.push(params.url)); s.post("Debugger.enable"); ' +
      "console.log(urls.filter((url) => /fastify|server\\/doors|prom-client/.test(url)).join());";
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
      cwd: packageRoot(),
      encoding: "utf8",
    });
    assert.equal(stdout, "\n", stderr);
  });
});

describe("examples", () => {
  const folder = join(packageRoot(), "examples");
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".js"))) {
    it(name, () => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(folder, name), ...(name === "browser.js" ? ["--once"] : [])],
        {
          encoding: "utf8",
        },
      );
      assert.equal(status, 0, stderr);
      assert.ok(stdout.length > 20, stdout);
    });
  }
});
