// The links that open the playground. One is printed when the server is ready, and opened in a browser if the user wants
// that. Each link works once; when it was used, the next one is printed.
import { GptError, messageOf } from "../errors.ts";
import { packageVersion } from "../generator/model-directory.ts";
import { isLoopback } from "../server/access/place.ts";
import { PlaygroundSessions } from "../server/access/playground-sessions.ts";
import { readPageFiles } from "../server/doors/page-files.ts";
import type { Playground } from "../server/doors/runtime.ts";
import type { Settings } from "../settings.ts";
import { nextLink } from "./greeting.ts";

export class PlaygroundLinks {
  /** The page and its sessions, for the server. */
  readonly parts: Playground;
  #baseUrl = "";

  constructor(settings: Settings, isTerminal: boolean, files: Playground["files"]) {
    const tellNext = (): void => {
      if (isTerminal) process.stdout.write(nextLink(this.#link));
    };
    const sessions = new PlaygroundSessions(settings, () => performance.now(), tellNext);
    this.parts = { sessions, release: packageVersion(), files };
  }

  get #link(): string {
    return `${this.#baseUrl}/?token=${this.parts.sessions.token}`;
  }

  /** The first link. Call it once the address is known. */
  at(baseUrl: string): string {
    this.#baseUrl = baseUrl;
    return this.#link;
  }

  /** Opens the link in a browser. Without a browser, `onProblem` is called and the server goes on. */
  async open(onProblem: (message: string) => void): Promise<void> {
    try {
      const { default: open } = await import("open");
      const browser = await open(this.#link);
      browser.on("error", () => onProblem("--open: no browser was found; open the link by hand"));
    } catch (error) {
      onProblem(`--open: the browser could not be opened: ${messageOf(error)}`);
    }
  }
}

/**
 * Undefined where there is no playground. By default there is one only if the server is reached from this machine alone,
 * because the playground shows prompts and answers.
 * @throws GptError `invalid_config` when the playground is wanted and there is none
 */
export function playgroundLinks(
  settings: Settings,
  opens: boolean,
  isTerminal: boolean,
  readFiles: () => Playground["files"] = readPageFiles,
): PlaygroundLinks | undefined {
  const { playground, host } = settings;
  if (playground === "on" || (playground === "auto" && isLoopback(host))) {
    const files = readFiles();
    if (files.size > 0) return new PlaygroundLinks(settings, isTerminal, files);
    if (playground === "auto" && !opens) return undefined;
    throw new GptError(
      "invalid_config",
      "The playground's page is not in this build: npm run build makes it",
    );
  }
  if (!opens) return undefined;
  const why = playground === "off" ? "--playground is off" : `--host is ${host}, and --playground is not on`;
  throw new GptError("invalid_config", `--open needs the playground, and there is none: ${why}`);
}
