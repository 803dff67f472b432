// The model that stands in the repository, loaded as the server loads it: for tests that read texts of meaning.
import { join } from "node:path";
import { loadGenerator } from "../../src/generator/load-generator.ts";
import { packageRoot } from "../../src/generator/model-directory.ts";
import type { TextGenerator } from "../../src/generator/text-generator.ts";

/** To be closed by the caller. */
export function shippedGenerator(): Promise<TextGenerator> {
  return loadGenerator({
    model: join(packageRoot(), "models/tiny"),
    name: "tiny",
    precision: "f32",
    kvCacheMb: 64,
    queueRequestsMax: 999,
  });
}
