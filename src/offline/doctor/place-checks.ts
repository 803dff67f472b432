// The checks of `doctor` about the environment: folders, ports, the hub, the clock. Pure functions of gathered facts.
import type { Unfit } from "../../files/private-folder.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

export interface FolderFacts {
  readonly path: string;
  /** What the folder is for, in words. */
  readonly holds: string;
  /** Undefined if nothing exists at this path. `unfit`: why the folder is not used. */
  readonly found: { readonly unfit: Unfit | undefined; readonly canWrite: boolean } | undefined;
  /** If the path does not exist: the folder in which it cannot be created; undefined if it can. */
  readonly obstacle: string | undefined;
}

/** A folder with code, weights or keys must not be writable for other users. */
export function folderCheck({ path, holds, found, obstacle }: FolderFacts): Finding {
  const what = "folder";
  const says = `${path} (${holds})`;
  if (obstacle !== undefined) {
    return warning(
      what,
      `${says} cannot be made in ${obstacle}, so nothing is kept for the next start`,
      "Set HOME or XDG_CACHE_HOME to a folder of this user",
    );
  }
  if (found === undefined) return ok(what, `${says} is made when it is needed`);
  const { unfit } = found;
  if (unfit !== undefined) return problem(what, `${says} is not used: ${unfit.reason}`, unfit.remedy);
  if (!found.canWrite) {
    return warning(
      what,
      `${says} cannot be written, so nothing is kept for the next start`,
      `Run: chmod u+w ${path}`,
    );
  }
  return ok(what, says);
}

/** Facts about a folder that other programs of the user share. */
export interface SharedFolderFacts {
  readonly isFolder: boolean;
  /** It belongs to another user who is not root. */
  readonly isOthers: boolean;
  /** Its mode allows others than the owner to write. */
  readonly othersWrite: boolean;
  readonly canWrite: boolean;
}

/**
 * Checks the hub's cache, which Python shares. Who can write there can change the model's answers. `obstacle`: see
 * `FolderFacts`.
 */
export function hubCacheCheck(
  path: string,
  found: SharedFolderFacts | undefined,
  obstacle: string | undefined,
): Finding {
  const what = "folder";
  const says = `${path} (models of the hub)`;
  const another = "name another in HF_HUB_CACHE";
  if (obstacle !== undefined) {
    return warning(
      what,
      `${says} cannot be made in ${obstacle}: no model is fetched`,
      `To fetch one, ${another}`,
    );
  }
  if (found === undefined) return ok(what, `${says} is made when it is needed`);
  if (!found.isFolder) return problem(what, `${says} is no folder`, `Remove it, or ${another}`);
  if (found.isOthers || found.othersWrite) {
    const who = found.isOthers ? "belongs to another user" : "can be written by others";
    const remedy = found.isOthers ? `Trust that user, or ${another}` : `Run: chmod go-w ${path}`;
    return warning(what, `${says} ${who}, who can change the models in it`, remedy);
  }
  if (found.canWrite) return ok(what, says);
  return warning(
    what,
    `${says} cannot be written: models in it are served, and none is fetched`,
    `Run: chmod u+w ${path}, or ${another}`,
  );
}

/** For a user without a home folder, if no other folder is named. */
export function noFolderCheck({ reason, remedy }: Unfit): Finding {
  return warning("folder", `Nothing is kept between starts: ${reason}`, remedy);
}

/** `error`: the code of the failure to listen; undefined if it succeeded. `flag`: the flag that sets the port. */
export function portCheck(address: string, error: string | undefined, flag: string): Finding {
  const what = "port";
  if (error === undefined) return ok(what, `${address} is free`);
  if (error === "EADDRINUSE") {
    return problem(
      what,
      `${address} is in use`,
      `Stop what listens there, or choose another port with ${flag}`,
    );
  }
  if (error === "EACCES") {
    return problem(what, `${address} is not for this user (EACCES)`, `Choose a port above 1023 with ${flag}`);
  }
  return problem(what, `${address} cannot be listened on (${error})`, "Choose an address of this machine");
}

export interface HubFacts {
  readonly endpoint: string;
  /** The variable that forbids to contact the hub; undefined if none does. */
  readonly offlineBy: string | undefined;
  /** Why there was no answer; undefined if there was one, or the hub was not asked. */
  readonly error: string | undefined;
}

export function hubCheck({ endpoint, offlineBy, error }: HubFacts): Finding {
  const what = "hub";
  if (offlineBy !== undefined)
    return ok(what, `Not asked, because ${offlineBy} is set: models come from this machine only`);
  if (error === undefined) return ok(what, `${endpoint} answers`);
  return warning(
    what,
    `${endpoint} does not answer (${error}): only models that are on this machine can be served`,
    "Check network and proxy, name a mirror in HF_ENDPOINT, or set HF_HUB_OFFLINE=1",
  );
}

export interface ClockFacts {
  /** This machine's time and that of the hub, in milliseconds. */
  readonly here: number;
  readonly there: number;
  readonly skewSecondsMax: number;
}

/** A `Date` header has whole seconds only. */
const CLOCK_RESOLUTION_MS = 1000;

export function clockCheck({ here, there, skewSecondsMax }: ClockFacts): Finding {
  const what = "clock";
  const difference = here - there;
  const isOn = Math.abs(difference) <= CLOCK_RESOLUTION_MS;
  const seconds = Math.abs(difference / 1000).toFixed(0);
  const says = isOn ? "On time" : `${seconds} seconds ${difference < 0 ? "behind" : "ahead of"} the hub's`;
  const remedy = "Set the clock, and have it kept by NTP";
  if (Math.abs(difference) > skewSecondsMax * 1000) {
    return problem(what, `${says}, so signatures of clients whose clock is right are refused`, remedy);
  }
  return Math.abs(difference) > (skewSecondsMax * 1000) / 2 ? warning(what, says, remedy) : ok(what, says);
}
