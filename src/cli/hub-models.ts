// How commands get models from a hub: the options, from settings and environment, and the report of progress. The first
// Ctrl-C stops a download in good order, and the next one continues it.
import { type FoundModel, findModel } from "../generator/find-model.ts";
import { hubEnvironment } from "../hub/hub-environment.ts";
import type { HubEvent } from "../hub/hub-event.ts";
import type { HubOptions } from "../hub/obtain.ts";
import type { FindModel } from "../server/model-search.ts";
import type { ResolvedSettings } from "../settings.ts";
import { DownloadReport } from "./download-report.ts";
import { signals } from "./signals.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The origin that `--print-config` shows for a container's presets. */
export const CONTRACT = "the container contract";

/**
 * The hub's address, cache and credentials.
 * @throws GptError `invalid_config` when a variable of the hub is wrong
 */
export function hubOptionsFor(resolved: ResolvedSettings, env: Environment): HubOptions {
  const environment = hubEnvironment(env);
  const { settings, origins } = resolved;
  if (!settings.offline) return { environment };
  const by = origins.offline === CONTRACT ? "a container without --download" : origins.offline;
  return { environment: { ...environment, offline: by } };
}

/** The model that `--model` names. If it has to be fetched, the progress is shown. */
export async function findModelOf(resolved: ResolvedSettings, env: Environment): Promise<FoundModel> {
  const find = modelFinder(resolved, env, printLine);
  return signals.whileInterruptible((signal) => find(resolved.settings.model, signal, () => {}));
}

/** Prints a line on standard error. */
export function printLine(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** `line` is called with warnings, and, where there is no terminal, with the progress of a download. */
export function modelFinder(
  resolved: ResolvedSettings,
  env: Environment,
  line: (text: string) => void,
): FindModel {
  return (model, signal, onFetched, freshness) => {
    let report: DownloadReport | undefined;
    const hub = (): HubOptions => {
      const options = hubOptionsFor(resolved, env);
      const watching = new DownloadReport({ line, env, isQuiet: options.environment.isQuiet });
      report = watching;
      const onEvent = (event: HubEvent): void => {
        watching.onEvent(event);
        if (event.kind === "progress") onFetched(event.bytes / event.size);
        if (event.kind === "end") onFetched(1);
      };
      return { ...options, onEvent, signal };
    };
    return findModel(model, hub, freshness).finally(() => report?.clear());
  };
}
