// Every check, with facts for each of its findings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GptError } from "../../errors.ts";
import type { Finding } from "./finding.ts";
import {
  addressSpaceCheck,
  bandwidthCheck,
  type KernelFacts,
  kernelCheck,
  type MemoryFacts,
  memoryCheck,
  nodeCheck,
  openFilesCheck,
  threadCheck,
} from "./machine-checks.ts";
import { checkpointCheck, goldenCheck, hashCheck, tokenizerCheck, weightCheck } from "./model-checks.ts";
import {
  clockCheck,
  type FolderFacts,
  folderCheck,
  hubCacheCheck,
  hubCheck,
  noFolderCheck,
  portCheck,
  type SharedFolderFacts,
} from "./place-checks.ts";

const GIB = 2 ** 30;

/** Asserts a finding's status and sentence, and that it has a remedy if and only if it is not ok. */
function found({ status, says, remedy }: Finding, expected: Finding["status"], sentence: RegExp): void {
  assert.equal(status, expected, says);
  assert.match(says, sentence);
  assert.equal(remedy === undefined, status === "ok", says);
}

test("node: at least the version of package.json", () => {
  found(nodeCheck("v20.19.0", ">=20.19"), "ok", /^Node v20\.19\.0$/);
  found(nodeCheck("v22.1.0", ">=20.19"), "ok", /./);
  found(nodeCheck("v20.18.9", ">=20.19"), "problem", /v20\.18\.9 is older than 20\.19/);
  found(nodeCheck("v18.20.0", ">=20.19"), "problem", /older/);
});

const AVX512 = ["avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"];
const KERNELS: KernelFacts = {
  build: "avx512-vnni",
  choice: "auto",
  arch: "x64",
  isBuilt: true,
  loadError: undefined,
  fault: undefined,
  processorFlags: AVX512,
};

test("kernels: which are used, and why not faster ones", () => {
  const check = (changes: Partial<KernelFacts>) => kernelCheck({ ...KERNELS, ...changes });
  found(check({}), "ok", /^native, avx512-vnni$/);
  found(check({ build: "avx2" }), "ok", /^native, avx2$/);
  found(
    check({ build: "avx2", processorFlags: ["avx2", "avx512f", "avx512vl"] }),
    "ok",
    /^native, avx2; for faster ones the processor lacks avx512bw, avx512_vnni$/,
  );
  found(
    check({ build: "plain", choice: "wasm" }),
    "ok",
    /^WebAssembly, plain, because --kernels wasm says so$/,
  );
  found(check({ build: "relaxed", arch: "arm64", isBuilt: false }), "ok", /x86-64 only, and this is arm64$/);
  found(check({ build: "plain", isBuilt: false, loadError: "none" }), "warning", /were not built$/);
  found(
    check({ build: "plain", loadError: "wrong ELF class" }),
    "warning",
    /cannot be loaded \(wrong ELF class\)$/,
  );
  found(
    check({ build: "avx2", fault: "they give other results than WebAssembly" }),
    "warning",
    /^native, avx2: faster native kernels are not used, because they give other results than WebAssembly$/,
  );
  found(
    check({ build: "plain", processorFlags: ["sse2"] }),
    "ok",
    /for native ones the processor lacks avx2$/,
  );
});

test("threads: compared with cores and CPU quota", () => {
  const cpus = (quota?: number) => ({
    cores: 4,
    quota: quota === undefined ? undefined : { cores: quota, file: "/cpu.max" },
    threads: quota === undefined ? 4 : Math.min(4, Math.ceil(quota)),
  });
  found(threadCheck(0, cpus()), "ok", /^4 of the 4 that this process has cores for$/);
  found(threadCheck(1, cpus(1.5)), "ok", /^1 of the 2 that a CPU quota of 1\.5 pays for \(\/cpu\.max\)$/);
  found(threadCheck(5, cpus()), "warning", /^--threads 5 is more than the 4 that/);
  found(
    threadCheck(0, cpus(0.5)),
    "warning",
    /^1 thread, and a CPU quota of 0\.50 cores \(\/cpu\.max\) stops it/,
  );
});

