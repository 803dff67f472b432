// Counts calls of `timingSafeEqual`. A test cannot measure without noise that a comparison takes constant time, but it can check
// that the function is called that guarantees it.
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { mock, type TestContext } from "node:test";

/** Counts calls until the test is over, also in modules that imported the function by its name. */
export function numConstantTimeComparisons(context: Pick<TestContext, "after">): () => number {
  const watched = mock.method(crypto, "timingSafeEqual");
  syncBuiltinESMExports();
  context.after(() => {
    watched.mock.restore();
    syncBuiltinESMExports();
  });
  return () => watched.mock.callCount();
}
