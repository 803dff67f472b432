// config.json of a Hugging Face GPT-2 checkpoint: the fields that change the computation, their aliases and defaults,
// as `GPT2Config` of transformers has them; and the end-of-text tokens of generation_config.json. Everything else in the
// files is ignored, the sampling defaults of the second one too: a request has its own.
import { z } from "zod";
import { GptError } from "../errors.ts";
import { ACTIVATIONS, type Activation } from "../kernels/program.ts";

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
  /** May be several, and may lie outside the vocabulary. Empty: generation ends at max_length only. */
  readonly eosTokenIds: readonly number[];
}

const size = z.int().min(1).max(1_000_000);
const tokenId = z.int().min(0);
const eosTokenId = z.union([tokenId, z.array(tokenId)]).nullish();

const schema = z.object({
  model_type: z.string().optional(),
  vocab_size: size.default(50257),
  n_positions: size.optional(),
  max_position_embeddings: size.optional(),
  n_embd: size.optional(),
  hidden_size: size.optional(),
  n_layer: size.optional(),
  num_hidden_layers: size.optional(),
  n_head: size.optional(),
  num_attention_heads: size.optional(),
  n_inner: size.nullish(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: z.number().positive().default(1e-5),
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
    throw invalid(file, `model_type is "${c.model_type}", and only "gpt2" can be loaded`);
  }
  if (c.add_cross_attention)
    throw invalid(file, "add_cross_attention is true: an encoder-decoder cannot be loaded");
  if (!Object.hasOwn(ACTIVATIONS, c.activation_function)) {
    const known = Object.keys(ACTIVATIONS).join(", ");
    throw invalid(file, `activation_function is "${c.activation_function}", known are ${known}`);
  }
  const nEmbd = c.n_embd ?? c.hidden_size ?? 768;
  const nHead = c.n_head ?? c.num_attention_heads ?? 12;
  if (nEmbd % nHead !== 0) throw invalid(file, `n_embd ${nEmbd} is not a multiple of n_head ${nHead}`);
  const eos = c.eos_token_id === undefined ? 50256 : c.eos_token_id;
  return {
    vocabSize: c.vocab_size,
    contextLength: c.n_positions ?? c.max_position_embeddings ?? 1024,
    nEmbd,
    nLayer: c.n_layer ?? c.num_hidden_layers ?? 12,
    nHead,
    headSize: nEmbd / nHead,
    nInner: c.n_inner ?? 4 * nEmbd,
    activation: c.activation_function as Activation,
    layerNormEpsilon: c.layer_norm_epsilon,
    scaleAttnWeights: c.scale_attn_weights,
    scaleAttnByInverseLayerIdx: c.scale_attn_by_inverse_layer_idx,
    tieWordEmbeddings: c.tie_word_embeddings,
    bosTokenId: c.bos_token_id ?? 50256,
    eosTokenIds: eos === null ? [] : [eos].flat(),
  };
}

/**
 * Where a checkpoint has a generation_config.json, that file alone says what ends a text, even if it says nothing.
 * @throws GptError `invalid_checkpoint`
 */
export function parseGenerationConfig(json: unknown, file: string): Pick<Gpt2Config, "eosTokenIds"> {
  return { eosTokenIds: [parse(generationSchema, json, file).eos_token_id ?? []].flat() };
}

function parse<T extends z.ZodType>(type: T, json: unknown, file: string): z.output<T> {
  const parsed = type.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(file, `${issue?.path.join(".") || "the file"}: ${issue?.message}`);
}

function invalid(file: string, problem: string): GptError {
  return new GptError("invalid_checkpoint", `${file}: ${problem}`);
}

/** Number of parameters of a checkpoint of this shape, a separate output head included. */
export function countParameters(c: Gpt2Config): number {
  const { nEmbd: C, nInner: F } = c;
  const layer = 4 * C + (C * 3 * C + 3 * C) + (C * C + C) + (C * F + F) + (F * C + C);
  const head = c.tieWordEmbeddings ? 0 : c.vocabSize * C;
  return c.vocabSize * C + c.contextLength * C + c.nLayer * layer + 2 * C + head;
}
