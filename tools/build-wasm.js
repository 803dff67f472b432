// Compiles the AssemblyScript kernels to dist/src/kernels/host, twice from the same sources: with plain SIMD, and with relaxed
// SIMD for processors that have dot products of bytes. The modules have no memory, data or runtime of their own. They work on
// the shared memory that every thread gets from the engine.
import { mkdirSync } from "node:fs";
import asc from "assemblyscript/asc";
import { writeForAssemblyScript } from "./kernel-numbers.js";

const FOLDER = "dist/src/kernels/host";
mkdirSync(FOLDER, { recursive: true });
await writeForAssemblyScript();
await compile("kernels.wasm", "simd,threads,bulk-memory");
await compile("kernels-relaxed.wasm", "simd,relaxed-simd,threads,bulk-memory");

async function compile(name, features) {
  const { error, stderr } = await asc.main([
    "src/kernels/wasm/index.ts",
    `--outFile=${FOLDER}/${name}`,
    "--runtime=stub",
    "--use=abort=",
    "--optimizeLevel=3",
    "--shrinkLevel=0",
    "--noAssert",
    "--converge",
    `--enable=${features}`,
    "--importMemory",
    "--noExportMemory",
    "--sharedMemory",
    "--initialMemory=1",
    "--maximumMemory=65536",
  ]);
  if (error) {
    console.error(stderr.toString() || error.message);
    process.exit(1);
  }
}
