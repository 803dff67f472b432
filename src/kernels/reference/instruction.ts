// What a kernel in plain TypeScript is: a function of linear memory and the arguments of one instruction.
import type { LinearMemory } from "../memory.ts";

/** The arguments of one instruction, after its number and item count: `a(0)` is the first. */
export interface Instruction {
  readonly items: number;
  address(argument: number): number;
  int(argument: number): number;
  float(argument: number): number;
}

export type Kernel = (memory: LinearMemory, instruction: Instruction) => void;
