// What the fetching of a model tells while it runs. How it is shown is the business of whoever listens.

export type HubEvent =
  | {
      readonly kind: "begin";
      /** `owner/name at 607a30d7` */
      readonly label: string;
      readonly numFiles: number;
      /** Of all files. */
      readonly bytes: number;
      readonly numPresent: number;
    }
  | {
      readonly kind: "progress";
      readonly label: string;
      readonly file: string;
      /** Of this file: what is here, and all of it. */
      readonly fileBytes: number;
      readonly fileSize: number;
      /** Of all files that were missing. */
      readonly bytes: number;
      readonly size: number;
    }
  | {
      readonly kind: "end";
      readonly label: string;
      /** Of the files that were missing. */
      readonly size: number;
    }
  /** What a person should know, in one sentence. */
  | { readonly kind: "notice"; readonly text: string };

const MB = 1_000_000;

/** As the hub shows sizes: `548 MB`, `1.2 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(digitsFor(bytes))} MB`;
}

/** `247 of 548 MB` */
export function megabytesOf(bytes: number, size: number): string {
  const digits = digitsFor(size);
  const floor = Math.floor((bytes / MB) * 10 ** digits) / 10 ** digits;
  return `${floor.toFixed(digits)} of ${megabytes(size)}`;
}

function digitsFor(bytes: number): number {
  if (bytes >= 10 * MB) return 0;
  return bytes >= MB / 10 || bytes === 0 ? 1 : 3;
}
