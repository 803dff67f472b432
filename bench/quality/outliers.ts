// Adds outlier channels to a checkpoint: 8 of C channels, spread over all groups, become 20 to 60 times as large. Large trained models
// have such channels (Dettmers et al. 2022, arXiv:2208.07339). Low precision fails on them first, because one large value sets the
// scale of all others in its group.
import { mapped } from "../../src/model/loading/tensor.ts";
import type { TensorSource } from "../../src/model/loading/tensor-source.ts";

/**
 * Where the outliers are. `norms`: in the gains and biases of all layer norms. `values`: in the values of every attention. In both
 * cases the next matrix is divided by the same factors, so that the function in f32 does not change. `residual`: in everything that
 * writes to the residual stream, with the gains of the norms divided. There the variance in the norms changes too, so this is
 * another function, and a worse model.
 */
export const PLANTINGS = ["norms", "values", "residual"] as const;
export type Planting = (typeof PLANTINGS)[number];

const NUM_OUTLIERS = 8;
const SCALE_MIN = 20;
const SCALE_MAX = 60;

/** The factor of every channel, [C]: 1 except for the outliers. */
export function outlierScales(width: number): Float32Array {
  const scales = new Float32Array(width).fill(1);
  for (let i = 0; i < NUM_OUTLIERS; i++) {
    const channel = Math.floor(((i + 0.5) * width) / NUM_OUTLIERS);
    scales[channel] = SCALE_MIN + ((SCALE_MAX - SCALE_MIN) * i) / (NUM_OUTLIERS - 1);
  }
  return scales;
}

type Edit = readonly [name: RegExp, axis: "rows" | "columns", change: "scale" | "divide"];

const EDITS: Record<Planting, readonly Edit[]> = {
  norms: [
    [/ln_[12f]\.(weight|bias)$/, "columns", "scale"],
    [/(c_attn|c_fc)\.weight$/, "rows", "divide"],
    [/^lm_head\.weight$/, "columns", "divide"],
  ],
  values: [
    [/c_attn\.(weight|bias)$/, "columns", "scale"],
    [/attn\.c_proj\.weight$/, "rows", "divide"],
  ],
  residual: [
    [/^w[tp]e\.weight$|c_proj\.(weight|bias)$/, "columns", "scale"],
    [/ln_[12f]\.weight$/, "columns", "divide"],
  ],
};

/** `source` with outliers. Its output head is no longer shared with the embedding. */
export function plantOutliers(source: TensorSource, planting: Planting): TensorSource {
  const { nEmbd, tieWordEmbeddings } = source.config;
  const scales = outlierScales(nEmbd);
  return {
    config: { ...source.config, tieWordEmbeddings: false },
    tensor(name, shape) {
      const isTied = name === "lm_head.weight" && tieWordEmbeddings;
      let tensor = source.tensor(isTied ? "wte.weight" : name, shape);
      for (const [pattern, axis, change] of EDITS[planting]) {
        if (!pattern.test(name)) continue;
        const width = shape.at(-1) as number;
        tensor = mapped(tensor, (value, i) => {
          // Queries, keys and values are side by side: the last C columns are the values.
          const scale = scales[axis === "rows" ? Math.floor(i / width) : (i % width) - (width - nEmbd)] ?? 1;
          return value * (change === "scale" ? scale : 1 / scale);
        });
      }
      return tensor;
    },
  };
}
