import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { keptByLimits } from "./fields.ts";

test("a schema is made once for each object of limits", () => {
  const made: number[] = [];
  const schemaFor = keptByLimits(({ most }: { readonly most: number }) => {
    made.push(most);
    return z.object({ n: z.int().max(most) });
  });
  const [small, large] = [{ most: 1 }, { most: 9 }];
  const schemas = [small, large, small, large].map(schemaFor);
  assert.deepEqual(made, [1, 9]);
  assert.equal(schemas[0], schemas[2]);
  assert.equal(schemas[0]?.safeParse({ n: 2 }).success, false);
  assert.equal(schemas[1]?.safeParse({ n: 2 }).success, true);
});
