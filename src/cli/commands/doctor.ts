// `gpt2-api doctor`: checks the machine, the environment and a model, and reports what would keep the software from
// working. It changes nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GptError, messageOf } from "../../errors.ts";
import { cachePath, partPath } from "../../files/cache-folders.ts";
import { findModel } from "../../generator/find-model.ts";
import { packageRoot } from "../../generator/model-directory.ts";
import { type HubEnvironment, hubEnvironment } from "../../hub/hub-environment.ts";
import { threadsFor, usableCpus } from "../../machine/cpus.ts";
import { processLimit } from "../../machine/kernel-files.ts";
import { memoryAvailable, memoryLimit } from "../../machine/memory.ts";
import { MemoryBudget, PROCESS_BYTES } from "../../machine/memory-budget.ts";
import type { Gpt2Config } from "../../model/gpt2-config.ts";
import { memoryNeed } from "../../model/loading/footprint.ts";
import { type Finding, problem, type Status, warning } from "../../offline/doctor/finding.ts";
import {
  addressSpaceCheck,
  bandwidthCheck,
  kernelCheck,
  memoryCheck,
  nodeCheck,
  openFilesCheck,
  threadCheck,
} from "../../offline/doctor/machine-checks.ts";
import { kernelFacts } from "../../offline/doctor/machine-facts.ts";
import {
  checkpointCheck,
  goldenCheck,
  hashCheck,
  tokenizerCheck,
  weightCheck,
} from "../../offline/doctor/model-checks.ts";
import { inspectModel, type ModelFacts } from "../../offline/doctor/model-facts.ts";
import {
  clockCheck,
  folderCheck,
  hubCacheCheck,
  hubCheck,
  noFolderCheck,
  portCheck,
} from "../../offline/doctor/place-checks.ts";
import {
  folderFacts,
  hubFacts,
  obstacleTo,
  sharedFolderFacts,
  tryToListen,
} from "../../offline/doctor/place-facts.ts";
import { measureBandwidth, weightBytes } from "../../offline/measure.ts";
import type { Settings } from "../../settings.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { EXIT } from "../report.ts";
import { type Colour, loadingText, Progress, painter } from "../terminal.ts";

const MODEL_SETTINGS = [
  "model",
  "precision",
  "threads",
  "kernels",
  "kvCacheMb",
  "passTokensMax",
  "passRowsMax",
] as const;
const SERVER_SETTINGS = [
  "host",
  "port",
  "adminHost",
  "adminPort",
  "connectionsMax",
  "clockSkewSeconds",
] as const;

export const doctor: Command = {
  summary: "Checks this machine and a model, and reports problems.",
  examples: [
    ["This machine, with the small model that comes with the software", "gpt2-api doctor"],
    ["Your own checkpoint, with output for a script", "gpt2-api doctor --model ./my-gpt2 --json"],
  ],
  options: {
    json: { type: "boolean", common: true, help: "Prints one JSON object instead of lines." },
    ...settingOptions([...MODEL_SETTINGS, ...SERVER_SETTINGS], ["model", "precision"]),
    ...CONFIG_OPTION,
  },
  async run(argv) {
    const { values } = parseFlags(argv, doctor);
    const { settings } = settingsOf(values, process.env);
    const findings: Finding[] = [];
    const print = values.json ? (): void => {} : printer();
    for await (const finding of examine(settings)) {
      findings.push(finding);
      print(finding);
    }
    const numProblems = findings.filter(({ status }) => status === "problem").length;
    if (values.json) process.stdout.write(`${JSON.stringify({ problems: numProblems, findings })}\n`);
    else process.stdout.write(`\n${summary(findings)}\n`);
    return numProblems > 0 ? EXIT.failure : EXIT.success;
  },
};

const COLOURS: Readonly<Record<Status, Colour>> = { ok: "green", warning: "yellow", problem: "red" };

/** Prints one line for each finding, and below it what to do about it. */
function printer(): (finding: Finding) => void {
  const paint = painter(process.stdout, process.env);
  return ({ what, status, says, remedy }) => {
    process.stdout.write(`${paint(status.padEnd(8), COLOURS[status])} ${what.padEnd(10)} ${says}\n`);
    if (remedy !== undefined) process.stdout.write(`${" ".repeat(20)}→ ${remedy}\n`);
  };
}

function summary(findings: readonly Finding[]): string {
  const count = (status: Status): number => findings.filter((finding) => finding.status === status).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  if (problems + warnings === 0) return "No problems found.";
  const counted = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  return `${counted(problems, "problem")}, ${counted(warnings, "warning")}.`;
}

async function* examine(settings: Settings): AsyncGenerator<Finding> {
  yield* examineMachine(settings);
  yield* examinePlace(settings);
  yield* examineModel(settings);
}

