// A server as a process: it hears signals, outlives its output, and ends in time whatever hangs.
import { reload, run, type ServerParts } from "../server/lifecycle.ts";
import { outliveOutput, report } from "./report.ts";
import { signals } from "./signals.ts";

/**
 * Serves until the process ends. `onReady` is told the address.
 * @returns the exit code, if the process has not ended with it
 */
export async function serveForLife(parts: ServerParts, onReady: (baseUrl: string) => void): Promise<number> {
  outliveOutput();
  signals.onReload(() => reload(parts));
  const code = await run({ ...parts, stopped: signals.stopped() }, onReady).catch(report);
  await signals.end(code);
  return code;
}
