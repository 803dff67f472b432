// The unit: what systemd itself says of it, without a system that runs systemd. Its program is put where `verify` looks.
// @ts-check
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { changed, main, must, needs, run, scratch } from "./support.js";

/** Of 100; lower is safer. */
const EXPOSURE_MAX = 20;

await main(async () => {
  needs("systemd-analyze");
  const file = join(scratch(), "gpt2-api.service");
  writeFileSync(file, changed("systemd/gpt2-api.service", { "/usr/local/bin/gpt2-api": process.execPath }));
  const told = run("systemd-analyze", ["verify", "--man=no", file]);
  must(told === "", told);
  const security = ["security", "--offline=true", "--no-pager", `--threshold=${EXPOSURE_MAX}`, file];
  const exposure = /Overall exposure level.*/.exec(run("systemd-analyze", security))?.[0];
  console.log(`systemd: the unit verifies. ${exposure}`);
});
