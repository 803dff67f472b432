// Loads the shipped model as the server does, for tests that need real texts.
import { join } from "node:path";
import { loadGenerator } from "../../src/generator/load-generator.ts";
import { packageRoot } from "../../src/generator/model-directory.ts";
import type { TextGenerator } from "../../src/generator/text-generator.ts";

/** The caller must close it. */
export function shippedGenerator(): Promise<TextGenerator> {
  return loadGenerator({
    model: join(packageRoot(), "models/tiny"),
    name: "tiny",
    precision: "f32",
    kvCacheMb: 64,
    queueRequestsMax: 999,
  });
}
