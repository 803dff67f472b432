// Tests the playground in real browsers: `node conformance/playground/suite.js [chrome] [firefox] [--only WORDS]`. Debian's packages
// chromium and firefox-esr are installed if they are missing and that is allowed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CHECKS } from "./checks.js";
import { writeHostileModel } from "./hostile-model.js";
import { launch, provide, startServer } from "./subject.js";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: "string" } } });
const names = positionals.length > 0 ? positionals : ["chrome", "firefox"];
const checks = CHECKS.filter(({ name }) => !values.only || name.includes(values.only));
const say = (line) => process.stdout.write(`${line}\n`);

const folder = mkdtempSync(join(tmpdir(), "playground-model-"));
writeHostileModel(folder);
let failed = 0;
try {
  for (const name of names) {
    if (!provide(name)) {
      failed++;
      continue;
    }
    const servers = {
      shipped: await startServer(),
      hostile: await startServer(["--model", folder, "--precision", "f32"]),
    };
    const browser = await launch(name);
    say(`${name}: ${await browser.version()}`);
    for (const { name: what, model, run } of checks) {
      try {
        await run(browser, servers[model]);
        say(`  ok      ${what}`);
      } catch (error) {
        failed++;
        say(`  not ok  ${what}\n${String(error.stack).replace(/^/gm, "          ")}`);
      }
    }
    await browser.close();
    for (const server of Object.values(servers)) await server.end();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
say(failed === 0 ? `${checks.length} checks in ${names.join(" and ")}: all hold` : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
