// A `Clock` that stands still until a test moves it.
import type { Clock } from "../../src/engine/thread/clock.ts";

export class HandClock implements Clock {
  time = 0;
  /** Pending actions, each with its time in milliseconds. */
  readonly alarms = new Map<() => void, number>();
  readonly #due = new Map<() => void, number>();

  now(): number {
    return this.time;
  }

  after(ms: number, action: () => void): () => void {
    this.alarms.set(action, ms);
    this.#due.set(action, this.time + ms);
    return () => this.#cancel(action);
  }

  /** Moves the clock, and calls each action at its time. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.#due].sort(([, a], [, b]) => a - b);
      if (!next || next[1] > end) break;
      this.time = Math.max(this.time, next[1]);
      this.#fire(next[0]);
    }
    this.time = end;
  }

  /** Moves the clock in one jump. Actions that became due are called afterwards, once each. */
  jump(ms: number): void {
    this.time += ms;
    const late = [...this.#due].filter(([, due]) => due <= this.time);
    for (const [action] of late) this.#fire(action);
  }

  #fire(action: () => void): void {
    this.#cancel(action);
    action();
  }

  #cancel(action: () => void): void {
    this.alarms.delete(action);
    this.#due.delete(action);
  }
}
