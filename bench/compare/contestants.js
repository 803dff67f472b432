// The contestants, and how each is installed and started: one entry for each line of the report. `measure.js` says what is
// measured.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { invoke, postJson } from "../support/invoke.js";
import { freePort, startServer } from "../support/server-under-test.js";
import { DEFAULT_REQUEST, jobBatches, llamaBatches } from "./batches.js";
import {
  checkpoint,
  ctranslate2Model,
  llamaBinding,
  llamaModel,
  llamaPrograms,
  onnxModel,
  openvinoEnvironment,
  openvinoModel,
  peer,
  TINY,
  torchEnvironment,
  transformersJs,
  vllmEnvironment,
} from "./install.js";
import { lastWords } from "./jobs.js";
import { LogitsProcess, ownLogits } from "./logits.js";

/**
 * @typedef {import("./jobs.js").Command} Command
 * @typedef {import("./batches.js").Batches} Batches
 */

/**
 * @typedef {object} Server
 * @property {(prompt: string) => Promise<unknown>} send the default request
 * @property {() => Promise<unknown>} stop
 * @property {() => Promise<string>} [remark] on how the server fared under this load
 */

/**
 * How to run a contestant once everything is installed.
 * @typedef {object} Ready
 * @property {() => Promise<Batches>} batches
 * @property {() => Promise<Server>} [serve] its HTTP server
 * @property {() => Promise<import("./logits.js").LogitsSource>} [logits] what it computes of the embedded model
 */

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} peer the name for --peers; several lines may share one
 * @property {(threads: number) => Promise<Ready>} prepare rejects with the reason why it cannot be run here
 * @property {string} [noServer] why nothing is measured over HTTP
 */

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** No deadline, because the other servers have none. */
const SERVER_FLAGS = ["--kv-cache-mb", "512", "--request-deadline-ms", "3600000"];
const CLIENTS_MAX = 16;
const READY_MS = 180_000;

/** @param {string} prompt @param {number} seed */
const completion = (prompt, seed) => {
  const { n, maxLength, promptTokens, topK, topP } = DEFAULT_REQUEST;
  const sampling = { n, top_k: topK, top_p: topP, temperature: 1, seed };
  return { prompt, max_tokens: maxLength - promptTokens, ...sampling };
};

/**
 * Starts a peer's HTTP server, and waits until its health check succeeds.
 * @param {(port: number) => Command} command
 * @param {{ path: string, health: string, fields?: object }} api
 * @returns {Promise<Server>}
 */
async function servePeer(command, { path, health, fields = {} }) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const { program, args, env = {} } = command(port);
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const words = lastWords(child.stderr);
  const exited = once(child, "exit");
  const stop = () => {
    child.kill("SIGTERM");
    return exited;
  };
  const deadline = Date.now() + READY_MS;
  const isWell = () =>
    fetch(origin + health).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isWell())) {
    if (child.exitCode !== null) throw new Error(`its server ended: ${words()}`);
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`its server was not ready within ${READY_MS / 1000} s`);
    }
    await pause(100);
  }
  let seed = 0;
  const headers = { "content-type": "application/json" };
  return {
    send: (prompt) =>
      postJson(origin + path, JSON.stringify({ ...completion(prompt, seed++), ...fields }), headers),
    stop,
  };
}

/** @param {import("../../dist/src/model/weights.js").Precision} precision @returns {Contestant} */
const gpt2Api = (precision) => ({
  name: `gpt2-api ${precision}`,
  peer: "gpt2-api",
  async prepare(threads) {
    const model = await checkpoint();
    const flags = ["--model", model, "--precision", precision, "--threads", String(threads)];
    return {
      batches: () =>
        jobBatches({
          program: process.execPath,
          args: [peer("gpt2-api-jobs.js"), model, String(threads), precision],
        }),
      async serve() {
        const { origin, stop, metric } = await startServer(MAIN, [...flags, ...SERVER_FLAGS]);
        return {
          send: (prompt) => invoke(origin, { input: prompt }),
          stop,
          async remark() {
            const seconds = await metric("nodejs_eventloop_lag_p99_seconds");
            return `event-loop delay p99 ${(1000 * seconds).toFixed(1)} ms`;
          },
        };
      },
      logits: async () => ownLogits(TINY, precision, threads),
    };
  },
});

/** @param {string} dtype @param {string} label @returns {Contestant} */
const transformers = (dtype, label) => ({
  name: `transformers ${label}`,
  peer: "transformers",
  noServer: "no server that batches",
  async prepare(threads) {
    const [bin, model] = [await torchEnvironment(), await checkpoint()];
    const args = [peer("transformers_jobs.py"), model, String(threads), dtype];
    const env = { OMP_NUM_THREADS: String(threads) };
    return {
      batches: () => jobBatches({ program: bin("python"), args, env }),
      logits: () => transformersLogits(threads, dtype),
    };
  },
});

