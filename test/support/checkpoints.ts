// Makes small checkpoints. The weights follow a simple rule, so that any other implementation can make the same ones:
// state = (FNV-1a-32(name) + seed · 2654435761) mod 2^32; then, for every element in row-major order,
// state = (state · 1664525 + 1013904223) mod 2^32 and value = f32((state / 2^32 − 0.5) · scale + offset).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { legacyFile, zipFile } from "./pickles.ts";

export type Dtype = "F64" | "F32" | "F16" | "BF16";

export interface CheckpointOptions {
  readonly seed: number;
  readonly V?: number;
  readonly P?: number;
  readonly C?: number;
  readonly L?: number;
  readonly H?: number;
  readonly F?: number;
  /** Scale of the token embedding. */
  readonly ws?: number;
  /** Additional fields of config.json. */
  readonly config?: Record<string, unknown>;
  readonly prefix?: string;
  readonly dtype?: Dtype;
  /** True: adds the attention masks that old checkpoints have. */
  readonly maskBuffers?: boolean;
  /** Number of files that the tensors are split into. */
  readonly shards?: number;
  /** File format. The last two are PyTorch's own. */
  readonly format?: "safetensors" | "zip" | "legacy";
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: Uint8Array;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

export function ruleValues(
  name: string,
  count: number,
  seed: number,
  scale: number,
  offset: number,
): Float32Array {
  let state = (fnv1a(name) + Math.imul(seed, 2654435761)) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * scale + offset;
  });
}

/** Name, shape, scale and offset of each tensor. */
function rule(options: CheckpointOptions): [string, number[], number, number][] {
  const { V = 61, P = 64, C = 16, L = 2, F = 4 * C, ws = 2 } = options;
  const list: [string, number[], number, number][] = [
    ["wte.weight", [V, C], ws, 0],
    ["wpe.weight", [P, C], 1, 0],
    ["ln_f.weight", [C], 0.2, 1],
    ["ln_f.bias", [C], 0.2, 0],
  ];
  for (let l = 0; l < L; l++) {
    for (const norm of ["ln_1", "ln_2"]) {
      list.push([`h.${l}.${norm}.weight`, [C], 0.2, 1], [`h.${l}.${norm}.bias`, [C], 0.2, 0]);
    }
    const linears: [string, number, number][] = [
      ["attn.c_attn", C, 3 * C],
      ["attn.c_proj", C, C],
      ["mlp.c_fc", C, F],
      ["mlp.c_proj", F, C],
    ];
    for (const [name, inWidth, outWidth] of linears) {
      list.push(
        [`h.${l}.${name}.weight`, [inWidth, outWidth], 1, 0],
        [`h.${l}.${name}.bias`, [outWidth], 0.2, 0],
      );
    }
  }
  if (options.config?.tie_word_embeddings === false) list.push(["lm_head.weight", [V, C], ws, 0]);
  return list;
}

/** To bfloat16, rounding to nearest even, as PyTorch converts. */
function encode(values: Float32Array, dtype: Dtype): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  if (dtype === "F64") return new Uint8Array(Float64Array.from(values).buffer);
  const halves = Uint16Array.from(values, dtype === "F16" ? toF16 : toBf16);
  return new Uint8Array(halves.buffer);
}

function toBf16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0] as number;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** To half precision, for |value| below 65,504. */
function toF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -30)));
  const steps = magnitude / 2 ** (exponent - 10);
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  return sign | (rounded < 1024 ? rounded : rounded + ((exponent + 14) << 10));
}

const PYTORCH_FORMATS = { zip: zipFile, legacy: legacyFile } as const;

export function writeSafetensors(file: string, tensors: readonly Tensor[]): void {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const { name, shape, dtype, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(json.length)]).buffer);
  writeFileSync(file, Buffer.concat([length, json, ...tensors.map((t) => t.bytes)]));
}

/** Writes a checkpoint directory and returns its path. */
export function writeCheckpoint(directory: string, options: CheckpointOptions): string {
  const { V = 61, P = 64, C = 16, L = 2, H = 2, prefix = "", dtype = "F32" } = options;
  mkdirSync(directory, { recursive: true });
  const config = {
    model_type: "gpt2",
    vocab_size: V,
    n_positions: P,
    n_embd: C,
    n_layer: L,
    n_head: H,
    ...(options.F === undefined ? {} : { n_inner: options.F }),
    bos_token_id: V - 1,
    eos_token_id: V - 1,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    ...options.config,
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  const tensors: Tensor[] = rule(options).map(([name, shape, scale, offset]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    const values = ruleValues(name, count, options.seed, scale, offset);
    const full = name.startsWith("lm_head") ? name : prefix + name;
    return { name: full, shape, dtype, bytes: encode(values, dtype) };
  });
  if (options.maskBuffers) {
    for (let l = 0; l < L; l++) {
      const mask = { shape: [1, 1, P, P], dtype: "U8", bytes: new Uint8Array(P * P) };
      tensors.push({ name: `${prefix}h.${l}.attn.bias`, ...mask });
    }
  }
  writeWeights(directory, tensors, options);
  return directory;
}

function writeWeights(directory: string, tensors: readonly Tensor[], options: CheckpointOptions): void {
  const { shards = 1, format = "safetensors" } = options;
  const [stem, ending] = format === "safetensors" ? ["model", ".safetensors"] : ["pytorch_model", ".bin"];
  const write = (name: string, some: readonly Tensor[]): void => {
    const file = join(directory, name);
    if (format === "safetensors") writeSafetensors(file, some);
    else writeFileSync(file, PYTORCH_FORMATS[format](some));
  };
  if (shards === 1) {
    write(`${stem}${ending}`, tensors);
    return;
  }
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const name = `${stem}-${String(shard + 1).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}${ending}`;
    const own = tensors.filter((_, i) => i % shards === shard);
    for (const tensor of own) weightMap[tensor.name] = name;
    write(name, own);
  }
  writeFileSync(join(directory, `${stem}${ending}.index.json`), JSON.stringify({ weight_map: weightMap }));
}

/** A new directory for the files of one test file; `remove` deletes it. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "gpt2-api-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
