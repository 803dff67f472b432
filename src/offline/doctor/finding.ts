// What `doctor` finds: one line for each thing it looked at, with what to do about it where there is something to do.

export type Status = "ok" | "warning" | "problem";

export interface Finding {
  /** One word for what was looked at. */
  readonly what: string;
  /** `warning`: it works, and less well than it could; `problem`: something will not work, or is not safe. */
  readonly status: Status;
  /** A sentence. */
  readonly says: string;
  /** What to do; there unless the status is ok. */
  readonly remedy?: string;
}

export const ok = (what: string, says: string): Finding => ({ what, status: "ok", says });

export const warning = (what: string, says: string, remedy: string): Finding => ({
  what,
  status: "warning",
  says,
  remedy,
});

export const problem = (what: string, says: string, remedy: string): Finding => ({
  what,
  status: "problem",
  says,
  remedy,
});
