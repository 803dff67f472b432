// Models of a hub for the commands: what the settings and the environment say about it, and who is told while a model is
// fetched. A first Ctrl-C ends that in good order, and what has come stays for the next time.
import { type FoundModel, findModel } from "../generator/find-model.ts";
import { hubEnvironment } from "../hub/hub-environment.ts";
import type { HubEvent } from "../hub/hub-event.ts";
import type { HubOptions } from "../hub/obtain.ts";
import type { FindModel } from "../server/model-search.ts";
import type { ResolvedSettings } from "../settings.ts";
import { DownloadReport } from "./download-report.ts";
import { signals } from "./signals.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a container's presets are from. */
export const CONTRACT = "the container contract";

/**
 * How the hub is asked.
 * @throws GptError `invalid_config` when a variable of the hub is wrong
 */
export function hubOptionsFor(resolved: ResolvedSettings, env: Environment): HubOptions {
  const environment = hubEnvironment(env);
  const { settings, origins } = resolved;
  if (!settings.offline) return { environment };
  const by = origins.offline === CONTRACT ? "a container without --download" : origins.offline;
  return { environment: { ...environment, offline: by } };
}

/** The model that `--model` names, fetched while a person watches. */
export async function findModelOf(resolved: ResolvedSettings, env: Environment): Promise<FoundModel> {
  const find = modelFinder(resolved, env, tell);
  return signals.whileInterruptible((signal) => find(resolved.settings.model, signal, () => {}));
}

/** A line for the person at the terminal. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** `line` takes what is told of a download where there is no terminal, and what a person should know anywhere. */
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
