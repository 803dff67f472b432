import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HandClock } from "../../../test/support/hand-clock.ts";
import { Watchdog } from "./watchdog.ts";

function watch() {
  const clock = new HandClock();
  const state = { isBusy: true, silences: 0 };
  const dog = new Watchdog(
    clock,
    30_000,
    () => state.isBusy,
    () => {
      state.silences += 1;
    },
  );
  dog.start();
  return { clock, state, dog };
}

describe("the watchdog", () => {
  it("tells once of an engine that has work and is silent", () => {
    const { clock, state } = watch();
    clock.advance(29_999);
    assert.equal(state.silences, 0);
    clock.advance(1001);
    assert.equal(state.silences, 1);
    clock.advance(1_000_000);
    assert.equal(state.silences, 1);
  });

  it("waits anew after each sign of life", () => {
    const { clock, state, dog } = watch();
    for (let i = 0; i < 100; i++) {
      clock.advance(29_000);
      dog.heard();
    }
    assert.equal(state.silences, 0);
    clock.advance(31_001);
    assert.equal(state.silences, 1);
  });

  it("does not mind silence while there is no work, and counts from the work that comes then", () => {
    const { clock, state, dog } = watch();
    state.isBusy = false;
    clock.advance(1_000_000);
    state.isBusy = true;
    dog.heard();
    clock.advance(29_000);
    assert.equal(state.silences, 0);
    clock.advance(2001);
    assert.equal(state.silences, 1);
  });

  it("looks again before it believes, since a process that was stopped has messages to read first", () => {
    const { clock, state, dog } = watch();
    clock.jump(3_600_000); // As after a pause of the process, all timers fire late.
    dog.heard();
    clock.advance(29_000);
    assert.equal(state.silences, 0);
  });

  it("is silent after it was stopped", () => {
    const { clock, state, dog } = watch();
    dog.stop();
    clock.advance(1_000_000);
    assert.equal(state.silences, 0);
  });
});
