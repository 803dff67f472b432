// Prometheus with the configuration that is shipped: promtool checks it, its rules and what /metrics answers; then every query
// of the dashboard and every rule is asked of a Prometheus that scrapes a server under load, and must find something.
// @ts-check
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, KEY, startServer } from "../../bench/support/server-under-test.js";
import { ROWS } from "../grafana/panels.js";
import { ask } from "./replicas.js";
import {
  atEnd,
  changed,
  DEPLOY,
  eventually,
  isOk,
  MAIN,
  main,
  must,
  needs,
  run,
  scratch,
  start,
} from "./support.js";

const RULES = join(DEPLOY, "prometheus/alerts.yml");

function checked() {
  run("promtool", ["check", "config", join(DEPLOY, "prometheus/prometheus.yml")]);
  run("promtool", ["check", "rules", RULES]);
  run("promtool", ["test", "rules", join(DEPLOY, "prometheus/alerts-test.yml")]);
  run(process.execPath, [join(DEPLOY, "grafana/generate.js"), "--check"]);
  console.log("prometheus: configuration, rules and their tests, and the dashboard's origin hold");
}

/** Low enough for some requests to be refused and some to be late. */
const LIMITS = ["--queue-requests-max", "2", "--request-deadline-ms", "1000"];

/** Requests of every kind: answered, streamed, late, wrong, refused, and left. @param {string} origin */
async function someOfEach(origin) {
  const good = { input: "Once upon a time", max_length: 40, num_return_sequences: 2 };
  const stream = "/endpoints/gpt-2/invocations-response-stream";
  // More at once than --queue-requests-max.
  await Promise.allSettled([1, 2, 3, 4, 5].map((seed) => ask(origin, { ...good, seed })));
  await ask(origin, good, undefined, stream);
  await ask(origin, { ...good, max_length: 256, num_return_sequences: 64 }).catch(() => {});
  await ask(origin, { ...good, top_p: 7 }).catch(() => {});
  await ask(origin, good, undefined, "/endpoints/nowhere/invocations").catch(() => {});
  const leaver = new AbortController();
  setTimeout(() => leaver.abort(), 20);
  await fetch(`${origin}/ping`, { signal: leaver.signal }).catch(() => {});
}

/** @param {string} base @param {string} query @returns {Promise<unknown[]>} */
async function found(base, query) {
  const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { status, error, data } = /** @type {any} */ (await response.json());
  if (status !== "success") throw new Error(`${query}: ${error}`);
  return data.result.filter((/** @type {any} */ { value }) => value[1] !== "NaN");
}

/** What an alert compares, without the comparison. @param {string} expression */
const compared = (expression) => expression.replace(/ (==|>|<) [\d.]+/g, "");

await main(async () => {
  needs("promtool", "prometheus");
  checked();
  const adminPort = await freePort();
  const folder = scratch();
  const keys = join(folder, "keys.json");
  writeFileSync(keys, JSON.stringify({ keys: [KEY] }), { mode: 0o600 });
  const flags = ["--threads", "1", "--admin-port", String(adminPort), "--credentials-file", keys, ...LIMITS];
  const server = await startServer(MAIN, flags);
  atEnd(() => server.child.kill("SIGKILL"));
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  run("promtool", ["check", "metrics"], { input: metrics });
  const file = join(folder, "prometheus.yml");
  const targets = '["192.0.2.1:9090", "192.0.2.2:9090", "192.0.2.3:9090"]';
  const changes = {
    [targets]: `["127.0.0.1:${adminPort}"]`,
    "interval: 10s": "interval: 1s",
    "[alerts.yml]": `[${RULES}]`,
  };
  writeFileSync(file, changed("prometheus/prometheus.yml", changes));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const storage = [`--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`];
  start("prometheus", [`--config.file=${file}`, ...storage]);
  await eventually("Prometheus is ready", () => isOk(`${base}/-/ready`));
  const numScrapes = async () =>
    Number(/** @type {any} */ ((await found(base, "count_over_time(up[5m])"))[0])?.value[1] ?? 0);
  for (let round = 0; round < 3; round++) {
    await someOfEach(server.origin);
    const before = await numScrapes();
    await eventually("a scrape", async () => (await numScrapes()) > before);
  }
  const queries = ROWS.flatMap(({ panels }) =>
    panels.flatMap((panel) => panel.queries.map(([query]) => query)),
  );
  const inGrafana = queries.map((query) => query.replaceAll("$endpoint", ".*"));
  const { data } = /** @type {any} */ (await (await fetch(`${base}/api/v1/rules`)).json());
  const rules = data.groups.flatMap((/** @type {any} */ group) => group.rules);
  const inRules = rules.map((/** @type {any} */ rule) => compared(rule.query));
  for (const query of [...inGrafana, ...inRules]) {
    await eventually(`an answer to ${query}`, async () => (await found(base, query)).length > 0, 20);
  }
  must(
    rules.every((/** @type {any} */ rule) => rule.health === "ok"),
    "a rule cannot be evaluated",
  );
  console.log(`prometheus: ${inGrafana.length} queries of the dashboard and ${rules.length} rules find data`);
});
