import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BeamStep } from "../../dialects/playground/events.ts";
import { beamTree } from "./beam-tree.ts";

const candidate = (parent: number, id: number, score: number) => ({
  parent,
  token: { id, name: `t${id}` },
  score,
});
const NOTHING = { ended: [], dropped: [], banned: [] };

const STEPS: readonly BeamStep[] = [
  { step: 0, beams: [candidate(0, 1, -1), candidate(0, 2, -2)], ...NOTHING, dropped: [candidate(0, 3, -3)] },
  {
    step: 1,
    beams: [candidate(1, 4, -2.5), candidate(0, 5, -2.6)],
    ended: [
      { ...candidate(0, 9, -1.5), normalised: -0.75, isKept: true },
      { ...candidate(1, 9, -4), normalised: -2, isKept: false },
    ],
    dropped: [],
    banned: [{ beam: 1, tokens: [{ id: 2, name: "t2", logprob: -0.1 }] }],
  },
];

describe("the tree of a beam search", () => {
  const tree = beamTree(STEPS, false);
  const node = (key: string) => tree.nodes.find((other) => other.key === key);

  it("has a column for each step, with beams above finished candidates", () => {
    assert.equal(tree.numColumns, 2);
    assert.deepEqual(
      tree.nodes.map(({ key, kind }) => `${key} ${kind}`),
      ["0.0 beam", "0.1 beam", "1.0 beam", "1.1 beam", "1.2 ended", "1.3 ended"],
    );
  });

  it("joins each candidate to its beam of the step before, and the first to the prompt", () => {
    assert.equal(node("0.0")?.parent, undefined);
    assert.equal(node("1.0")?.parent, node("0.1"));
    assert.equal(node("1.2")?.parent, node("0.0"));
  });

  it("shows the tokens that were banned after a beam", () => {
    assert.deepEqual(
      node("0.1")?.banned.map(({ id }) => id),
      [2],
    );
    assert.deepEqual(node("0.0")?.banned, []);
  });

  it("shows the tokens that were banned after the prompt", () => {
    const banned = [{ beam: 0, tokens: [{ id: 7, name: "t7", logprob: -0.2 }] }];
    const [first, ...others] = STEPS;
    const { bannedFirst } = beamTree([{ ...(first as BeamStep), banned }, ...others], false);
    assert.deepEqual(
      bannedFirst.map(({ id }) => id),
      [7],
    );
    assert.deepEqual(tree.bannedFirst, []);
  });

  it("marks the path to the best finished text", () => {
    const path = tree.nodes.filter(({ isOnPath }) => isOnPath).map(({ key }) => key);
    assert.deepEqual(path, ["0.0", "1.2"]);
  });

  it("marks the path to the best beam while nothing is finished", () => {
    const path = beamTree(STEPS.slice(0, 1), false).nodes.filter(({ isOnPath }) => isOnPath);
    assert.deepEqual(
      path.map(({ key }) => key),
      ["0.0"],
    );
  });

  it("shows dropped candidates on request", () => {
    assert.deepEqual(
      beamTree(STEPS, true)
        .nodes.filter(({ kind }) => kind === "dropped")
        .map(({ token }) => token.id),
      [3],
    );
  });

  it("is empty without steps", () => assert.deepEqual(beamTree([], true).nodes, []));
});
