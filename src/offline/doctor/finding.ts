// A finding of `doctor`: one for each thing that it checks, with a remedy if something is wrong.

export type Status = "ok" | "warning" | "problem";

export interface Finding {
  /** One word for what was checked. */
  readonly what: string;
  /** `warning`: it works, but not as well as it could; `problem`: something will not work, or is not safe. */
  readonly status: Status;
  /** What was found, in a sentence. */
  readonly says: string;
  /** What to do. Absent if the status is ok. */
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
