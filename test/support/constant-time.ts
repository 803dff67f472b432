// Watches `timingSafeEqual`. That a comparison takes the same time wherever two texts differ cannot be measured in a test
// without noise; that the function is called which promises it can be seen.
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { mock, type TestContext } from "node:test";

/** Counts from now on until the test is over, also in modules that imported the function by its name. */
export function numConstantTimeComparisons(context: Pick<TestContext, "after">): () => number {
  const watched = mock.method(crypto, "timingSafeEqual");
  syncBuiltinESMExports();
  context.after(() => {
    watched.mock.restore();
    syncBuiltinESMExports();
  });
  return () => watched.mock.callCount();
}
