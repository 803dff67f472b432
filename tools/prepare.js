// npm runs this after an installation in a checkout. It builds the software, which needs the development dependencies. Without
// them an earlier build is kept; if there is none, it fails and says what to do.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const missing = Object.keys(devDependencies).filter((name) => !existsSync(`node_modules/${name}`));

if (missing.length === 0) {
  const { status } = spawnSync("npm run build", { shell: true, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else if (existsSync("dist/src/cli/main.js")) {
  console.log("The development dependencies are not installed; what is in dist/ stays as it is.");
} else {
  console.error(
    "gpt2-api is built from its sources, which needs the development dependencies, and NODE_ENV=production or " +
      "--omit=dev leaves them out. Run: npm ci --include=dev",
  );
  process.exitCode = 1;
}
