// `gpt2-api bench`: how fast this machine runs a model, compared with the limits of its memory and its cores.
import { cpus } from "node:os";
import { threadsFor } from "../../machine/cpus.ts";
import { PROCESS_BYTES } from "../../machine/memory-budget.ts";
import type { Gpt2 } from "../../model/gpt2.ts";
import { pageBytes } from "../../model/gpt2.ts";
import type { Gpt2Config } from "../../model/gpt2-config.ts";
import { footprintOf, type MemoryOptions, planMemory } from "../../model/loading/footprint.ts";
import { buildModel, loadModel, type ModelOptions } from "../../model/loading/load-model.ts";
import type { Precision } from "../../model/weights.ts";
import { type Measured, type Plan, passTimes, planFleet } from "../../offline/fleet/plan.ts";
import {
  decodePass,
  type Machine,
  type Measurement,
  measureChoice,
  measureDecode,
  measureMachine,
  measurePrefill,
  prefillPasses,
  type Setting,
  type Shape,
} from "../../offline/measure.ts";
import { type Profile, Profiler } from "../../offline/profile.ts";
import { randomTensors, SHAPE_NAMES, shapeConfig } from "../../offline/random-model.ts";
import type { Settings } from "../../settings.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { findModelOf } from "../hub-models.ts";
import { PLAN_OPTIONS, planText, type Wish, wishOf } from "../plan-report.ts";
import { profileText } from "../profile-report.ts";
import { warn } from "../report.ts";
import { Progress } from "../terminal.ts";

const ROWS = [1, 3, 5, 8, 16, 48];
const CONTEXTS = [32, 256, 900];
const PREFILLS = [16, 128, 900];
const PROFILED_ROWS = [1, 48];
const PROFILED_CONTEXTS = [32, 256];

