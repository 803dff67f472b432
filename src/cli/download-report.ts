// Shows the progress of a download: on a terminal one line that is rewritten, elsewhere a few lines that do not flood a
// log. It turns events into text and fetches nothing.
import { type HubEvent, megabytes, megabytesOf } from "../hub/hub-event.ts";
import { Progress, type Terminal } from "./terminal.ts";

export interface DownloadReportOptions {
  /** Called with whole lines, without line ends. */
  readonly line: (text: string) => void;
  /** Where the progress line is drawn, if that is a terminal. Default: standard error. */
  readonly stream?: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True: no progress, only the first line, the last one, and warnings. */
  readonly isQuiet?: boolean;
  /** The time in milliseconds. */
  readonly now?: () => number;
}

type ProgressEvent = Extract<HubEvent, { kind: "progress" }>;

/** A log gets a line at every tenth of the download; the first bounds how soon after the last line, the second how late. */
const LINE_MS_MIN = 10_000;
const LINE_MS_MAX = 60_000;

export class DownloadReport {
  readonly #options: DownloadReportOptions;
  readonly #now: () => number;
  readonly #bar: Progress | undefined;
  #rate = new Rate();
  #beginMs = 0;
  #lineMs = 0;
  #tenths = 0;

  constructor(options: DownloadReportOptions) {
    const { stream = process.stderr, env, now = () => performance.now() } = options;
    this.#options = options;
    this.#now = now;
    const isTerminal = stream.isTTY === true && env.TERM !== "dumb";
    this.#bar = isTerminal ? new Progress(stream, now) : undefined;
  }

  readonly onEvent = (event: HubEvent): void => {
    switch (event.kind) {
      case "begin": {
        const { label, numFiles, bytes, numPresent } = event;
        const present = numPresent > 0 ? `, ${numPresent} already here` : "";
        this.#beginMs = this.#now();
        this.#lineMs = this.#beginMs;
        this.#line(`${label}: ${numFiles} file${numFiles === 1 ? "" : "s"}, ${megabytes(bytes)}${present}`);
        break;
      }
      case "progress":
        this.#rate.add(this.#now(), event.bytes);
        if (!this.#options.isQuiet) this.#show(event);
        break;
      case "end": {
        const seconds = Math.max(1, Math.round((this.#now() - this.#beginMs) / 1000));
        const fetched = event.size > 0 ? `, ${megabytes(event.size)} fetched in ${seconds} s` : "";
        this.#line(`${event.label} is complete${fetched}`);
        break;
      }
      case "notice":
        this.#line(event.text);
    }
  };

  /** Removes the progress line. */
  readonly clear = (): void => this.#bar?.clear();

  #line(text: string): void {
    this.clear();
    this.#options.line(text);
  }

  #show({ label, file, fileBytes, fileSize, bytes, size }: ProgressEvent): void {
    const pace = this.#rate.inWords(size - bytes);
    if (this.#bar !== undefined) {
      const part = `${percent(fileBytes, fileSize)}   ${megabytesOf(fileBytes, fileSize)}`;
      this.#bar.show([`${file}   ${part}`, ...pace].join("   "));
      return;
    }
    const now = this.#now();
    const tenths = Math.floor((10 * bytes) / size);
    const isDue = tenths > this.#tenths && now - this.#lineMs >= LINE_MS_MIN;
    if (!isDue && now - this.#lineMs < LINE_MS_MAX) return;
    this.#lineMs = now;
    this.#tenths = tenths;
    this.#line([`${label}: ${percent(bytes, size)}`, megabytesOf(bytes, size), ...pace].join(", "));
  }
}

function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.floor((100 * part) / whole) : 100} %`;
}

const RATE_WINDOW_MS = 5000;

/** Bytes per second, averaged over the last few seconds. */
class Rate {
  #samples: { readonly ms: number; readonly bytes: number }[] = [];

  add(ms: number, bytes: number): void {
    const last = this.#samples.at(-1);
    // The download began again, so the earlier samples say nothing.
    if (last !== undefined && bytes < last.bytes) this.#samples = [];
    if (last !== undefined && ms - last.ms < 100 && this.#samples.length > 1) this.#samples.pop();
    this.#samples.push({ ms, bytes });
    while ((this.#samples[1]?.ms ?? ms) < ms - RATE_WINDOW_MS) this.#samples.shift();
  }

  /** `11.2 MB/s` and `27 s left`; an empty list while the rate is unknown. */
  inWords(bytesLeft: number): string[] {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    const seconds = ((last?.ms ?? 0) - (first?.ms ?? 0)) / 1000;
    const rate = ((last?.bytes ?? 0) - (first?.bytes ?? 0)) / seconds;
    if (seconds < 1 || rate <= 0) return [];
    return [`${(rate / 1e6).toFixed(1)} MB/s`, `${durationInWords(bytesLeft / rate)} left`];
  }
}

function durationInWords(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
