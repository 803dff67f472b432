import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Dice } from "../../test/support/crowd.ts";
import { FairQueue } from "./fair-queue.ts";

describe("a fair queue", () => {
  it("lets clients take turns and keeps each client's order", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "a3", "b1", "c1", "c2"]) queue.push(item.charCodeAt(0), item, 1);
    const taken = [queue.shift(), queue.shift()];
    queue.push("d".charCodeAt(0), "d1", 1);
    while (queue.head !== undefined) taken.push(queue.shift());
    assert.deepEqual(taken, ["a1", "b1", "c1", "d1", "a2", "c2", "a3"]);
    assert.equal(queue.shift(), undefined);
  });

  it("gives no lead to who comes after an item was taken out of turn", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "a3"]) queue.push(1, item, 10);
    for (const item of ["b1", "b2"]) queue.push(2, item, 12);
    assert.equal(
      queue.take((item) => item === "a2"),
      "a2",
    );
    assert.equal(queue.shift(), "b1");
    for (const item of ["c1", "c2"]) queue.push(3, item, 5);
    const taken = Array.from({ length: 5 }, () => queue.shift());
    assert.deepEqual(taken, ["a1", "c1", "b2", "c2", "a3"]);
  });

  it("weighs turns by cost", () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 3; i++) queue.push(1, `large${i}`, 100);
    for (let i = 0; i < 30; i++) queue.push(2, `small${i}`, 10);
    const taken = Array.from({ length: 33 }, () => queue.shift() as string);
    const numSmallBefore = (large: number): number => taken.indexOf(`large${large}`) - large;
    assert.deepEqual([0, 1, 2].map(numSmallBefore), [0, 10, 20]);
  });

  it("keeps no memory of clients that come and go", () => {
    const queue = new FairQueue<number>();
    queue.push(0, 0, 1e9); // This client waits the whole time.
    queue.push(0, 0, 1e9);
    queue.shift();
    for (let client = 1; client <= 1000; client++) {
      queue.push(client, client, 1);
      assert.equal(queue.shift(), client);
      assert.ok(queue.numRemembered <= 102, `${queue.numRemembered} clients are remembered`);
    }
  });

  it("remembers nothing of a client that waits for nothing and is not ahead of the others", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "a3"]) queue.push(1, item, 1);
    queue.push(2, "b1", 1);
    assert.deepEqual([queue.shift(), queue.shift()], ["a1", "b1"]);
    assert.equal(queue.numRemembered, 2);
    assert.equal(queue.shift(), "a2"); // Now the virtual time has reached the end of the second client's turn.
    assert.equal(queue.numRemembered, 1);
  });

  it("takes what fits from behind the head, in turn", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "b1"]) queue.push(item.charCodeAt(0), item, 1);
    assert.equal(
      queue.take((item) => item !== "a1"),
      "a2",
    );
    assert.equal(
      queue.take((item) => item === "none"),
      undefined,
    );
    assert.deepEqual([queue.head, queue.length], ["b1", 2]);
  });

  it("does not change its head when items are pushed, and forgets removed ones", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "b1", "b2"]) queue.push(item.charCodeAt(0), item, 1);
    assert.equal(queue.head, "a1");
    queue.remove((item) => item === "b1");
    queue.remove((item) => item === "none");
    assert.equal(queue.length, 2);
    queue.remove((item) => item === "a1");
    assert.equal(queue.head, "b2");
    assert.equal(queue.shift(), "b2");
    assert.equal(queue.length, 0);
  });

  it("gives no client two turns while another waits for one", () => {
    const dice = new Dice(5);
    const queue = new FairQueue<{ readonly client: number; readonly number: number }>();
    const waits = new Map<number, number>();
    /** For each client: the clients that have had a turn since it began to wait. */
    const passed = new Map<number, Set<number>>();
    const last = new Map<number, number>();
    for (let number = 0; number < 20_000; number++) {
      const client = dice.oneOf([1, 1, 1, 1, 2, 2, 3]);
      queue.push(client, { client, number }, 1);
      waits.set(client, (waits.get(client) ?? 0) + 1);
      if (!passed.has(client)) passed.set(client, new Set());
      for (let n = dice.below(3); n > 0; n--) {
        const item = queue.shift();
        if (!item) continue;
        assert.ok(item.number > (last.get(item.client) ?? -1), "a client's order was changed");
        last.set(item.client, item.number);
        passed.delete(item.client);
        for (const [other, clients] of passed) {
          assert.ok(!clients.has(item.client), `client ${item.client} had two turns while ${other} waited`);
          clients.add(item.client);
        }
        const left = (waits.get(item.client) as number) - 1;
        waits.set(item.client, left);
        if (left > 0) passed.set(item.client, new Set());
      }
    }
  });
});
