import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget, type MemoryNeed, PROCESS_BYTES } from "./memory-budget.ts";

const MIB = 2 ** 20;
const { least: idle, busy } = PROCESS_BYTES;

function need(
  name: string,
  leastMib: number,
  fullMib: number,
  precision: "int8" | "f32" = "int8",
): MemoryNeed {
  return { name, precision, least: leastMib * MIB, full: fullMib * MIB };
}

const budget = (bytes: number) => new MemoryBudget({ bytes, file: "/memory.max" });

test("a model that fits under full load passes without a word, to the byte", () => {
  assert.equal(budget(busy + 300 * MIB).claim(need("a", 100, 300)), undefined);
  assert.match(budget(busy + 300 * MIB - 1).claim(need("a", 100, 300)) ?? "", /--kv-cache-mb by 1,/);
});

test("one that fits when idle only is warned of, with both numbers and what to lower", () => {
  const warning = budget(260 * MIB).claim(need("a", 100, 300)) ?? "";
  assert.match(
    warning,
    /^a may need 428 MiB under load, and there is the container's memory limit of 260 MiB/,
  );
  assert.match(
    warning,
    /\(\/memory\.max\): above it the kernel ends the process\. Lower --kv-cache-mb by 168,/,
  );
  assert.match(
    budget(160 * MIB).claim(need("a", 100, 110)) ?? "",
    /\. Give it more memory, or take a smaller/,
  );
});

test("one that cannot fit is refused with both numbers, and not counted", () => {
  const small = budget(idle + 100 * MIB);
  assert.throws(() => small.claim(need("big", 101, 101, "f32")), {
    code: "invalid_config",
    message:
      "big cannot run in the container's memory limit of 156 MiB (/memory.max): 157 MiB are the least, with the keys " +
      "and values of one context. Give it more memory, use --precision int8, or take a smaller checkpoint",
  });
  assert.throws(() => budget(0).claim(need("big", 1, 1)), {
    message: /Give it more memory, or take a smaller/,
  });
  assert.match(small.claim(need("fits", 100, 100)) ?? "", /^fits may need/);
});

test("models share the memory until they are released, one claim at a time", () => {
  const shared = budget(idle + 250 * MIB);
  const first = need("a", 100, 100);
  shared.claim(first);
  shared.claim(need("a", 100, 100));
  assert.throws(() => shared.claim(need("b", 100, 100)), { message: /^a and a and b cannot run in/ });
  shared.release(first);
  assert.match(shared.claim(need("b", 100, 100)) ?? "", /^a and b may need/);
  assert.throws(() => shared.claim(need("c", 100, 100)), { code: "invalid_config" });
  shared.release(first);
  assert.throws(() => shared.claim(need("c", 100, 100)), { code: "invalid_config" });
});

test("a model has room beside others when all of them have it at their fullest, to the byte", () => {
  const shared = budget(busy + 500 * MIB - 1);
  const old = need("old", 100, 300);
  assert.equal(shared.refusalBeside(need("new", 100, 400)), undefined);
  shared.claim(old);
  assert.equal(
    shared.refusalBeside(need("new", 100, 200)),
    "new has no room beside old: together they may need 628 MiB, and there is the container's memory limit of 628 MiB " +
      "(/memory.max)",
  );
  assert.equal(shared.refusalBeside(need("new", 100, 199)), undefined);
  shared.release(old);
  assert.equal(shared.refusalBeside(need("new", 100, 200)), undefined);
});

test("without a container the sentence speaks of the machine", () => {
  const machine = new MemoryBudget({ bytes: MIB, file: undefined });
  assert.throws(() => machine.claim(need("a", 1, 1)), {
    message: /^a cannot run in this machine's memory of 1 MiB: /,
  });
});
