// Runs a server as a process: it handles signals, survives the loss of its output, and ends in time whatever hangs.
import { reload, run, type ServerParts } from "../server/lifecycle.ts";
import { outliveOutput, report } from "./report.ts";
import { signals } from "./signals.ts";

/**
 * Serves until the process ends. `onReady` is called with the address.
 * @returns the exit code; usually the process ends before
 */
export async function serveForLife(parts: ServerParts, onReady: (baseUrl: string) => void): Promise<number> {
  outliveOutput();
  signals.onReload(() => reload(parts));
  const code = await run({ ...parts, stopped: signals.stopped() }, onReady).catch(report);
  await signals.end(code);
  return code;
}
