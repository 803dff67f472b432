// Random weights in the shape of a published checkpoint, to measure speed without a download. The values have the spread of
// trained weights, because denormal numbers would slow the processor down.
import { GptError } from "../errors.ts";
import { type Gpt2Config, parseGpt2Config } from "../model/gpt2-config.ts";
import type { TensorSource } from "../model/loading/tensor-source.ts";

const SHAPES = {
  distilgpt2: { n_layer: 6 },
  gpt2: {},
  "gpt2-medium": { n_embd: 1024, n_layer: 24, n_head: 16 },
  "gpt2-large": { n_embd: 1280, n_layer: 36, n_head: 20 },
  "gpt2-xl": { n_embd: 1600, n_layer: 48, n_head: 25 },
} as const;

export const SHAPE_NAMES = Object.keys(SHAPES) as (keyof typeof SHAPES)[];

/** @throws GptError `invalid_config` for an unknown name. */
export function shapeConfig(name: string): Gpt2Config {
  if (Object.hasOwn(SHAPES, name)) return parseGpt2Config(SHAPES[name as keyof typeof SHAPES], name);
  throw new GptError("invalid_config", `--shape must be one of ${SHAPE_NAMES.join(", ")}, got "${name}"`);
}

const SPREAD = 0.07;

/** Tensors with uniform random values around zero. Those of the norms are near one. */
export function randomTensors(config: Gpt2Config): TensorSource {
  let state = 1;
  return {
    config,
    tensor(name) {
      const offset = /ln_.*weight/.test(name) ? 1 : 0;
      const read = (_first: number, { buffer, byteOffset, length }: Uint8Array): void => {
        const values = new Float32Array(buffer, byteOffset, length / 4);
        for (let i = 0; i < values.length; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) | 0;
          values[i] = offset + (state / 2 ** 31) * SPREAD;
        }
      };
      return { dtype: "F32", read };
    },
  };
}