function* examineMachine({ kernels, threads, connectionsMax }: Settings): Generator<Finding> {
  const { engines } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    engines: { node: string };
  };
  yield nodeCheck(process.version, engines.node);
  yield kernelCheck(kernelFacts(kernels));
  yield threadCheck(threads, usableCpus());
  yield addressSpaceCheck(processLimit("Max address space"));
  yield openFilesCheck(processLimit("Max open files"), connectionsMax);
}

async function* examinePlace(settings: Settings): AsyncGenerator<Finding> {
  yield* examineFolders();
  const { host, port, adminHost, adminPort, clockSkewSeconds } = settings;
  const places = [
    { host, port, flag: "--port" },
    { host: adminHost, port: adminPort, flag: "--admin-port" },
  ];
  for (const place of places.filter((each) => each.port !== 0)) {
    const error = await tryToListen(place.host, place.port);
    yield portCheck(`${place.host} port ${place.port}`, error, place.flag);
  }
  const environment = hubEnvironmentOr(process.env);
  if (environment instanceof GptError) {
    yield problem("hub", environment.message, "Correct or unset the variable");
    return;
  }
  yield hubCacheCheck(environment.cache, sharedFolderFacts(environment.cache), obstacleTo(environment.cache));
  const { there, ...hub } = await hubFacts(environment);
  yield hubCheck(hub);
  if (there !== undefined) yield clockCheck({ here: Date.now(), there, skewSecondsMax: clockSkewSeconds });
}

function hubEnvironmentOr(env: NodeJS.ProcessEnv): HubEnvironment | GptError {
  try {
    return hubEnvironment(env);
  } catch (error) {
    if (error instanceof GptError) return error;
    throw error;
  }
}

function* examineFolders(): Generator<Finding> {
  const cache = cachePath(process.env);
  if (!("path" in cache)) {
    yield noFolderCheck(cache);
    return;
  }
  yield folderCheck(folderFacts(partPath(cache.path, "keys"), "keys"));
  yield folderCheck(folderFacts(partPath(cache.path, "weights"), "quantised weights"));
  yield folderCheck(folderFacts(partPath(cache.path, "code"), "compiled code"));
}

async function* examineModel(settings: Settings): AsyncGenerator<Finding> {
  const threads = threadsFor(settings.threads);
  let directory: string;
  try {
    directory = (await findModel(settings.model, unfetched)).directory;
    yield examineMemory(directory, settings, threads);
  } catch (error) {
    if (!(error instanceof GptError)) throw error;
    yield checkpointCheck(settings.model, { error: error.message });
    return;
  }
  const progress = new Progress();
  let facts: ModelFacts | GptError;
  try {
    const onLoading = (part: number): void => progress.show(loadingText(directory, part));
    facts = await inspectModel(directory, { ...settings, threads, onLoading });
  } catch (error) {
    if (!(error instanceof GptError)) throw error;
    facts = error;
  }
  progress.clear();
  if (facts instanceof GptError) {
    yield checkpointCheck(directory, { error: facts.message });
    return;
  }
  const { config, parameters, hashes, notFinite, loadError, tokenizer, golden } = facts;
  yield checkpointCheck(directory, { parameters, contextLength: config.contextLength });
  yield hashCheck(hashes);
  yield weightCheck(notFinite, loadError);
  yield tokenizerCheck(tokenizer, config.vocabSize);
  yield goldenCheck(golden);
  yield await examineBandwidth(settings, threads, config);
}

/** Looks in the hub's cache only: this command changes nothing, so it fetches no model either. */
function unfetched(): { environment: HubEnvironment } {
  const environment = hubEnvironment(process.env);
  return { environment: { ...environment, offline: environment.offline ?? "gpt2-api doctor" } };
}

/** Measuring takes memory of its own, which a machine may not have. */
async function examineBandwidth(
  { kernels, precision }: Settings,
  threads: number,
  config: Gpt2Config,
): Promise<Finding> {
  try {
    const bandwidth = await measureBandwidth({ kernels, threads });
    return bandwidthCheck({ bandwidth, threads, weights: weightBytes(config, precision) });
  } catch (error) {
    if (!(error instanceof GptError)) throw error;
    return warning("bandwidth", `Not measured: ${error.message}`, "Give it more memory");
  }
}

function examineMemory(directory: string, settings: Settings, threads: number): Finding {
  const limit = memoryLimit();
  const need = memoryNeed(directory, { ...settings, threads });
  const facts = { limit, available: memoryAvailable(), need: need.full + PROCESS_BYTES.busy };
  try {
    const warning = new MemoryBudget(limit).claim(need);
    return memoryCheck({ ...facts, refusal: undefined, warning });
  } catch (error) {
    return memoryCheck({ ...facts, refusal: messageOf(error), warning: undefined });
  }
}
