#!/usr/bin/env node
// The entry point of a container image: the platform runs `IMAGE serve`, and whoever tries it out may add flags. Every
// other word is refused, so that a mistyped command does not start a server. Everything but the signals is imported later,
// so that these are heard from the first moment: here this is process 1, and nobody else hears them.
import "./signals.ts";

async function main([word = "serve", ...argv]: readonly string[]): Promise<number> {
  if (word === "serve") return (await import("./commands/container.ts")).container.run(argv);
  const { GptError } = await import("../errors.ts");
  throw new GptError(
    "invalid_config",
    `A container is started with the argument serve, got ${JSON.stringify(word.slice(0, 60))}`,
  );
}

const { endWithOutput, report } = await import("./report.ts");
endWithOutput();
process.exitCode = await main(process.argv.slice(2)).catch(report);
