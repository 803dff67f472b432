import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainLogitsRow } from "../../src/kernels/reference/plain-logits-row.ts";
import { AgreementMeter } from "./agreement.ts";

const close = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);

test("rows of logits are compared as distributions", () => {
  const meter = new AgreementMeter();
  const row = (...values: number[]) => new PlainLogitsRow(Float32Array.from(values));
  const logits = (...probabilities: number[]) => row(...probabilities.map((p) => Math.log(p) + 5));
  meter.add(logits(0.5, 0.25, 0.25), logits(0.25, 0.5, 0.25), 0);
  meter.add(logits(0.1, 0.1, 0.8), logits(0.1, 0.1, 0.8), 2);
  meter.add(row(3, 1, 0), row(1003, 1001, 1000), undefined);
  const { positions, predicted, ...found } = meter.result();
  assert.deepEqual([positions, predicted], [3, 2]);
  close(found.referencePerplexity, 1 / Math.sqrt(0.5 * 0.8));
  close(found.perplexity, 1 / Math.sqrt(0.25 * 0.8));
  close(found.kl, (0.5 * Math.log(2) + 0.25 * Math.log(0.5)) / 3);
  close(found.top1, 2 / 3);
  close(found.maxLogitError, 1000);
});
