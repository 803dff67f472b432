// A token's log-probability has the same bits, whether its text is scored, or it is in a prompt, or it is generated, in every mode;
// and also alone and in a crowd, however prompts are cut into passes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import type { TokenLogprobs } from "../../src/decoding/token-logprobs.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { FinishedRequest } from "../../src/engine/pass-result.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import { score } from "../../src/offline/score.ts";
import { temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { Dice, randomRequest, runCrowd } from "../support/crowd.ts";
import { answerAll, beams, someDecoding } from "../support/inline-engine.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const shape = { V: 61, P: 64, C: 30, L: 2, H: 3, config: { eos_token_id: 60 } };
const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, ...shape });
const PROMPT = Array.from({ length: 23 }, (_, i) => (7 * i) % 61);
const wanted = { maxLength: 40, logprobs: 2, promptLogprobs: true };
const MODES: Record<string, DecodingParams> = {
  greedy: someDecoding(wanted),
  sampled: someDecoding({
    ...wanted,
    numReturnSequences: 3,
    search: { kind: "sample", temperature: 2, topK: 9, topP: 0.9 },
    penalties: { repetition: 1.4, logitBias: new Map([[3, 2]]) },
  }),
  "beam search": someDecoding({
    ...wanted,
    numReturnSequences: 3,
    noRepeatNgramSize: 2,
    search: beams(4),
  }),
};

const values = (some: readonly TokenLogprobs[] = []): number[] => some.map(({ logprob }) => logprob);

for (const precision of ["f32", "int8"] as const) {
  describe(`log-probabilities in ${precision}`, () => {
    const { backend } = loadModel(path, { precision, kvCacheMb: 1, threads: 2 });
    after(() => backend.close());

    for (const [mode, decoding] of Object.entries(MODES)) {
      it(`of ${mode} are those of scoring the whole text`, () => {
        const [answer] = answerAll(backend, [60], [{ prompt: PROMPT, decoding }]) as [FinishedRequest];
        for (const { tokenIds, logprobs } of answer.hypotheses) {
          const expected = score(backend, tokenIds).logprobs;
          assert.deepEqual([...values(answer.promptLogprobs), ...values(logprobs)], expected);
        }
      });
    }

    it("have the token of greedy search as the most likely one at each position", () => {
      const [answer] = answerAll(backend, [60], [{ prompt: PROMPT, decoding: someDecoding(wanted) }]) as [
        FinishedRequest,
      ];
      const [{ tokenIds, logprobs = [] }] = answer.hypotheses as [Hypothesis];
      assert.ok(logprobs.length > 0);
      for (const [i, { logprob, top }] of logprobs.entries()) {
        assert.deepEqual(top[0], { tokenId: tokenIds[PROMPT.length + i], logprob });
      }
    });

    it("of a prompt are the same without new tokens and in a crowd", () => {
      const none = { prompt: PROMPT, decoding: someDecoding({ ...wanted, maxLength: PROMPT.length }) };
      const [alone] = answerAll(backend, [60], [none]);
      assert.deepEqual(values(alone?.promptLogprobs), score(backend, PROMPT).logprobs);
      assert.deepEqual(alone?.hypotheses, [{ tokenIds: PROMPT, finishReason: "length", logprobs: [] }]);
      const dice = new Dice(5);
      for (const maxBatchTokens of [7, 16, 128]) {
        const maxLogitRows = Math.min(maxBatchTokens, backend.limits.maxLogitRows);
        const limits = { ...backend.limits, maxBatchTokens, maxLogitRows };
        const limited = { limits, forward: backend.forward.bind(backend), close: async () => {} };
        const found: unknown[] = [];
        runCrowd(new EngineCore(limited, [60]), dice, {
          numRequests: 12,
          aborts: 0,
          draw: (id) => (id % 3 === 0 ? none : randomRequest(dice, 61, 30, 44)),
          onPass: ({ finished }) => {
            const own = finished.filter(({ request }) => request.id % 3 === 0);
            found.push(...own.map(({ promptLogprobs }) => promptLogprobs));
          },
        });
        assert.deepEqual(found, new Array(4).fill(alone?.promptLogprobs));
      }
    });
  });
}
