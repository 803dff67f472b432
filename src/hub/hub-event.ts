// The events that fetching a model emits while it runs. Listeners decide how to show them.

export type HubEvent =
  | {
      readonly kind: "begin";
      /** `owner/name at 607a30d7` */
      readonly label: string;
      readonly numFiles: number;
      /** Total size of all files. */
      readonly bytes: number;
      readonly numPresent: number;
    }
  | {
      readonly kind: "progress";
      readonly label: string;
      readonly file: string;
      /** Of this file: the bytes that have arrived, and its size. */
      readonly fileBytes: number;
      readonly fileSize: number;
      /** Of all files that were missing: the bytes that have arrived, and their total size. */
      readonly bytes: number;
      readonly size: number;
    }
  | {
      readonly kind: "end";
      readonly label: string;
      /** Total size of the files that were missing. */
      readonly size: number;
    }
  /** One sentence for the user. */
  | { readonly kind: "notice"; readonly text: string };

const MB = 1_000_000;

/** A size in decimal megabytes, as the hub shows it: `548 MB`, `1.2 MB`. */
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