test("memory: compared with the limit, and with what is available", () => {
  const facts: MemoryFacts = {
    limit: { bytes: GIB, file: undefined },
    available: GIB,
    refusal: undefined,
    warning: undefined,
    need: GIB / 2,
  };
  const check = (changes: Partial<MemoryFacts>) => memoryCheck({ ...facts, ...changes });
  found(
    check({}),
    "ok",
    /^512 MiB are needed under full load, and there is this machine's memory of 1024 MiB$/,
  );
  found(check({ available: undefined }), "ok", /./);
  found(check({ available: GIB / 2 - 1 }), "warning", /of which other processes leave 512 MiB$/);
  found(check({ warning: "it may not fit" }), "warning", /^it may not fit$/);
  found(check({ refusal: "it cannot fit" }), "problem", /^it cannot fit$/);
});

test("address space: WebAssembly reserves a lot of it", () => {
  found(addressSpaceCheck(undefined), "ok", /not limited/);
  found(addressSpaceCheck(13 * GIB), "ok", /limited to 13\.0 GiB$/);
  found(addressSpaceCheck(13 * GIB - 1), "problem", /reserves 10 GiB/);
});

test("open files: enough for a start, and for a server's connections", () => {
  found(openFilesCheck(undefined, 1024), "ok", /not limited/);
  found(openFilesCheck(1088, 1024), "ok", /^1088 files may be open$/);
  found(openFilesCheck(1087, 1024), "warning", /too few for the 1024 connections/);
  found(openFilesCheck(255, 1), "problem", /^255 files may be open, and a start opens up to 256$/);
});

test("bandwidth: the time per token that follows, and a warning if it is very low", () => {
  found(
    bandwidthCheck({ bandwidth: 15e9, threads: 2, weights: 1e8 }),
    "ok",
    /^15\.0 GB\/s with 2 threads: at most 150 tokens a second for one request$/,
  );
  found(
    bandwidthCheck({ bandwidth: 2e9, threads: 1, weights: undefined }),
    "ok",
    /^2\.0 GB\/s with 1 thread$/,
  );
  found(bandwidthCheck({ bandwidth: 1.9e9, threads: 1, weights: undefined }), "warning", /far below/);
});

test("folders: not writable for others", () => {
  const folder = (found: FolderFacts["found"]) =>
    folderCheck({ path: "/cache", holds: "keys", found, obstacle: undefined });
  const unfit = {
    reason: "/cache is open to others (mode 0777)",
    remedy: "Run: chmod 700 /cache",
    isUnsafe: true,
  };
  found(folder({ unfit: undefined, canWrite: true }), "ok", /^\/cache \(keys\)$/);
  found(folder(undefined), "ok", /is made when it is needed$/);
  const barred = { path: "/none/cache", holds: "keys", found: undefined, obstacle: "/" };
  found(folderCheck(barred), "warning", /^\/none\/cache \(keys\) cannot be made in \/, so nothing is kept/);
  found(
    folder({ unfit, canWrite: true }),
    "problem",
    /is not used: \/cache is open to others \(mode 0777\)$/,
  );
  assert.equal(folder({ unfit, canWrite: true }).remedy, "Run: chmod 700 /cache");
  found(folder({ unfit: undefined, canWrite: false }), "warning", /cannot be written/);
  const none = { reason: "no home", remedy: "Set HOME", isUnsafe: false };
  found(noFolderCheck(none), "warning", /^Nothing is kept between starts: no home$/);
});

test("the hub's cache: not writable for others", () => {
  const check = (found: Partial<SharedFolderFacts>) =>
    hubCacheCheck(
      "/hub",
      { isFolder: true, isOthers: false, othersWrite: false, canWrite: true, ...found },
      undefined,
    );
  found(check({}), "ok", /^\/hub \(models of the hub\)$/);
  found(hubCacheCheck("/hub", undefined, undefined), "ok", /is made when it is needed$/);
  found(hubCacheCheck("/hub", undefined, "/"), "warning", /cannot be made in \/: no model is fetched$/);
  found(check({ isFolder: false }), "problem", /is no folder$/);
  found(check({ isOthers: true }), "warning", /belongs to another user, who can change the models/);
  found(check({ othersWrite: true }), "warning", /can be written by others, who can change the models/);
  found(check({ canWrite: false }), "warning", /models in it are served, and none is fetched$/);
});

