#!/usr/bin/env node
// The entry point of a container image: the platform runs `IMAGE serve`, and whoever tries it out may add flags. Every
// other word is refused, so that a mistyped command does not start a server.
import { GptError } from "../errors.ts";
import { endWithOutput, report } from "./report.ts";

async function main([word = "serve", ...argv]: readonly string[]): Promise<number> {
  if (word === "serve") return (await import("./commands/container.ts")).container.run(argv);
  throw new GptError(
    "invalid_config",
    `A container is started with the argument serve, got ${JSON.stringify(word.slice(0, 60))}`,
  );
}

endWithOutput();
process.exitCode = await main(process.argv.slice(2)).catch(report);
