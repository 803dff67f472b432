// Outputs of public checkpoints that others computed with PyTorch, TensorFlow or JAX and published, each with its source. Only
// deterministic outputs are here, and only those that this software can produce. `docs/golden-outputs.md` lists them with the
// commands that reproduce each.

/** The shape by which a checkpoint is recognised. A fine-tuned model has the shape of its origin, but other outputs. */
export interface CheckpointShape {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly nEmbd: number;
  readonly nLayer: number;
  readonly nHead: number;
}

/** A prompt, its published output, and the source. Absent fields are not compared. */
export interface GoldenOutput {
  readonly source: string;
  readonly prompt: string;
  /** Tokens with the prompt, or tokens after the prompt. */
  readonly maxLength?: number;
  readonly maxNewTokens?: number;
  /** Default 1: greedy. */
  readonly numBeams?: number;
  readonly noRepeatNgramSize?: number;
  /** The texts after the prompt, the best sequence first. */
  readonly continuations?: readonly string[];
  /** True: the published text is only the beginning of what was generated. */
  readonly isPrefix?: boolean;
  /** All token ids, with those of the prompt. */
  readonly tokenIds?: readonly number[];
  /** Log-probabilities of the greedy tokens after the prompt. */
  readonly logprobs?: readonly number[];
  readonly logits?: readonly number[];
  /** Largest allowed difference of a log-probability or logit. */
  readonly tolerance?: number;
}

export interface GoldenSet {
  readonly name: string;
  readonly shape: CheckpointShape;
  readonly outputs: readonly GoldenOutput[];
}

const TESTS = "transformers v5.4.0 tests/models/gpt2/test_modeling_gpt2.py";
const TF_TESTS = "transformers v4.40.2 tests/models/gpt2/test_modeling_tf_gpt2.py";
const FLAX_TESTS = "transformers v4.40.2 tests/models/gpt2/test_modeling_flax_gpt2.py";
const GENERATION_TESTS = "transformers v5.4.0 tests/generation/test_utils.py";
const GENERATION_DOCSTRINGS = "transformers v5.4.0 generation/utils.py";
const PROCESSOR_DOCSTRINGS = "transformers v5.4.0 generation/logits_process.py";
const OLD_DOCSTRINGS = "transformers v4.30.2 generation/utils.py";
const STRATEGIES = "transformers v4.30.2 docs/source/en/generation_strategies.mdx";
const BLOG = "huggingface/blog how-to-generate.md (2020)";

const DOG = "I enjoy walking with my cute dog";
const NOT_SURE = ", but I'm not sure if I'll ever be able to walk with";
const BREAK = "I've been thinking about this for a while now, and I think it's time for me to";

