#!/usr/bin/env node
// The entry of the command: has Node keep compiled code before there is any, and runs what the arguments name.
import { keepCompiledCode } from "./compiled-code.ts";
import { endWithOutput, report } from "./report.ts";

endWithOutput();
keepCompiledCode(process.env);
try {
  const { runCommandLine } = await import("./command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
