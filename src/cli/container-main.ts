#!/usr/bin/env node
// The entry point of a container image. The platform runs `IMAGE serve`; a person may add flags. Any other word is
// refused, so that a mistyped command does not start a server. `signals.ts` is imported first, so that signals are
// handled from the first moment: as process 1 of a container this process gets no default action for them.
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