const GPT2: readonly GoldenOutput[] = [
  {
    source: TESTS,
    prompt: "The dog",
    maxLength: 20,
    tokenIds: [
      464, 3290, 373, 1043, 287, 257, 2214, 1474, 262, 16246, 286, 2688, 290, 2688, 27262, 13, 198, 198, 464,
      3290,
    ],
  },
  {
    source: TESTS,
    prompt: "Hello, my dog is a little",
    maxLength: 20,
    continuations: [" bit of a mess. I'm not sure if he's going"],
  },
  {
    source: TESTS,
    prompt: "Today, I",
    maxLength: 16,
    continuations: ["'m going to be doing a lot of research on this. I"],
  },
  {
    source: TF_TESTS,
    prompt: "The flying machine",
    maxLength: 20,
    continuations: [" is a small, lightweight, and lightweight aircraft that can be used for any type of"],
  },
  {
    source: TF_TESTS,
    prompt: "The dog",
    maxLength: 19,
    numBeams: 2,
    continuations: [" was found in the backyard of a home in the 6500 block of South Main Street"],
  },
  {
    source: TF_TESTS,
    prompt: "The flying machine",
    maxLength: 20,
    numBeams: 2,
    continuations: [" is a very powerful machine, but it's not a very powerful machine. It's"],
  },
  {
    source: GENERATION_TESTS,
    prompt: "They completed the challenging puzzle, revealing the hidden",
    maxLength: 15,
    continuations: [" secrets of the world.\n"],
  },
  {
    source: GENERATION_TESTS,
    prompt: "The aroma of freshly baked pizza filled the kitchen",
    maxLength: 15,
    continuations: [" with a sense of freshness"],
  },
  {
    source: GENERATION_TESTS,
    prompt: "Today a dragon flew over France",
    maxLength: 12,
    continuations: [" and the French government was forced"],
  },
  {
    source: GENERATION_TESTS,
    prompt: "<|endoftext|>",
    maxNewTokens: 14,
    continuations: ["\nThe first time I saw the new version of the game, I"],
  },
  {
    source: GENERATION_DOCSTRINGS,
    prompt: "Today is",
    maxNewTokens: 5,
    continuations: [" the day when we can"],
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: a published log-probability, not −√2.
    logprobs: [-1.414, -2.609, -2.01, -1.859, -2.508],
    tolerance: 2e-3,
  },
  {
    source: OLD_DOCSTRINGS,
    prompt: "It might be possible to",
    maxLength: 20,
    continuations: [" get a better understanding of the nature of the problem, but it's not"],
  },
  {
    source: PROCESSOR_DOCSTRINGS,
    prompt: "In a word, the cake is a",
    maxNewTokens: 5,
    continuations: [" bit of a mess."],
  },
  {
    source: FLAX_TESTS,
    prompt: "Hello this is a long string",
    maxLength: 20,
    continuations: [" of words. I'm going to start with the first one.\n"],
  },
  {
    source: FLAX_TESTS,
    prompt: "Hey",
    maxLength: 20,
    continuations: [", I'm not sure if I'm going to be able to do"],
    isPrefix: true,
  },
  {
    source: "huggingface/text-generation-inference test_flash_gpt2.json (fp16)",
    prompt: "What is deep learning?",
    maxNewTokens: 10,
    continuations: ["\n\nDeep learning is a new field of research"],
    logprobs: [-0.686, -0.0054, -0.311, -0.083, -0.59, -0.953, -2.096, -1.81, -1.067, -0.9375],
    tolerance: 2e-2,
  },
  {
    source: BLOG,
    prompt: DOG,
    maxLength: 50,
    tokenIds: [
      40, 2883, 6155, 351, 616, 13779, 3290, 11, 475, 314, 1101, 407, 1654, 611, 314, 1183, 1683, 307, 1498,
      284, 2513, 351, 616, 3290, 13, 314, 1101, 407, 1654, 611, 314, 1183, 1683, 307, 1498, 284, 2513, 351,
      616, 3290, 13, 198, 198, 40, 1101, 407, 1654, 611, 314, 1183,
    ],
  },
  {
    source: BLOG,
    prompt: DOG,
    maxLength: 50,
    numBeams: 5,
    continuations: [
      `${NOT_SURE} him again.\n\nI'm not sure if I'll ever be able to walk with him again. I'm not sure if I'll`,
    ],
  },
  {
    source: BLOG,
    prompt: DOG,
    maxLength: 50,
    numBeams: 5,
    noRepeatNgramSize: 2,
    continuations: [
      `${NOT_SURE} him again.\n\n${BREAK} take a break`,
      `${NOT_SURE} him again.\n\n${BREAK} get back to`,
      `${NOT_SURE} her again.\n\n${BREAK} take a break`,
      `${NOT_SURE} her again.\n\n${BREAK} get back to`,
      `${NOT_SURE} him again.\n\n${BREAK} take a step`,
    ],
  },
];

