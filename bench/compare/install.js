// Installs, builds and converts what the contestants need, in .work/ beside this file, each thing once. If a step fails, the
// error has the end of its log, which also stays there.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { lastLine } from "./jobs.js";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const WORK = join(HERE, ".work");
/** The embedded model. */
export const TINY = fileURLToPath(new URL("../../models/tiny", import.meta.url));
const LLAMA_SOURCES = "llama-cpp-python==0.3.36";
const LLAMA_OPTIONS = [
  ...["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_OPENSSL=OFF"],
  ...["TESTS", "EXAMPLES", "APP", "UI"].map((part) => `-DLLAMA_BUILD_${part}=OFF`),
  "-DLLAMA_USE_PREBUILT_UI=OFF",
];
const LLAMA_PROGRAMS = ["llama-server", "llama-batched-bench", "llama-quantize"];

/** A program of the bench in peers/. @param {string} name */
export const peer = (name) => join(HERE, "peers", name);

/**
 * Runs a command to its end; what it prints goes to .work/NAME.log.
 * @param {string} name
 * @param {string} program
 * @param {readonly string[]} args
 */
async function step(name, program, args) {
  console.error(`# ${name}: ${[program, ...args].map((each) => basename(each)).join(" ")}`);
  const path = join(WORK, `${name}.log`);
  const log = openSync(path, "w");
  const child = spawn(program, args, { stdio: ["ignore", log, log], cwd: WORK });
  closeSync(log);
  const [code] = await once(child, "close");
  if (code === 0) return;
  throw new Error(`${name} failed: ${lastLine(readFileSync(path, "utf8"))}`);
}

/**
 * Makes a file or folder in .work/ once. Until it is complete it has a temporary name.
 * @param {string} name
 * @param {(path: string) => Promise<void>} make
 */
