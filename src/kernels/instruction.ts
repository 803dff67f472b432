// The type of a kernel in plain TypeScript: a function of linear memory and of one instruction's arguments by name.
import type { LinearMemory } from "./memory.ts";
import { type Field, INSTRUCTION, KERNELS, type KernelName } from "./numbers.ts";

/** The arguments of an instruction, and its number of items. Addresses are given as indexes of 4-byte words. */
export type Arguments<Name extends KernelName> = Readonly<
  Record<keyof (typeof KERNELS)[Name]["arguments"] | "items", number>
>;

export type Kernel<Name extends KernelName> = (memory: LinearMemory, a: Arguments<Name>) => void;

/** Reads the arguments of the instruction at an address. */
export function readArguments<Name extends KernelName>(
  { i32, f32 }: LinearMemory,
  instruction: number,
  name: Name,
): Arguments<Name> {
  const items = i32[(instruction + INSTRUCTION.items) >>> 2] as number;
  const found: Record<string, number> = { items };
  const fields: Readonly<Record<string, Field>> = KERNELS[name].arguments;
  for (const [argument, { kind, offset }] of Object.entries(fields)) {
    const word = (instruction + offset) >>> 2;
    const integer = i32[word] as number;
    if (kind === "float") found[argument] = f32[word] as number;
    else found[argument] = kind === "address" ? integer >>> 2 : integer;
  }
  return found as Arguments<Name>;
}
