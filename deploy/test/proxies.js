// Three servers behind a proxy, with the configuration that is shipped: a stream's first piece leaves at once, a rolling
// restart under load loses no request, a server that is killed costs no more than what was open on it, and with HAProxy
// prompts with common beginnings find them. Names of proxies are arguments.
// @ts-check
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../bench/support/server-under-test.js";
import { ask, Clients, healthy, Replicas } from "./replicas.js";
import { changed, main, must, needs, pythonEnvironment, run, scratch, start } from "./support.js";

const NUM_CLIENTS = 8;
/** About as long as an answer of default length would be, on one thread. @param {number} seed */
const shortRequest = (seed) => ({ input: "The little dog", max_length: 24, num_return_sequences: 2, seed });

/** By name: writes the configuration, has the proxy check it, and starts it. */
const PROXIES = {
  /** @param {Replicas} replicas @param {number} port */
  haproxy(replicas, port, changes = {}) {
    needs("haproxy");
    const file = join(scratch(), "haproxy.cfg");
    const addresses = { ...replicas.addresses(), "bind :8080": `bind 127.0.0.1:${port}`, ...changes };
    writeFileSync(file, changed("haproxy/haproxy.cfg", addresses));
    run("haproxy", ["-c", "-f", file]);
    return start("haproxy", ["-db", "-f", file]);
  },
  /** @param {Replicas} replicas @param {number} port */
  nginx(replicas, port) {
    needs("nginx");
    const folder = scratch();
    const file = join(folder, "nginx.conf");
    const addresses = { ...replicas.addresses(), "listen 8080": `listen 127.0.0.1:${port}` };
    const text = changed("nginx/nginx.conf", addresses);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    writeFileSync(file, text.replace("access_log off;", `access_log off; ${temporary.join(" ")}`));
    const argv = ["-p", folder, "-c", file, "-e", "stderr"];
    const globals = `pid ${folder}/nginx.pid; daemon off;`;
    run("nginx", ["-t", ...argv, "-g", globals]);
    return start("nginx", [...argv, "-g", globals]);
  },
  /** @param {Replicas} replicas @param {number} port */
  envoy(replicas, port) {
    const envoy = join(pythonEnvironment("envoy"), "envoy");
    const file = join(scratch(), "envoy.yaml");
    const addresses = replicas.addresses(", port_value: 8080");
    const own = { "address: 0.0.0.0, port_value: 8080": `address: 127.0.0.1, port_value: ${port}` };
    const admin = { "port_value: 9901": "port_value: 0" };
    writeFileSync(file, changed("envoy/envoy.yaml", { ...addresses, ...own, ...admin }));
    run(envoy, ["--mode", "validate", "-c", file]);
    return start(envoy, ["-c", file, "--log-level", "error", "--use-dynamic-base-id"]);
  },
};

/** @param {keyof typeof PROXIES} name */
async function test(name) {
  const replicas = new Replicas();
  await replicas.start(3);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const proxy = PROXIES[name](replicas, port);
  await healthy(origin);
  await streams(name, origin);
  await restarts(name, origin, replicas);
  await dies(name, origin, replicas);
  await proxy.stop();
  if (name === "haproxy") await affinity();
}

/** @param {string} name @param {string} origin */
async function streams(name, origin) {
  const path = "/endpoints/gpt-2/invocations-response-stream";
  const fields = { input: "The", max_length: 250, num_return_sequences: 1, seed: 1 };
  const { firstMs, totalMs } = await ask(origin, fields, undefined, path);
  console.log(
    `${name}: a stream of 250 tokens begins after ${firstMs.toFixed(0)} of ${totalMs.toFixed(0)} ms`,
  );
  must(firstMs < totalMs / 2, "the pieces of a stream are held back");
}

/** @param {string} name @param {string} origin @param {Replicas} replicas */
async function restarts(name, origin, replicas) {
  const clients = new Clients(NUM_CLIENTS, origin, shortRequest);
  await clients.served(50);
  for (const index of replicas.ports.keys()) await replicas.restart(index);
  await clients.served(50);
  await clients.stop();
  const { answers, failures } = clients;
  console.log(`${name}: all servers restarted: ${answers} answers, ${failures.length} failures`);
  must(failures.length === 0, [...new Set(failures)].slice(0, 5).join("\n"));
}

/** @param {string} name @param {string} origin @param {Replicas} replicas */
async function dies(name, origin, replicas) {
  const clients = new Clients(NUM_CLIENTS, origin, shortRequest);
  await clients.served(50);
  await replicas.kill(0);
  await clients.served(200);
  await clients.stop();
  const { answers, failures } = clients;
  console.log(`${name}: one server killed: ${answers} answers, ${failures.length} failures`);
  must(failures.length <= NUM_CLIENTS, [...new Set(failures)].slice(0, 5).join("\n"));
}

const NUM_BEGINNINGS = 12;
/** A story of about 150 tokens that begins like no other. @param {number} i */
const beginning = (i) =>
  `Story ${i}. ${"Once there was a little girl who liked to play in the garden. ".repeat(11)}`;

/** Common beginnings are found more often where one beginning goes to one server, whose cache cannot hold them all. */
async function affinity() {
  const shares = [];
  for (const isHashed of [false, true]) {
    const replicas = new Replicas(["--kv-cache-mb", "2", "--drain-delay-ms", "0"]);
    await replicas.start(3);
    const port = await freePort();
    const hashed = { "  balance leastconn\n": "", "#hash: ": "" };
    const proxy = PROXIES.haproxy(replicas, port, isHashed ? hashed : {});
    await healthy(`http://127.0.0.1:${port}`);
    const began = performance.now();
    const clients = new Clients(4, `http://127.0.0.1:${port}`, (i) => ({
      input: `${beginning((i * 7) % NUM_BEGINNINGS)} And number ${i}`,
      max_new_tokens: 8,
      num_return_sequences: 1,
      seed: i,
    }));
    await clients.served(240);
    await clients.stop();
    must(clients.failures.length === 0, clients.failures.slice(0, 3).join("\n"));
    const rate = clients.answers / ((performance.now() - began) / 1000);
    const total = async (/** @type {string} */ name) =>
      (await replicas.metric(name)).reduce((sum, value) => sum + value, 0);
    const found =
      (await total("gpt2_prefix_cache_hit_tokens_total")) /
      (await total("gpt2_prefix_cache_queried_tokens_total"));
    shares.push(found);
    const what = isHashed ? "hash of the prompt's beginning" : "least connections";
    console.log(
      `haproxy: ${what}: ${(100 * found).toFixed(0)} % of prompt tokens found, ${rate.toFixed(0)} requests/s`,
    );
    await proxy.stop();
    for (const index of replicas.ports.keys()) await replicas.kill(index);
  }
  const [least = 0, hashed = 0] = shares;
  must(hashed > least * 1.2, "hashing finds no more beginnings");
}

const names = /** @type {(keyof typeof PROXIES)[]} */ (process.argv.slice(2));
await main(async () => {
  for (const name of names.length > 0 ? names : /** @type {typeof names} */ (Object.keys(PROXIES)))
    await test(name);
});
