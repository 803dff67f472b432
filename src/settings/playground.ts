// The settings of the playground, the page that shows what the model sees.
import { z } from "zod";

export const PLAYGROUND = {
  playground: z
    .enum(["auto", "on", "off"])
    .default("auto")
    .describe(
      "The page that shows what the model sees, opened by a link that `serve` prints; auto: on an address that only this " +
        "machine reaches.",
    ),
  playgroundSessionsMax: z
    .int()
    .min(1)
    .max(1000)
    .default(32)
    .describe("Browsers that may have the playground open; one more ends the oldest session."),
  playgroundSessionHours: z
    .int()
    .min(1)
    .max(720)
    .default(24)
    .describe("Time for which a browser may use the playground once it was opened by a link, in hours."),
};