test("ports: free, in use, or not allowed for this user", () => {
  found(portCheck("h port 1", undefined, "--port"), "ok", /^h port 1 is free$/);
  found(portCheck("h port 1", "EADDRINUSE", "--port"), "problem", /^h port 1 is in use$/);
  assert.match(portCheck("h port 1", "EADDRINUSE", "--admin-port").remedy ?? "", /with --admin-port$/);
  found(portCheck("h port 1", "EACCES", "--port"), "problem", /not for this user/);
  found(portCheck("h port 1", "EADDRNOTAVAIL", "--port"), "problem", /\(EADDRNOTAVAIL\)$/);
});

test("hub: reached, not reached, or not asked", () => {
  const facts = { endpoint: "http://hub", offlineBy: undefined, error: undefined };
  found(hubCheck(facts), "ok", /^http:\/\/hub answers$/);
  found(hubCheck({ ...facts, error: "ENOTFOUND" }), "warning", /does not answer \(ENOTFOUND\)/);
  found(
    hubCheck({ ...facts, offlineBy: "HF_HUB_OFFLINE" }),
    "ok",
    /^Not asked, because HF_HUB_OFFLINE is set/,
  );
});

test("clock: too far off for signatures", () => {
  const check = (seconds: number) =>
    clockCheck({ here: 1e12 + seconds * 1000, there: 1e12, skewSecondsMax: 300 });
  found(check(0.9), "ok", /^On time$/);
  found(check(-90), "ok", /^90 seconds behind the hub's$/);
  found(check(151), "warning", /^151 seconds ahead of the hub's$/);
  found(check(301), "problem", /^301 seconds ahead of the hub's, so signatures/);
  found(check(-301), "problem", /behind/);
});

test("model: opened, files intact, numbers finite, tokenizer fits, output as published", () => {
  found(
    checkpointCheck("/m", { parameters: 16_100_000, contextLength: 256 }),
    "ok",
    /^\/m: 16\.1 M parameters, 256/,
  );
  found(checkpointCheck("/m", { error: "/m/config.json: is not JSON" }), "problem", /is not JSON$/);

  found(hashCheck({ numKnown: 0, differing: [] }), "ok", /^None are known/);
  found(hashCheck({ numKnown: 2, differing: [] }), "ok", /^2 files are what was downloaded$/);
  found(
    hashCheck({ numKnown: 2, differing: ["a", "b"] }),
    "problem",
    /^a and b are not what was downloaded$/,
  );

  found(weightCheck(undefined, undefined), "ok", /finite/);
  const notFinite = { tensor: "wte.weight", index: 3, value: Number.NaN };
  const missing = new GptError("invalid_checkpoint", "tensor h.0 is missing");
  found(weightCheck(notFinite, missing), "problem", /^wte\.weight holds NaN at 3/);
  found(weightCheck(undefined, missing), "problem", /^tensor h\.0 is missing$/);
  const noMemory = weightCheck(undefined, new GptError("invalid_config", "no memory"));
  assert.match(noMemory.remedy ?? "", /memory/);

  found(tokenizerCheck({ vocabSize: 50257 }, 50257), "ok", /^50257 tokens, and the model has 50257$/);
  found(tokenizerCheck({ vocabSize: 10 }, 12), "ok", /./);
  found(tokenizerCheck({ vocabSize: 13 }, 12), "problem", /^13 tokens, and the model has 12: /);
  found(tokenizerCheck({ error: "merges.txt is cut off" }, 12), "problem", /^merges\.txt is cut off$/);
  found(tokenizerCheck(undefined, 12), "warning", /only prompt_token_ids/);

  const golden = { name: "gpt2", output: { source: "s", prompt: "The dog" }, differences: [] };
  found(goldenCheck(undefined), "ok", /^Nothing is published/);
  found(goldenCheck(golden), "ok", /^The text after "The dog" is the published one of gpt2$/);
  found(
    goldenCheck({ ...golden, differences: ["expected"] }),
    "warning",
    /fine-tuned model, or its files are damaged$/,
  );
});
