import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type CheckpointOptions,
  temporaryDirectory,
  writeCheckpoint,
  writeSafetensors,
} from "../../../test/support/checkpoints.ts";
import { editHeader, patch } from "../../../test/support/spoiled-checkpoints.ts";
import { messageOf } from "../../errors.ts";
import { WasmExecutor } from "../../kernels/host/executor.ts";
import { Arena, LinearMemory } from "../../kernels/memory.ts";
import { allocateProgram, Kernels } from "../../kernels/program.ts";
import { score } from "../../offline/score.ts";
import type { MemoryPlan } from "../gpt2.ts";
import { type Gpt2Config, parseGpt2Config } from "../gpt2-config.ts";
import { Checkpoint } from "./checkpoint.ts";
import { assertAddressable, pagesFor } from "./footprint.ts";
import { buildModel, loadModel } from "./load-model.ts";
import { allocateStaging, Packer } from "./packing.ts";
import { SafetensorsFile } from "./safetensors.ts";
import { numbersOf } from "./tensor.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
let count = 0;

function write(options: Partial<CheckpointOptions> = {}): string {
  return writeCheckpoint(join(directory.path, String(count++)), { seed: 7, ...options });
}

async function lastLogits(path: string): Promise<number[]> {
  const { backend } = loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
  const { lastLogits } = score(backend, [1, 2, 3, 4, 5]);
  await backend.close();
  return [...lastLogits];
}

describe("a checkpoint gives the same model in every form", async () => {
  const plain = await lastLogits(write());

  it("with the transformer. prefix, with mask buffers, in shards", async () => {
    const forms: Partial<CheckpointOptions>[] = [
      { prefix: "transformer." },
      { maskBuffers: true, prefix: "transformer." },
      { shards: 3 },
      { shards: 2, prefix: "transformer.", maskBuffers: true },
      { format: "zip", maskBuffers: true },
      { format: "legacy", prefix: "transformer." },
      { format: "zip", shards: 3 },
      { format: "legacy", shards: 2, prefix: "transformer.", maskBuffers: true },
    ];
    for (const form of forms) assert.deepEqual(await lastLogits(write(form)), plain, JSON.stringify(form));
  });

  it("under the aliases of its config fields", async () => {
    const path = write();
    const file = join(path, "config.json");
    const { vocab_size, n_positions, n_embd, n_layer, n_head } = JSON.parse(readFileSync(file, "utf8"));
    const aliases = {
      vocab_size,
      max_position_embeddings: n_positions,
      hidden_size: n_embd,
      num_hidden_layers: n_layer,
      num_attention_heads: n_head,
      eos_token_id: [60, 3],
      n_inner: null,
      // transformers ignores both for GPT-2
      hidden_act: "relu",
      intermediate_size: 5,
    };
    writeFileSync(file, JSON.stringify(aliases));
    assert.deepEqual(await lastLogits(path), plain);
    assert.deepEqual(Checkpoint.open(path).config.eosTokenIds, [60, 3]);
  });

  it("in F64, and with shards in a folder", async () => {
    assert.deepEqual(await lastLogits(write({ dtype: "F64" })), plain);
    const path = write({ shards: 2 });
    mkdirSync(join(path, "weights"));
    const file = join(path, "model.safetensors.index.json");
    const index = JSON.parse(readFileSync(file, "utf8")) as { weight_map: Record<string, string> };
    for (const name of new Set(Object.values(index.weight_map))) {
      renameSync(join(path, name), join(path, "weights", name));
    }
    const map = Object.entries(index.weight_map).map(([name, shard]) => [name, `weights/${shard}`]);
    writeFileSync(file, JSON.stringify({ weight_map: Object.fromEntries(map) }));
    assert.deepEqual(await lastLogits(path), plain);
  });

  it("under the prefixes of wrappers", async () => {
    for (const prefix of ["module.transformer.", "model.", "module.module."]) {
      assert.deepEqual(await lastLogits(write({ prefix })), plain, prefix);
    }
  });

  it("with what Python writes beyond JSON, a config of an older form, and tokens that are none", async () => {
    const path = write();
    const file = join(path, "config.json");
    const { n_positions, ...config } = JSON.parse(readFileSync(file, "utf8"));
    const older = { ...config, n_ctx: n_positions, bos_token_id: -1, eos_token_id: -1, other: '\\"NaN' };
    writeFileSync(
      file,
      JSON.stringify(older).replace("{", '{"a": [NaN, -Infinity, Infinity, {"NaN": "NaN"}], '),
    );
    assert.deepEqual(Checkpoint.open(path).config.eosTokenIds, []);
    assert.deepEqual(await lastLogits(path), plain);
  });

  it("F16 and BF16 to their precision", async () => {
    for (const [dtype, tolerance] of [
      ["F16", 0.02],
      ["BF16", 0.15],
    ] as const) {
      const halves = await lastLogits(write({ dtype }));
      const largest = Math.max(...halves.map((z, i) => Math.abs(z - (plain[i] as number))));
      assert.ok(largest > 0 && largest < tolerance, `${dtype} is off by ${largest}`);
    }
  });

  it("with a head of its own", async () => {
    const untied = { config: { tie_word_embeddings: false } };
    const logits = await lastLogits(write(untied));
    assert.notDeepEqual(logits, plain);
    assert.deepEqual(await lastLogits(write({ ...untied, prefix: "transformer.", shards: 2 })), logits);
  });
});

