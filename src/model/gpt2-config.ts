// Reads config.json of a Hugging Face GPT-2 checkpoint: the fields that change the computation, with the aliases and defaults of
// `GPT2Config` in transformers. From generation_config.json it reads the end-of-text tokens. It ignores everything else in the
// two files, sampling defaults included, because requests have their own.
import { z } from "zod";
import { GptError } from "../errors.ts";
import { ACTIVATIONS, type Activation } from "../kernels/program.ts";
import { quote } from "../wording.ts";

export interface Gpt2Config {
  readonly vocabSize: number; // V
  readonly contextLength: number; // T, n_positions
  readonly nEmbd: number; // C
  readonly nLayer: number; // L
  readonly nHead: number; // H
  readonly headSize: number; // C / H
  readonly nInner: number; // F
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
  readonly scaleAttnWeights: boolean;
  readonly scaleAttnByInverseLayerIdx: boolean;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number;
  /** There may be several, and they may be outside the vocabulary. Empty: generation ends at max_length only. */
  readonly eosTokenIds: readonly number[];
}

const size = z.int().min(1).max(1_000_000);
const layers = z.int().min(0).max(1_000_000);
/** A negative id means that there is no such token: some programs write -1. */
const tokenId = z.int();
const eosTokenId = z.union([tokenId, z.array(tokenId)]).nullish();

const schema = z.object({
  model_type: z.string().optional(),
  vocab_size: size.default(50257),
  n_positions: size.optional(),
  max_position_embeddings: size.optional(),
  n_ctx: size.optional(),
  n_embd: size.optional(),
  hidden_size: size.optional(),
  n_layer: layers.optional(),
  num_hidden_layers: layers.optional(),
  n_head: size.optional(),
  num_attention_heads: size.optional(),
  n_inner: size.nullish(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: z.number().min(0).default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  add_cross_attention: z.boolean().default(false),
  bos_token_id: tokenId.nullish(),
  eos_token_id: eosTokenId,
});

const generationSchema = z.object({ eos_token_id: eosTokenId });

/**
 * Checks and completes a parsed config.json. `file` is named in errors.
 * @throws GptError `invalid_checkpoint` naming the field, its value and what is supported.
 */
export function parseGpt2Config(json: unknown, file: string): Gpt2Config {
  const c = parse(schema, json, file);
  if (c.model_type !== undefined && c.model_type !== "gpt2") {
    throw invalid(file, `model_type is ${quote(c.model_type)}, and only "gpt2" can be loaded`);
  }
  if (c.add_cross_attention)
    throw invalid(file, "add_cross_attention is true: an encoder-decoder cannot be loaded");
  const nEmbd = c.n_embd ?? c.hidden_size ?? 768;
  const nHead = c.n_head ?? c.num_attention_heads ?? 12;
  if (nEmbd % nHead !== 0) throw invalid(file, `n_embd ${nEmbd} is not a multiple of n_head ${nHead}`);
  const eos = c.eos_token_id === undefined ? 50256 : c.eos_token_id;
  return {
    vocabSize: c.vocab_size,
    contextLength: c.n_positions ?? c.max_position_embeddings ?? c.n_ctx ?? 1024,
    nEmbd,
    nLayer: c.n_layer ?? c.num_hidden_layers ?? 12,
    nHead,
    headSize: nEmbd / nHead,
    nInner: c.n_inner ?? 4 * nEmbd,
    activation: activationOf(c.activation_function, file),
    layerNormEpsilon: c.layer_norm_epsilon,
    scaleAttnWeights: c.scale_attn_weights,
    scaleAttnByInverseLayerIdx: c.scale_attn_by_inverse_layer_idx,
    tieWordEmbeddings: c.tie_word_embeddings,
    bosTokenId: Math.max(0, c.bos_token_id ?? 50256),
    eosTokenIds: tokenIds(eos),
  };
}

/**
 * The end-of-text tokens of generation_config.json. If there is such a file, those of config.json do not count, even if this
 * file names none.
 * @throws GptError `invalid_checkpoint`
 */
export function parseGenerationConfig(json: unknown, file: string): Pick<Gpt2Config, "eosTokenIds"> {
  return { eosTokenIds: tokenIds(parse(generationSchema, json, file).eos_token_id) };
}

function tokenIds(ids: number | readonly number[] | null | undefined): number[] {
  return [ids ?? []].flat().filter((id) => id >= 0);
}

/** Other names of the same function. */
const SYNONYMS: Readonly<Record<string, Activation>> = {
  gelu_accurate: "gelu_new",
  gelu_python_tanh: "gelu_new",
  gelu_python: "gelu",
};

/** transformers has these too, but they have learned parameters, so they are not functions of one number. */
const LEARNED = ["prelu", "xielu"];

function activationOf(name: string, file: string): Activation {
  const known = Object.hasOwn(SYNONYMS, name) ? (SYNONYMS[name] as string) : name;
  if (Object.hasOwn(ACTIVATIONS, known)) return known as Activation;
  const isLearned = LEARNED.includes(name)
    ? "has numbers of its own in every layer, which are not read; "
    : "";
  const names = [...Object.keys(ACTIVATIONS), ...Object.keys(SYNONYMS)].join(", ");
  throw invalid(file, `activation_function is ${quote(name)}: ${isLearned}known are ${names}`);
}

function parse<T extends z.ZodType>(type: T, json: unknown, file: string): z.output<T> {
  const parsed = type.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  if (where === "") throw invalid(file, `is ${quote(json)}; expected a JSON object`);
  const value = issue?.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown>)?.[key],
    json,
  );
  throw invalid(file, `${where} is ${quote(value)}: ${issue?.message}`);
}

function invalid(file: string, problem: string): GptError {
  return new GptError("invalid_checkpoint", `${file}: ${problem}`);
}

/** The number of parameters. A separate output head counts, if there is one. */
export function countParameters(c: Gpt2Config): number {
  const { nEmbd: C, nInner: F } = c;
  const layer = 4 * C + (C * 3 * C + 3 * C) + (C * C + C) + (C * F + F) + (F * C + C);
  const head = c.tieWordEmbeddings ? 0 : c.vocabSize * C;
  return c.vocabSize * C + c.contextLength * C + c.nLayer * layer + 2 * C + head;
}
