// Checkpoints with planted outlier channels: 8 of C channels, spread over all groups, 20 to 60 times as large as they
// were. Large models grow such channels by themselves (Dettmers et al. 2022, arXiv:2208.07339), and low precision fails
// on them first, because one large value sets the scale of all others in its group.
import { mapped } from "../../src/model/loading/tensor.ts";
import type { TensorSource } from "../../src/model/loading/tensor-source.ts";

/**
 * Where they are planted. `norms`: in the gains and biases of all layer norms. `values`: in the value part of every
 * attention. In both, the matrix behind is divided by as much, so that the function in f32 is the old one. `residual`:
 * in the residual stream, that is in all that writes to it, with the gains of the norms divided; their divisor is
 * another one then, so this is another function, and a worse model.
 */
export const PLANTINGS = ["norms", "values", "residual"] as const;
export type Planting = (typeof PLANTINGS)[number];

const NUM_OUTLIERS = 8;
const SCALE_MIN = 20;
const SCALE_MAX = 60;

/** The factor of every channel, [C]: 1 but for the outliers. */
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

/** `source` with outliers, and with a head of its own. */
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
          // Of queries, keys and values side by side, the last C are the values.
          const scale = scales[axis === "rows" ? Math.floor(i / width) : (i % width) - (width - nEmbd)] ?? 1;
          return value * (change === "scale" ? scale : 1 / scale);
        });
      }
      return tensor;
    },
  };
}