const DISTILGPT2: readonly GoldenOutput[] = [
  {
    source: "transformers v2.9.0 tests/test_modeling_gpt2.py",
    prompt: "The president",
    maxLength: 20,
    tokenIds: [
      464, 1893, 286, 262, 1578, 1829, 11, 290, 262, 1893, 286, 262, 1578, 7526, 11, 423, 587, 287, 262, 2635,
    ],
  },
  {
    source: GENERATION_TESTS,
    prompt: "Justin Timberlake",
    maxNewTokens: 5,
    logits: [-57.8844, -60.45698, -70.16364, -65.50791, -66.35648],
    logprobs: [-2.538938, -2.2694316, -2.1580915, -1.572299, -2.6719835],
    tolerance: 1e-3,
  },
  {
    source: GENERATION_TESTS,
    prompt: "Michael Phelps",
    maxNewTokens: 5,
    logits: [-54.417572, -60.216614, -62.661243, -58.621933, -58.298683],
    logprobs: [-1.8826028, -2.2461371, -1.7556462, -2.9644494, -1.7996008],
    tolerance: 1e-3,
  },
  {
    source: STRATEGIES,
    prompt: "I look forward to",
    maxLength: 20,
    continuations: [` seeing you all again!${"\n".repeat(11)}`],
  },
  {
    source: PROCESSOR_DOCSTRINGS,
    prompt: "Today I",
    maxLength: 20,
    noRepeatNgramSize: 2,
    continuations: ["'m not sure if I can get a better understanding of the nature of this issue"],
    isPrefix: true,
  },
  {
    source: PROCESSOR_DOCSTRINGS,
    prompt: "Today I",
    maxLength: 20,
    continuations: ["'m not sure if I'm going to be able to do it."],
    isPrefix: true,
  },
  {
    source: PROCESSOR_DOCSTRINGS,
    prompt: "I'm not going to",
    maxLength: 20,
    continuations: [" be able to do that. I'm going to be able to do that"],
    isPrefix: true,
  },
  {
    source: PROCESSOR_DOCSTRINGS,
    prompt: "A sequence: 1, 2, 3",
    maxNewTokens: 10,
    continuations: [", 4, 5, 6, 7, 8"],
  },
];

const GPT2_MEDIUM: readonly GoldenOutput[] = [
  {
    source: STRATEGIES,
    prompt: "It is astonishing how one can",
    maxNewTokens: 50,
    numBeams: 5,
    continuations: [
      ' have such a profound impact on the lives of so many people in such a short period of time."\n\n' +
        'He added: "I am very proud of the work I have been able to do in the last few years.\n\n"I have',
    ],
  },
];

const TINY_RANDOM: readonly GoldenOutput[] = [
  {
    source: "transformers v5.4.0 tests/pipelines/test_pipelines_text_generation.py",
    prompt: "Hello I believe in",
    maxNewTokens: 5,
    continuations: [" fe fe fe fe fe"],
  },
];

const TINY_RANDOM_LM_HEAD: readonly GoldenOutput[] = [
  {
    source: "huggingface/transformers.js packages/transformers/tests/models/gpt2/test_modeling_gpt2.js",
    prompt: "hello",
    maxLength: 10,
    tokenIds: [258, 863, 79, 79, 79, 79, 79, 79, 79, 243],
  },
];

const openai = { vocabSize: 50257, contextLength: 1024 };
const tiny = { contextLength: 512, nEmbd: 32, nLayer: 5, nHead: 4 };

export const GOLDEN_SETS: readonly GoldenSet[] = [
  { name: "gpt2", shape: { ...openai, nEmbd: 768, nLayer: 12, nHead: 12 }, outputs: GPT2 },
  { name: "distilgpt2", shape: { ...openai, nEmbd: 768, nLayer: 6, nHead: 12 }, outputs: DISTILGPT2 },
  { name: "gpt2-medium", shape: { ...openai, nEmbd: 1024, nLayer: 24, nHead: 16 }, outputs: GPT2_MEDIUM },
  { name: "hf-internal-testing/tiny-random-gpt2", shape: { ...tiny, vocabSize: 1000 }, outputs: TINY_RANDOM },
  {
    name: "hf-internal-testing/tiny-random-GPT2LMHeadModel",
    shape: { ...tiny, vocabSize: 1024 },
    outputs: TINY_RANDOM_LM_HEAD,
  },
];

/** The public outputs for checkpoints of a shape, if there are any. */
export function goldenSetFor(shape: CheckpointShape): GoldenSet | undefined {
  const fields = ["vocabSize", "contextLength", "nEmbd", "nLayer", "nHead"] as const;
  return GOLDEN_SETS.find((set) => fields.every((field) => set.shape[field] === shape[field]));
}
