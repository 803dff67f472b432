// Checkpoints that are damaged, truncated, of another kind or malicious. Each is refused with one short sentence that names the
// file and the problem, before memory is allocated for the model.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../../test/support/checkpoints.ts";
import { editHeader, patch } from "../../../test/support/spoiled-checkpoints.ts";
import { GptError } from "../../errors.ts";
import { loadModel } from "./load-model.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
let count = 0;

function write(): string {
  return writeCheckpoint(join(directory.path, String(count++)), { seed: 7 });
}

describe("a wrong checkpoint gets one clear sentence", () => {
  type Case = [string, (path: string) => void, RegExp];
  const cases: Case[] = [
    [
      "no config",
      (p) => rmSync(join(p, "config.json")),
      /config\.json: is missing; the directory holds .*model\.safetensors/,
    ],
    ...["config.json", "model.safetensors"].map(
      (missing): Case => [
        `a release of OpenAI's, and no ${missing}`,
        (p) => {
          rmSync(join(p, missing));
          writeFileSync(join(p, "model.ckpt.index"), "");
        },
        /: is a TensorFlow checkpoint; .*python -m \S+ --gpt2_checkpoint_path \S+\/model\.ckpt --gpt2_config_file \S+/,
      ],
    ),
    [
      "a directory in the weights' place",
      (p) => {
        rmSync(join(p, "model.safetensors"));
        mkdirSync(join(p, "model.safetensors"));
      },
      /model\.safetensors: is not a regular file/,
    ],
    ["config is not JSON", (p) => writeFileSync(join(p, "config.json"), "{"), /config\.json: is not JSON/],
    [
      "config is a list",
      (p) => writeFileSync(join(p, "config.json"), "[]"),
      /config\.json: is \[\]; expected a JSON object/,
    ],
    ["another model", patch({ model_type: "llama" }), /model_type is "llama", and only "gpt2" can be loaded/],
    ["cross-attention", patch({ add_cross_attention: true }), /add_cross_attention is true/],
    [
      "unknown activation",
      patch({ activation_function: "sqrtsoftplus" }),
      /activation_function is "sqrtsoftplus": known are gelu_new/,
    ],
    [
      "an activation that learns",
      patch({ activation_function: "xielu" }),
      /activation_function is "xielu": has numbers of its own in every layer, which are not read; known are/,
    ],
    ["heads", patch({ n_head: 3 }), /n_embd 16 is not a multiple of n_head 3/],
    [
      "a field of the wrong type",
      patch({ n_layer: "two" }),
      /config\.json: n_layer is "two": .*expected number/,
    ],
    [
      "no weights",
      (p) => rmSync(join(p, "model.safetensors")),
      /has none of model\.safetensors, model\.safetensors\.index\.json, pytorch_model\.bin, .*index\.json/,
    ],
    [
      "a pickle that is none",
      (p) => {
        rmSync(join(p, "model.safetensors"));
        writeFileSync(join(p, "pytorch_model.bin"), "x");
      },
      /pytorch_model\.bin: is not a file of torch\.save: it begins neither as a zip file nor as a pickle/,
    ],
    [
      "truncated data",
      (p) => truncateSync(join(p, "model.safetensors"), 9000),
      /is truncated: tensor .* ends at byte/,
    ],
    [
      "truncated header",
      (p) => truncateSync(join(p, "model.safetensors"), 100),
      /truncated or not a safetensors file/,
    ],
    [
      "a header that lacks its last bytes",
      (p) => {
        const file = join(p, "model.safetensors");
        truncateSync(file, 7 + Number(readFileSync(file).readBigUInt64LE()));
      },
      /truncated or not a safetensors file/,
    ],
    ["an empty file", (p) => truncateSync(join(p, "model.safetensors"), 0), /is 0 bytes long, too short/],
    [
      "not safetensors",
      (p) => writeFileSync(join(p, "model.safetensors"), "x".repeat(99)),
      /not a safetensors file/,
    ],
    [
      "another shape",
      patch({ n_positions: 32 }),
      /tensor wpe\.weight has shape \[64,16\], expected \[32,16\]/,
    ],
    [
      "another vocabulary",
      patch({ vocab_size: 62 }),
      /tensor wte\.weight has shape \[61,16\], expected \[62,16\]/,
    ],
    ["missing layer", patch({ n_layer: 3 }), /n_layer of config\.json is 3, and the weights have 2 layers/],
    [
      "missing head",
      patch({ tie_word_embeddings: false }),
      /tensor lm_head\.weight of shape \[61,16\] is missing/,
    ],
    [
      "an unknown type",
      (p) => retype(p, "F32", "I32"),
      /tensor wte\.weight has type "I32", expected F32, F16, BF16 or F64/,
    ],
    ["a wrong size", (p) => retype(p, "F32", "F16"), /tensor "wte\.weight" takes 3904 bytes, expected 1952/],
  ];

  function retype(path: string, from: string, to: string): void {
    const file = join(path, "model.safetensors");
    const bytes = readFileSync(file);
    const at = bytes.indexOf(`"${from}"`, bytes.indexOf("wte.weight"));
    bytes.write(to, at + 1);
    writeFileSync(file, bytes);
  }

  const header = (edit: Parameters<typeof editHeader>[1]) => (path: string) => editHeader(path, edit);
  const moved = (name: string, move: (offsets: readonly [number, number]) => unknown) =>
    header((entries) => {
      const entry = entries[name] as { data_offsets: [number, number] };
      return { ...entries, [name]: { ...entry, data_offsets: move(entry.data_offsets) } };
    });
  const LAST = "ln_f.bias";
  cases.push(
    [
      "a tensor that ends before it begins",
      moved(LAST, ([a, b]) => [b, a]),
      /"ln_f\.bias" ends at byte \d+, before it begins/,
    ],
    [
      "a tensor over another",
      moved(LAST, ([a, b]) => [a - 4, b - 4]),
      /"ln_f\.bias" begins .* and overlaps the one before it/,
    ],
    [
      "a tensor before the data",
      moved(LAST, ([a, b]) => [a - 1e6, b - 1e6]),
      /entry for "ln_f\.bias" is malformed/,
    ],
    [
      "offsets beyond what counts exactly",
      moved(LAST, ([a]) => [a, 2 ** 60]),
      /entry for "ln_f\.bias" is malformed/,
    ],
    [
      "a gap before the last tensor",
      (p) => {
        moved(LAST, ([a, b]) => [a + 4, b + 4])(p);
        appendFileSync(join(p, "model.safetensors"), "1234");
      },
      /"ln_f\.bias" begins .* and leaves a gap before it/,
    ],
    [
      "a gap",
      (p) => appendFileSync(join(p, "model.safetensors"), "1234"),
      /has 4 bytes behind its last tensor/,
    ],
    [
      "a shape that overflows",
      header((e) => ({ ...e, [LAST]: { ...e[LAST], shape: [2 ** 52, 2 ** 52] } })),
      /expected 8.*e\+31 for F32/,
    ],
    ["a header that is a list", header(() => []), /its header is \[\]/],
    [
      "a deep header",
      (p) => rewriteHeader(p, `${"[".repeat(1e5)}${"]".repeat(1e5)}`),
      /its header is nested more than 200 deep/,
    ],
    [
      "a tensor that is there twice",
      (p) => rewriteHeader(p, (text) => text.replace("{", `{"${LAST}":{},`)),
      /its header says "ln_f\.bias" twice/,
    ],
    [
      "a header that says a thing twice",
      (p) => rewriteHeader(p, (text) => text.replace('"dtype"', '"dtype":"F32","dtype"')),
      /its header says "dtype" twice/,
    ],
    [
      "a thousand layers too many",
      patch({ n_layer: 1_000_000 }),
      /n_layer of config\.json is 1000000, and the weights have 2 layers/,
    ],
    [
      "a deep config",
      (p) => writeFileSync(join(p, "config.json"), "[".repeat(1e5)),
      /config\.json: is nested more than 200 deep/,
    ],
    [
      "a value of megabytes",
      patch({ n_layer: "x".repeat(6e6) }),
      /config\.json: n_layer is "x{60}…": Invalid input: expected number, received string$/,
    ],
    [
      "a value that is no number",
      (p) => replaced(p, "config.json", '"n_layer":2', '"n_layer":NaN'),
      /n_layer is "NaN"/,
    ],
    [
      "a pointer of Git LFS for weights",
      pointer("model.safetensors"),
      /model\.safetensors: is a pointer of Git LFS/,
    ],
    ["a pointer of Git LFS for a config", pointer("config.json"), /config\.json: is a pointer of Git LFS/],
    ["a pipe for a config", pipe("config.json"), /config\.json: is not a regular file/],
    ["a pipe for weights", pipe("model.safetensors"), /model\.safetensors: is not a regular file/],
    [
      "NaN in a matrix",
      poked("h.1.mlp.c_fc.weight", Number.NaN),
      /tensor h\.1\.mlp\.c_fc\.weight holds a number that is not finite at index 7/,
    ],
    [
      "infinity in a vector",
      poked("h.0.ln_1.bias", Number.NEGATIVE_INFINITY),
      /tensor h\.0\.ln_1\.bias holds a number/,
    ],
    ["NaN in the embedding", poked("wte.weight", Number.NaN), /tensor wte\.weight holds a number/],
    ["NaN in the positions", poked("wpe.weight", Number.NaN), /tensor wpe\.weight holds a number/],
  );

  function pointer(name: string): (path: string) => void {
    const text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n";
    return (path) => writeFileSync(join(path, name), text);
  }

  function pipe(name: string): (path: string) => void {
    return (path) => {
      rmSync(join(path, name));
      execFileSync("mkfifo", [join(path, name)]);
    };
  }

  /** Replaces a tensor's seventh number. */
  function poked(tensor: string, value: number): (path: string) => void {
    return (path) => {
      const file = join(path, "model.safetensors");
      const bytes = readFileSync(file);
      const start = 8 + Number(bytes.readBigUInt64LE());
      const { data_offsets } = JSON.parse(bytes.toString("utf8", 8, start))[tensor];
      bytes.writeFloatLE(value, start + data_offsets[0] + 4 * 7);
      writeFileSync(file, bytes);
    };
  }

  function replaced(path: string, name: string, from: string, to: string): void {
    const file = join(path, name);
    const text = readFileSync(file, "utf8");
    assert.ok(text.includes(from));
    writeFileSync(file, text.replace(from, to));
  }

  function rewriteHeader(path: string, change: string | ((text: string) => string)): void {
    const file = join(path, "model.safetensors");
    const bytes = readFileSync(file);
    const end = 8 + Number(bytes.readBigUInt64LE());
    const text = typeof change === "string" ? change : change(bytes.toString("utf8", 8, end));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    writeFileSync(file, Buffer.concat([length, Buffer.from(text), bytes.subarray(end)]));
  }

  const good = write();
  for (const [name, spoil, message] of cases) {
    it(name, () => {
      const path = join(directory.path, String(count++));
      cpSync(good, path, { recursive: true });
      spoil(path);
      const load = () => loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
      assert.throws(load, (error) => {
        assert.ok(error instanceof GptError && error.code === "invalid_checkpoint", String(error));
        assert.match(error.message, message);
        assert.ok(error.message.length < 1000, `${error.message.length} characters`);
        return true;
      });
    });
  }
});