/** A vector as it comes into memory. */
function widened(file: SafetensorsFile, name: string, width: number): number[] {
  const arena = new Arena();
  const program = allocateProgram(arena, { maxInstructions: 4, contextLength: 1, threads: 1 });
  const staging = allocateStaging(arena, parseGpt2Config({}, "config.json"));
  const address = arena.floats(width);
  const memory = new LinearMemory(arena.size);
  const packer = new Packer(new Kernels(WasmExecutor.start(memory, 1), program), staging);
  const tensor = file.tensor(name, [width]);
  packer.rows(address, tensor, [1, width]);
  const values = [...memory.floats(address, width)];
  assert.deepEqual([...numbersOf(tensor, 0, width)], values);
  return values;
}

describe("the output head and the token embedding", async () => {
  const tied = { tie_word_embeddings: true };
  const plain = await lastLogits(write());
  const untied = await lastLogits(write({ config: { tie_word_embeddings: false } }));

  it("are two tensors when both are there and differ, whatever the config says", async () => {
    const path = write({ config: { tie_word_embeddings: false }, prefix: "transformer." });
    patch(tied)(path);
    assert.deepEqual(await lastLogits(path), untied);
  });

  it("are one when both are there and equal", async () => {
    const path = write();
    withCopy(path, "wte.weight", "lm_head.weight");
    assert.ok(Checkpoint.open(path).config.tieWordEmbeddings);
    assert.deepEqual(await lastLogits(path), plain);
  });

  it("are one when only the head is there", async () => {
    const path = write();
    editHeader(path, ({ "wte.weight": table, ...others }) => ({ ...others, "lm_head.weight": table }));
    assert.deepEqual(await lastLogits(path), plain);
    patch({ tie_word_embeddings: false })(path);
    assert.throws(() => loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 }), {
      message: /tensor wte\.weight of shape \[61,16\] is missing/,
    });
  });
});

it("what ends a text stands in generation_config.json alone, where there is one", () => {
  const path = write();
  assert.deepEqual(Checkpoint.open(path).config.eosTokenIds, [60]);
  const file = join(path, "generation_config.json");
  for (const [json, expected] of [
    [{ eos_token_id: 3, temperature: 0.5, eta_cutoff: "x" }, [3]],
    [{ eos_token_id: [4, 70] }, [4, 70]],
    [{ eos_token_id: null }, []],
    [{ bos_token_id: 1 }, []],
  ] as const) {
    writeFileSync(file, JSON.stringify(json));
    assert.deepEqual(Checkpoint.open(path).config.eosTokenIds, expected);
  }
  for (const [text, message] of [
    ["[3]", /generation_config\.json: is \[3\]; expected a JSON object/],
    ['{"eos_token_id": "3"}', /generation_config\.json: eos_token_id is "3": /],
    ["{", /generation_config\.json: is not JSON/],
  ] as const) {
    writeFileSync(file, text);
    assert.throws(() => Checkpoint.open(path), { code: "invalid_checkpoint", message });
  }
});

/** Adds the bytes of a tensor once more, under another name. */
function withCopy(path: string, from: string, to: string): void {
  const file = join(path, "model.safetensors");
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE());
  editHeader(path, (header) => {
    const { data_offsets, ...entry } = header[from] as { data_offsets: [number, number] };
    const [begin, end] = data_offsets;
    const place = bytes.length - start;
    return { ...header, [to]: { ...entry, data_offsets: [place, place + end - begin] } };
  });
  const { data_offsets } = JSON.parse(bytes.toString("utf8", 8, start))[from];
  appendFileSync(file, bytes.subarray(start + data_offsets[0], start + data_offsets[1]));
}