/** Logits of the embedded model by transformers; in float32 the others are compared with them. @param {number} threads */
export async function transformersLogits(threads, dtype = "float32") {
  const bin = await torchEnvironment();
  const args = [peer("transformers_logits.py"), TINY, String(threads), dtype];
  return new LogitsProcess({ program: bin("python"), args });
}

/** @type {Contestant} */
const ctranslate2 = {
  name: "CTranslate2 int8",
  peer: "ctranslate2",
  noServer: "a library",
  async prepare(threads) {
    const [bin, model] = [await torchEnvironment(), await ctranslate2Model()];
    const args = [peer("ctranslate2_jobs.py"), model, String(threads), "int8"];
    return {
      batches: () => jobBatches({ program: bin("python"), args }),
      async logits() {
        const tiny = await ctranslate2Model(TINY);
        const args = [peer("ctranslate2_logits.py"), tiny, String(threads), "int8"];
        return new LogitsProcess({ program: bin("python"), args });
      },
    };
  },
};

/** @param {"Q8_0" | "Q4_0"} type @returns {Contestant} */
const llama = (type) => ({
  name: `llama.cpp ${type}`,
  peer: "llama.cpp",
  async prepare(threads) {
    const [programs, model] = [await llamaPrograms(), await llamaModel(type)];
    const slots = CLIENTS_MAX * DEFAULT_REQUEST.n;
    return {
      batches: () => llamaBatches(join(programs, "llama-batched-bench"), model, threads),
      serve: () =>
        servePeer(
          (port) => ({
            program: join(programs, "llama-server"),
            args: [
              ...["--model", model, "--port", String(port), "--threads", String(threads), "--no-webui"],
              ...["--parallel", String(slots), "--ctx-size", String(slots * 128)],
            ],
          }),
          { path: "/v1/completions", health: "/health" },
        ),
      async logits() {
        const [bin, env, tiny] = [
          await torchEnvironment(),
          await llamaBinding(),
          await llamaModel(type, TINY),
        ];
        const args = [peer("llama_logits.py"), tiny, String(threads)];
        return new LogitsProcess({ program: bin("python"), args, env });
      },
    };
  },
});

/** @type {Contestant} */
const openvino = {
  name: "OpenVINO GenAI int8",
  peer: "openvino",
  async prepare(threads) {
    const [bin, model] = [await openvinoEnvironment(), await openvinoModel()];
    const python = bin("python");
    return {
      batches: () =>
        jobBatches({ program: python, args: [peer("openvino_jobs.py"), model, String(threads)] }),
      serve: () =>
        servePeer(
          (port) => ({
            program: python,
            args: [peer("openvino_server.py"), model, String(threads), String(port)],
          }),
          { path: "/", health: "/" },
        ),
      async logits() {
        const args = [peer("openvino_logits.py"), await openvinoModel(TINY), String(threads)];
        return new LogitsProcess({ program: python, args });
      },
    };
  },
};

/** @type {Contestant} */
const vllm = {
  name: "vLLM (CPU) f32",
  peer: "vllm",
  async prepare(threads) {
    const [bin, model] = [await vllmEnvironment(), await checkpoint()];
    const cores = Array.from({ length: threads }, (_, core) => core).join(",");
    const env = { VLLM_CPU_OMP_THREADS_BIND: cores, VLLM_CPU_KVCACHE_SPACE: "1", HF_HUB_OFFLINE: "1" };
    return {
      batches: () => jobBatches({ program: bin("python"), args: [peer("vllm_jobs.py"), model], env }),
      serve: () =>
        servePeer(
          (port) => ({
            program: bin("python"), // Its command looks for a package of another name.
            args: [
              ...["-m", "vllm.entrypoints.openai.api_server", "--model", model, "--dtype", "float32"],
              ...["--served-model-name", "gpt2", "--port", String(port)],
              ...["--max-model-len", "1024", "--no-enable-prefix-caching"],
            ],
            env,
          }),
          { path: "/v1/completions", health: "/health", fields: { model: "gpt2", ignore_eos: true } },
        ),
    };
  },
};

/** @type {Contestant} */
const transformersJsQ8 = {
  name: "transformers.js q8",
  peer: "transformers.js",
  noServer: "a library",
  async prepare(threads) {
    const [installedIn, model] = [await transformersJs(), await onnxModel()];
    const names = [dirname(model), basename(model)];
    const args = [peer("transformers-js-jobs.js"), installedIn, ...names, String(threads), "q8"];
    return { batches: () => jobBatches({ program: process.execPath, args }) };
  },
};

/** @type {readonly [Contestant, ...Contestant[]]} the first is what the others are compared with */
export const CONTESTANTS = [
  gpt2Api("int8"),
  gpt2Api("f32"),
  transformers("float32", "f32"),
  transformers("bfloat16", "bf16"),
  ctranslate2,
  llama("Q8_0"),
  llama("Q4_0"),
  openvino,
  vllm,
  transformersJsQ8,
];
