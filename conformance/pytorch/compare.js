// Reads every checkpoint that save.py wrote with every release of PyTorch. Each tensor must be PyTorch's, bit for bit, and the answers of
// `gpt2-api generate` must be those for the same weights as safetensors.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "../../dist/src/model/loading/checkpoint.js";
import { numbersOf } from "../../dist/src/model/loading/tensor.js";

const here = import.meta.dirname;
const PROGRAM = process.env.GPT2_API ?? join(here, "../../dist/src/cli/main.js");

const REQUESTS = [
  { prompt_token_ids: [1, 2, 3, 4, 5], mode: "greedy", max_length: 40, num_return_sequences: 1 },
  { prompt_token_ids: [60], mode: "beam", num_beams: 4, max_length: 30, num_return_sequences: 2 },
  { prompt_token_ids: [9, 8, 7], mode: "sample", seed: 3, max_length: 50, num_return_sequences: 3 },
];

const C = 16;
const SHAPES = [
  [/^wte\.weight$/, [61, C]],
  [/^wpe\.weight$/, [64, C]],
  [/c_attn\.weight$/, [C, 3 * C]],
  [/attn\.c_proj\.weight$/, [C, C]],
  [/c_fc\.weight$/, [C, 4 * C]],
  [/mlp\.c_proj\.weight$/, [4 * C, C]],
  [/c_attn\.bias$/, [3 * C]],
  [/c_fc\.bias$/, [4 * C]],
  [/./, [C]],
];

/** Names of the tensors that differ from PyTorch's. */
function differing({ folder, hashes }) {
  const checkpoint = Checkpoint.open(folder);
  try {
    return Object.entries(hashes).flatMap(([name, expected]) => {
      const [, shape] = SHAPES.find(([pattern]) => pattern.test(name));
      const count = shape.reduce((product, n) => product * n, 1);
      const numbers = numbersOf(checkpoint.tensor(name, shape), 0, count);
      return createHash("sha256").update(new Uint8Array(numbers.buffer)).digest("hex") === expected
        ? []
        : [name];
    });
  } finally {
    checkpoint.close();
  }
}

function answersOf(folder, requests) {
  const argv = [
    PROGRAM,
    "generate",
    "--model",
    folder,
    "--precision",
    "f32",
    "--threads",
    "1",
    "--requests",
    requests,
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    encoding: "utf8",
    timeout: 120_000,
  });
  const answers =
    status === 0
      ? stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).sequences)
      : [];
  return answers.length === REQUESTS.length ? JSON.stringify(answers) : `no answer: ${stdout}${stderr}`;
}

/** The fault, or undefined if there is none. `expected` is the answer for the same weights as safetensors. */
function problemOf(checkpoint, requests, expected) {
  try {
    const names = differing(checkpoint);
    if (names.length > 0) return `other numbers in ${names.join(", ")}`;
  } catch (error) {
    return error.message;
  }
  const answers = answersOf(checkpoint.folder, requests);
  if (answers.startsWith("no answer")) return answers;
  return answers === (expected ?? answers) ? undefined : "other answers";
}

const work = mkdtempSync(join(tmpdir(), "gpt2-api-pytorch-"));
let failures = 0;
try {
  const requests = join(work, "requests.jsonl");
  writeFileSync(requests, REQUESTS.map((request) => `${JSON.stringify(request)}\n`).join(""));
  for (const line of readFileSync(join(here, "versions.txt"), "utf8").trim().split("\n")) {
    const [version] = line.split(" ");
    const python = join(here, ".venv", version, "bin/python");
    const lines = execFileSync(python, [join(here, "save.py"), join(work, version)], { encoding: "utf8" });
    const checkpoints = lines.trim().split("\n").map(JSON.parse);
    let [read, expected] = [0, undefined];
    for (const checkpoint of checkpoints) {
      const isSafetensors = checkpoint.folder.endsWith("-safetensors");
      const problem = problemOf(checkpoint, requests, isSafetensors ? undefined : expected);
      if (isSafetensors) expected = answersOf(checkpoint.folder, requests);
      if (problem === undefined) read++;
      else process.stdout.write(`${version} ${checkpoint.folder.slice(work.length + 1)}: ${problem}\n`);
    }
    failures += checkpoints.length - read;
    process.stdout.write(`PyTorch ${version}: ${read} of ${checkpoints.length} checkpoints are equal\n`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
