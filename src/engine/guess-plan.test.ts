import assert from "node:assert/strict";
import { test } from "node:test";
import { type Candidate, planGuesses } from "./guess-plan.ts";

const unsure = (chance: number, count = 4, request = 0): Candidate => {
  return { request, chances: Array.from({ length: count }, (_, i) => chance ** (i + 1)) };
};
const sure = (count: number, request = 0): Candidate => unsure(0.999, count, request);
const one = { rows: 1, room: 20, numSequences: [1] };
/** Passes of up to eight rows take the same time. Each further row costs an eighth of that. */
const flat = (rows: number): number => Math.max(8, rows);
const steep = (rows: number): number => rows;

test("rows that are free are filled with what is likely", () => {
  assert.deepEqual(planGuesses([sure(15)], one, flat), [7]);
  assert.deepEqual(planGuesses([unsure(0.5, 15)], one, flat), [4]); // 0.5⁵ is below the limit.
  assert.deepEqual(planGuesses([unsure(0.04)], one, flat), [0]);
});

test("a row is tried only where more tokens a second are expected", () => {
  assert.deepEqual(planGuesses([sure(15)], one, steep), [0]);
  const dear = (rows: number): number => 1 + 0.5 * (rows - 1);
  assert.deepEqual(planGuesses([unsure(0.4)], one, dear), [0]);
  assert.deepEqual(planGuesses([unsure(0.7)], one, dear), [1]);
});

test("a step in the times is passed where it is worth it", () => {
  const step = (rows: number): number => (rows <= 1 ? 1 : 2);
  assert.deepEqual(planGuesses([sure(15)], one, step), [15]);
});

test("guesses take no more than the room that is left", () => {
  assert.deepEqual(planGuesses([sure(15)], { ...one, room: 3 }, flat), [3]);
  assert.deepEqual(planGuesses([sure(15)], { ...one, room: 0 }, flat), [0]);
});

test("the likeliest of all sequences come first", () => {
  const pass = { rows: 2, room: 4, numSequences: [2] };
  assert.deepEqual(planGuesses([unsure(0.3), unsure(0.9)], pass, flat), [0, 4]);
});

test("a request that gains nothing is held up by little", () => {
  const dear = (rows: number): number => 1 + 0.05 * (rows - 1);
  const both = planGuesses([sure(15)], { rows: 1, room: 20, numSequences: [1] }, dear);
  assert.deepEqual(both, [15]);
  const beside = planGuesses([sure(15)], { rows: 2, room: 20, numSequences: [1, 1] }, dear);
  assert.deepEqual(beside, [2]);
  // The same for one whose prompt is being computed.
  assert.deepEqual(planGuesses([sure(15)], { rows: 2, room: 20, numSequences: [1, 0] }, dear), [2]);
  const all = planGuesses([sure(15), sure(15, 1)], { rows: 2, room: 20, numSequences: [1, 1] }, dear);
  assert.deepEqual(all, [10, 10]);
});
