// Fake engines for tests of what uses an engine: a function of the test makes the answer.
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { IDLE_STATS } from "../../src/engine/counts.ts";
import type { Answer } from "../../src/engine/thread/open-requests.ts";
import type { Engine } from "../../src/generator/text-generator.ts";

const NO_TIMING = { queueMs: 0, firstTokenMs: 0, totalMs: 0 };

export function anEngine(
  answer: (
    promptTokenIds: readonly number[],
    decoding: DecodingParams,
  ) => Pick<Answer, "hypotheses"> & Pick<Partial<Answer>, "promptLogprobs">,
  close: () => Promise<void> = async () => {},
): Engine {
  return {
    submit: async (prompt, decoding) => {
      const { hypotheses, promptLogprobs } = answer(prompt, decoding);
      return { hypotheses, cachedTokens: 0, timing: NO_TIMING, ...(promptLogprobs && { promptLogprobs }) };
    },
    health: "ready",
    stats: () => IDLE_STATS,
    close,
  };
}
