// A clock that stands until it is moved, for everything that takes a `Clock`.
import type { Clock } from "../../src/engine/thread/clock.ts";

export class HandClock implements Clock {
  time = 0;
  /** Action → the milliseconds after which it was ordered, as long as it is due. */
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

  /** Moves on, and calls at their time the actions that become due. */
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

  /** Moves on at once: what was due meanwhile is called once, late. */
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
