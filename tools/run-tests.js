// Runs every compiled test file with Node's own test runner. Node 20 knows no globs and Node 22 no directories,
// so the files are listed here. Arguments are passed on: `node tools/run-tests.js --test-name-pattern=beam`.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const files = readdirSync("dist", { recursive: true })
  .map((file) => join("dist", String(file)))
  .filter((file) => file.endsWith(".test.js"))
  .sort();
const options = process.argv.slice(2);
const chosen = options.filter((option) => option.endsWith(".test.js"));
const flags = options.filter((option) => !option.endsWith(".test.js"));
if (!flags.some((flag) => flag.startsWith("--test-reporter"))) flags.push("--test-reporter=spec");
const { status } = spawnSync(process.execPath, ["--test", ...flags, ...(chosen.length ? chosen : files)], {
  stdio: "inherit",
});
process.exit(status ?? 1);
