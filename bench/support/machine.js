// Describes the machine for the head of a report, because figures depend on it.
// @ts-check
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";

/** Instruction sets on which the speed of matrix kernels depends; `/proc/cpuinfo` names them so. */
const SETS = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm"];

function instructionSets() {
  try {
    const [, flags = ""] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    const all = new Set(flags.trim().split(/\s+/));
    return SETS.filter((set) => all.has(set));
  } catch {
    return []; // Only Linux has this file.
  }
}

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    instructionSets: instructionSets(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}

/** The description, as one line. */
export function machineLine() {
  const { cpu, cores, instructionSets: sets, memoryGb, node } = describeMachine();
  return `${cpu}, ${cores} cores (${sets.join(" ") || "instruction sets unknown"}), ${memoryGb} GB, Node ${node}`;
}
