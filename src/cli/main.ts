#!/usr/bin/env node
// The entry of the command: has Node keep compiled code before there is any, and runs what the arguments name. Everything
// but the signals is imported later, so that these are heard from the first moment.
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