it("takes an empty tensor that begins where another does, wherever it stands in the header", () => {
  const path = writeCheckpoint(join(directory.path, "empty-tensor"), { seed: 7 });
  const empty = { dtype: "F32", shape: [0], data_offsets: [0, 0] };
  editHeader(path, (header) => ({ ...header, empty }));
  const file = SafetensorsFile.open(join(path, "model.safetensors"));
  assert.deepEqual(file.tensors.get("empty")?.shape, [0]);
  file.close();
});

describe("half precision numbers", () => {
  it("are read exactly: zeros, subnormals, the largest", () => {
    const file = join(directory.path, "halves.safetensors");
    const bits = [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x3555];
    const bytes = new Uint8Array(Uint16Array.from(bits).buffer);
    const tensor = { shape: [bits.length], bytes };
    writeSafetensors(file, [
      { name: "a", dtype: "F16", ...tensor },
      { name: "b", dtype: "BF16", ...tensor },
    ]);
    const opened = SafetensorsFile.open(file);
    const smallest = 2 ** -24;
    assert.deepEqual(widened(opened, "a", bits.length), [
      0,
      -0,
      smallest,
      1023 * smallest,
      2 ** -14,
      1,
      -2,
      65504,
      1365 * 2 ** -12,
    ]);
    const upper = bits.map((b) => new Float32Array(Uint32Array.of(b << 16).buffer)[0]);
    assert.deepEqual(widened(opened, "b", bits.length), upper);
    opened.close();
  });
});

describe("a checkpoint that cannot be used is refused", () => {
  it("no directory, and a shard outside of it", () => {
    const open = (path: string) => (): unknown =>
      loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
    assert.throws(open(join(directory.path, "nowhere")), { message: /nowhere: no such directory/ });
    const path = write({ shards: 2 });
    const index = join(path, "model.safetensors.index.json");
    writeFileSync(index, JSON.stringify({ weight_map: { "wte.weight": "../a.safetensors" } }));
    assert.throws(open(path), { message: /names a file outside the directory: \.\.\/a\.safetensors/ });
    writeFileSync(index, "{}");
    assert.throws(open(path), { message: /has no weight_map of file names/ });
  });

  it("a model that WebAssembly cannot address, with what would fit", () => {
    const shape = (nLayer: number, nEmbd: number) =>
      parseGpt2Config({ n_layer: nLayer, n_embd: nEmbd, n_head: nEmbd / 64 }, "");
    const [large, xl, huge] = [shape(36, 1280), shape(48, 1600), shape(96, 3200)];
    const refused = (config: Gpt2Config, precision: "f32" | "int8", kvCacheMb: number, message: RegExp) => {
      const source = { config, tensor: () => assert.fail("nothing is read") };
      assert.throws(() => buildModel(source, { precision, kvCacheMb, threads: 1 }), {
        code: "invalid_config",
        message,
      });
    };
    refused(
      xl,
      "f32",
      256,
      /1557\.6 M parameters in f32 needs 6\.\d GiB with .* one context, .* ends at 4 GiB: use --precision int8, which needs 1\.9 GiB$/,
    );
    refused(huge, "f32", 1, /needs 46\.\d GiB .* ends at 4 GiB: use a smaller checkpoint$/);
    refused(huge, "int8", 1, /in int8 needs 12\.\d GiB .* ends at 4 GiB: use a smaller checkpoint$/);
    refused(
      xl,
      "int8",
      3000,
      /in int8 needs 1\.\d GiB besides 2\.9 GiB for keys and values, .*: lower --kv-cache-mb to 2\d\d\d or less$/,
    );
    refused(
      large,
      "f32",
      2048,
      /774\.0 M parameters in f32 needs [23]\.\d GiB besides 2\.0 GiB .*: lower --kv-cache-mb to \d+ or less$/,
    );
  });

  it("what is refused for its keys and values fits with the budget that is named", () => {
    const config = parseGpt2Config({}, "");
    const plan = (kvCacheMb: number): MemoryPlan => ({
      precision: "int8",
      pages: pagesFor(config, "int8", kvCacheMb),
      maxBatchTokens: 128,
      maxLogitRows: 64,
      threads: 1,
    });
    const sentenceOf = (kvCacheMb: number): string => {
      try {
        assertAddressable(config, plan(kvCacheMb));
        return "";
      } catch (error) {
        return messageOf(error);
      }
    };
    const largest = Number(/to (\d+) or less/.exec(sentenceOf(10_000))?.[1]);
    assert.equal(sentenceOf(largest), "");
    assert.notEqual(sentenceOf(largest + 40), "");
  });
});