export const bench: Command = {
  summary: "Measures the speed of a model on this machine, compared with the machine's limits.",
  examples: [
    ["The small model that comes with the software", "gpt2-api bench"],
    ["GPT-2's shape, without a checkpoint", "gpt2-api bench --shape gpt2 --threads 2"],
    [
      "How many such servers eight requests a second need",
      "gpt2-api bench --shape gpt2 --plan --rate 8 --p95 2",
    ],
  ],
  options: {
    ...settingOptions(["model", "offline", "precision", "kernels", "threads", "kvCacheMb"]),
    ...CONFIG_OPTION,
    shape: {
      type: "string",
      value: SHAPE_NAMES.join("|"),
      help: "Random weights of this shape instead of a model.",
    },
    profile: { type: "boolean", help: "Also shows where the time of some passes goes." },
    ...PLAN_OPTIONS,
    json: { type: "boolean", help: "Prints JSON instead of a table." },
  },
  async run(argv) {
    const { values } = parseFlags(argv, bench);
    const resolved = settingsOf(values, process.env);
    const { settings } = resolved;
    const { model, precision, kernels, kvCacheMb } = settings;
    const wish = wishOf(values);
    const threads = threadsFor(settings.threads, warn);
    const name = typeof values.shape === "string" ? values.shape : model;
    const directory =
      typeof values.shape === "string" ? undefined : (await findModelOf(resolved, process.env)).directory;
    const profiler = new Profiler();
    const loaded = load(
      name,
      directory,
      { precision, kernels, threads, instrument: profiler.instrument },
      kvCacheMb,
    );
    const progress = new Progress();
    const machine = await measureMachine({ precision, kernels, threads });
    const rows = measure(loaded, machine, precision, progress.show);
    const choiceMs = measureChoice(loaded.backend);
    const profiles = values.profile
      ? profile(loaded, profiler, machine, precision, progress.show)
      : undefined;
    progress.clear();
    await loaded.backend.close();
    const facts = {
      model: name,
      precision,
      kernels: loaded.backend.kernels,
      threads,
      cpu: cpus()[0]?.model ?? "unknown",
      node: process.version,
    };
    const planned = values.plan ? planFor(wish, { rows, choiceMs }, settings) : undefined;
    const memory = mebibytes(loaded.config, { precision, threads, kvCacheMb });
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ ...facts, ...machine, rows, choiceMs, profiles, ...(planned && { memoryMib: memory, plan: planned }) })}\n`
        : table(facts, machine, { rows, choiceMs }) +
            (profiles ? profileText(profiles) : "") +
            (planned ? `\n${planText(planned, wish, memory)}` : ""),
    );
    return 0;
  },
};

function planFor(
  { traffic, p95Ms }: Wish,
  measured: Measured,
  { passRowsMax, passTokensMax }: Settings,
): Plan {
  return planFleet(passTimes(measured, traffic), { traffic, p95Ms, passRowsMax, passTokensMax });
}

/** Memory in MiB that a server of this model takes at most. */
function mebibytes(config: Gpt2Config, options: MemoryOptions): number {
  return (footprintOf(config, planMemory(config, options)).total + PROCESS_BYTES.busy) / 2 ** 20;
}

interface Loaded {
  readonly backend: Gpt2;
  readonly config: Gpt2Config;
}

/** Loads the model with enough pages for the most rows at the longest context. */
function load(
  name: string,
  directory: string | undefined,
  setting: Setting & Pick<ModelOptions, "instrument">,
  askedKvCacheMb: number,
): Loaded {
  if (directory !== undefined) {
    return loadModel(directory, { ...setting, kvCacheMb: askedKvCacheMb, onProblem: warn });
  }
  const config = shapeConfig(name);
  const pages = 64 * Math.ceil((Math.max(...CONTEXTS) + 1) / 16);
  const kvCacheMb = Math.min(1536, Math.ceil((pages * pageBytes(config, setting.precision)) / 2 ** 20));
  return buildModel(randomTensors(config), { ...setting, kvCacheMb });
}

function measure(
  { backend, config }: Loaded,
  machine: Machine,
  precision: Precision,
  report: (text: string) => void,
): Measurement[] {
  const shape = (rows: number, context: number): Shape => ({ precision, rows, context });
  const measured = (what: string, run: () => Measurement): Measurement => {
    report(`Measuring ${what} …`);
    return run();
  };
  const decodes = ROWS.flatMap((rows) =>
    CONTEXTS.filter((context) => context < config.contextLength).map((context) =>
      measured(`decode ${rows} at ${context}`, () =>
        measureDecode(backend, config, machine, shape(rows, context)),
      ),
    ),
  );
  const prefills = PREFILLS.filter((rows) => rows <= config.contextLength).map((rows) =>
    measured(`prefill ${rows}`, () => measurePrefill(backend, config, machine, shape(rows, 0))),
  );
  return [...decodes, ...prefills];
}

/** Profiles of passes with one row and with many, and of prompts. */
function profile(
  { backend, config }: Loaded,
  profiler: Profiler,
  machine: Machine,
  precision: Precision,
  report: (text: string) => void,
): Profile[] {
  const { contextLength } = config;
  const decodes = PROFILED_ROWS.flatMap((rows) =>
    PROFILED_CONTEXTS.filter((context) => context < contextLength).map((context) => ({
      name: `decode ${rows} at ${context}`,
      run: decodePass(backend, config, { precision, rows, context }),
    })),
  );
  const prefills = PREFILLS.slice(1)
    .map((rows) => Math.min(rows, contextLength))
    .map((rows) => ({
      name: `prefill ${rows}`,
      run: prefillPasses(backend, config, { precision, rows, context: 0 }),
    }));
  return [...decodes, ...prefills].map(({ name, run }) => {
    report(`Profiling ${name} …`);
    return profiler.profile(name, run, machine);
  });
}

function table(
  facts: Record<string, unknown>,
  { bandwidth, ceilings }: Machine,
  { rows, choiceMs }: Measured,
): string {
  const lines = rows.map(({ name, context, ms, tokensPerSecond, limitMs }) =>
    [
      name.padEnd(12),
      String(context).padStart(7),
      ms.toFixed(2).padStart(9),
      tokensPerSecond.toFixed(0).padStart(9),
      limitMs.toFixed(2).padStart(9),
      (ms / limitMs).toFixed(2).padStart(7),
    ].join(" "),
  );
  const speeds = Object.entries(ceilings).map(([kind, speed]) => `${kind} ${(speed / 1e9).toFixed(1)}`);
  return [
    Object.entries(facts)
      .map(([key, value]) => `${key} ${value}`)
      .join(", "),
    `memory ${(bandwidth / 1e9).toFixed(1)} GB/s, G multiply-adds/s in cache: ${speeds.join(", ")}`,
    "",
    "pass         context        ms  tokens/s  limit ms  ratio",
    ...lines,
    "",
    `choice of a token, for each row of a pass: ${choiceMs.toFixed(3)} ms`,
    "",
  ].join("\n");
}