async function made(name, make) {
  const path = join(WORK, name);
  if (existsSync(path)) return path;
  const part = `${path}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(WORK, { recursive: true });
  await make(part);
  renameSync(part, path);
  return path;
}

/**
 * Python with the packages of peers/requirements-NAME.txt, in an environment of its own.
 * @param {string} name
 * @returns {Promise<(program: string) => string>} where its programs are
 */
async function environment(name) {
  const requirements = peer(`requirements-${name}.txt`);
  const path = join(WORK, `venv-${name}`);
  const installed = join(path, "installed.txt");
  const wanted = readFileSync(requirements, "utf8");
  if (!existsSync(installed) || readFileSync(installed, "utf8") !== wanted) {
    mkdirSync(WORK, { recursive: true });
    await step(`venv-${name}`, "python3", ["-m", "venv", path]);
    await step(`pip-${name}`, join(path, "bin/pip"), ["install", "--quiet", "--requirement", requirements]);
    // Those made for CUDA come along and do not go with a PyTorch for the CPU; nobody here sees or hears.
    const less = ["torchvision", "torchaudio", "torchcodec"];
    await step(`pip-${name}-less`, join(path, "bin/pip"), ["uninstall", "--yes", ...less]);
    writeFileSync(installed, wanted);
  }
  return (program) => join(path, "bin", program);
}

/** Steps that several contestants share are run once, also if they fail. */
const things = new Map();

/** @template T @param {string} key @param {() => Promise<T>} make @returns {() => Promise<T>} */
function shared(key, make) {
  return () => {
    if (!things.has(key)) things.set(key, make());
    return things.get(key);
  };
}

/**
 * The same for what is made of a checkpoint: of the one whose speed is measured, or of another directory.
 * @template T
 * @param {string} name
 * @param {(directory: string, name: string) => Promise<T>} make
 * @returns {(directory?: string) => Promise<T>}
 */
function converted(name, make) {
  return async (directory) => {
    const nameOfThis = directory === undefined ? name : `${basename(directory)}-${name}`;
    return shared(`model ${nameOfThis}`, async () => make(directory ?? (await checkpoint()), nameOfThis))();
  };
}

export const torchEnvironment = shared("torch", () => environment("torch"));
export const openvinoEnvironment = shared("openvino", () => environment("openvino"));
export const vllmEnvironment = shared("vllm", () => environment("vllm"));
const onnxEnvironment = shared("onnx", () => environment("onnx"));

/** The checkpoint whose speed is measured. */
export const checkpoint = shared("checkpoint", async () => {
  const bin = await torchEnvironment();
  return made("checkpoint", (path) => step("checkpoint", bin("python"), [peer("checkpoint.py"), path, TINY]));
});

export const ctranslate2Model = converted("ctranslate2", async (model, name) => {
  const bin = await torchEnvironment();
  return made(name, (path) =>
    step(name, bin("ct2-transformers-converter"), [
      ...["--model", model, "--output_dir", path, "--quantization", "int8"],
    ]),
  );
});

export const openvinoModel = converted("openvino", async (model, name) => {
  const bin = await openvinoEnvironment();
  return made(name, (path) =>
    step(name, bin("optimum-cli"), [
      ...["export", "openvino", "--model", model, "--task", "text-generation-with-past"],
      ...["--weight-format", "int8", path],
    ]),
  );
});

/** The folders of llama.cpp's sources, which come from the source package of its Python binding, and of its build. */
const llamaFolders = shared("llama-folders", async () => {
  const bin = await torchEnvironment();
  const folder = await made("llama", async (path) => {
    await step("llama-download", bin("pip"), [
      ...["download", LLAMA_SOURCES, "--no-binary", "llama-cpp-python", "--no-deps", "--dest", path],
    ]);
    const archive = /** @type {string} */ (readdirSync(path).find((name) => name.endsWith(".tar.gz")));
    await step("llama-unpack", "tar", ["xzf", join(path, archive), "-C", path]);
  });
  const unpacked = /** @type {string} */ (
    readdirSync(folder).find((name) => existsSync(join(folder, name, "vendor/llama.cpp")))
  );
  return { sources: join(folder, unpacked, "vendor/llama.cpp"), build: join(folder, "build") };
});

/** The folder of llama.cpp's programs, built for this processor. */
export const llamaPrograms = shared("llama-programs", async () => {
  const { sources, build } = await llamaFolders();
  const programs = join(build, "bin");
  if (!LLAMA_PROGRAMS.every((name) => existsSync(join(programs, name)))) {
    await step("llama-configure", "cmake", ["-S", sources, "-B", build, ...LLAMA_OPTIONS]);
    await step("llama-build", "cmake", [
      ...["--build", build, "--parallel", String(availableParallelism()), "--target", ...LLAMA_PROGRAMS],
    ]);
  }
  return programs;
});

/** The Python binding as environment variables: its folder, and the library that was built here. */
export const llamaBinding = shared("llama-binding", async () => {
  const [{ sources, build }] = await Promise.all([llamaFolders(), llamaPrograms()]);
  return { PYTHONPATH: join(sources, "../.."), LLAMA_CPP_LIB_PATH: join(build, "bin") };
});

const llamaFullModel = converted("llama-f32.gguf", async (model, name) => {
  const [bin, { sources }] = [await torchEnvironment(), await llamaFolders()];
  return made(name, (path) =>
    step(`${name}-convert`, bin("python"), [
      ...[join(sources, "convert_hf_to_gguf.py"), model, "--outtype", "f32", "--outfile", path],
    ]),
  );
});

/** A GGUF file. @param {"Q8_0" | "Q4_0"} type @param {string} [directory] */
export async function llamaModel(type, directory) {
  const [programs, full] = [await llamaPrograms(), await llamaFullModel(directory)];
  return made(basename(full).replace("f32", type), (path) =>
    step(basename(path, ".part"), join(programs, "llama-quantize"), [full, path, type]),
  );
}

/** The folder where @huggingface/transformers is installed, without the downloads of its packages' scripts. */
export const transformersJs = shared("transformers-js", () =>
  made("transformers-js", async (path) => {
    mkdirSync(path);
    await step("transformers-js", "npm", [
      ...["install", "--prefix", path, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
      "@huggingface/transformers@4.3.1",
    ]);
  }),
);

/** A model's folder for transformers.js: the files of the tokenizer, and onnx/model_quantized.onnx. */
export const onnxModel = shared("onnx-model", async () => {
  const [bin, model] = [await onnxEnvironment(), await checkpoint()];
  return made("onnx", (path) => step("onnx", bin("python"), [peer("export_onnx.py"), model, path]));
});
