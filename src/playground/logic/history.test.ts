import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  addToHistory,
  CHARACTERS_MAX,
  clearHistory,
  ENTRIES_MAX,
  readHistory,
  type Shelf,
} from "./history.ts";

class MapShelf extends Map<string, string> implements Shelf {
  getItem(key: string): string | null {
    return this.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.set(key, value);
  }
  removeItem(key: string): void {
    this.delete(key);
  }
}

const entry = (at: number, prompt = "p") => ({ at, body: { seed: at }, prompt, beginning: "b".repeat(999) });

describe("the history", () => {
  it("has the newest entry first, up to a limit", () => {
    const shelf = new MapShelf();
    for (let at = 1; at <= ENTRIES_MAX + 3; at++) addToHistory(shelf, entry(at));
    const history = readHistory(shelf);
    assert.equal(history.length, ENTRIES_MAX);
    assert.equal(history[0]?.at, ENTRIES_MAX + 3);
    assert.equal(history[0]?.beginning.length, 200);
  });

  it("drops the oldest entries if texts are long, and an entry that is too long by itself", () => {
    const shelf = new MapShelf();
    const long = "x".repeat(CHARACTERS_MAX / 3);
    for (let at = 1; at <= 4; at++) addToHistory(shelf, entry(at, long));
    assert.deepEqual(
      readHistory(shelf).map(({ at }) => at),
      [4, 3],
    );
    assert.deepEqual(addToHistory(new MapShelf(), entry(1, long.repeat(4))), []);
  });

  it("is empty after it was cleared, and if the storage has something else", () => {
    const shelf = new MapShelf();
    addToHistory(shelf, entry(1));
    const key = [...shelf.keys()][0] as string;
    assert.equal(readHistory(shelf).length, 1);
    for (const strange of ["{", "7", "[1, null, {}]"]) {
      shelf.set(key, strange);
      assert.deepEqual(readHistory(shelf), []);
    }
    addToHistory(shelf, entry(1));
    clearHistory(shelf);
    assert.deepEqual(readHistory(shelf), []);
  });

  it("lasts only as long as the page if the browser has no storage", () => {
    const deny = (): never => {
      throw new Error("denied");
    };
    const shelf = { getItem: deny, setItem: deny, removeItem: deny };
    assert.equal(addToHistory(shelf, entry(1)).length, 1);
    assert.deepEqual(readHistory(shelf), []);
    clearHistory(shelf);
  });
});
