#!/usr/bin/env node
// The entry point of `gpt2-api`: turns Node's cache of compiled code on and runs the command that the arguments name.
// `signals.ts` is imported first, so that signals are handled from the first moment.
import "./signals.ts";

const [{ keepCompiledCode }, { endWithOutput, report, warn }] = await Promise.all([
  import("./compiled-code.ts"),
  import("./report.ts"),
]);
endWithOutput();
keepCompiledCode(process.env, warn);
try {
  const { runCommandLine } = await import("./command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
