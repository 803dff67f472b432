// Compiles the AssemblyScript kernels to dist/src/kernels/kernels.wasm. The module brings no memory, data or runtime
// of its own: it works on the shared memory that the engine hands to every thread.
import { mkdirSync } from "node:fs";
import asc from "assemblyscript/asc";

const OUTPUT = "dist/src/kernels/kernels.wasm";
mkdirSync("dist/src/kernels", { recursive: true });
const { error, stderr } = await asc.main([
  "src/kernels/wasm/index.ts",
  ...["--outFile", OUTPUT, "--runtime", "stub", "--use", "abort="],
  ...["--optimizeLevel", "3", "--shrinkLevel", "0", "--noAssert", "--converge"],
  ...["--enable", "simd,threads,bulk-memory"],
  ...[
    "--importMemory",
    "--noExportMemory",
    "--sharedMemory",
    "--initialMemory",
    "1",
    "--maximumMemory",
    "65536",
  ],
]);
if (error) {
  console.error(stderr.toString() || error.message);
  process.exit(1);
}
