// The manifests on a real Kubernetes with two nodes: the pods run as they should, and neither a roll-out nor a drained node costs a
// request under load; the autoscaler goes from one pod to four and back by the servers' own metric. It is an old release, so two
// kinds get the versions of their day. Clients go through the Service, every second of them on a connection that he keeps.
// @ts-check
import { join } from "node:path";
import { Clients, healthy } from "../replicas.js";
import { atEnd, DEPLOY, eventually, main, must, pythonEnvironment, run, scratch } from "../support.js";
import { Cluster } from "./cluster.js";
import { startMetrics } from "./metrics.js";

const PROGRAMS = join(DEPLOY, "test/.kubernetes");
const IMAGE = "localhost/gpt2-api:test";
const NUM_CLIENTS = 8;
/** Of the same label as the pods. */
const DEPLOYMENT = "deployment/gpt2-api";
const began = performance.now();
const say = (/** @type {string} */ text) =>
  console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);

/** The image, and one that only holds the network of a pod; as files, because a cluster without a registry imports them. */
function imageFiles() {
  const folder = scratch();
  const file = (/** @type {string} */ name) => join(folder, `${name}.tar`);
  run("podman", ["save", "--quiet", "--output", file("server"), IMAGE]);
  const container = run("buildah", ["from", "scratch"]).trim();
  run("buildah", ["add", container, "/usr/bin/catatonit", "/catatonit"]);
  run("buildah", ["config", "--entrypoint", '["/catatonit", "-P"]', container]);
  run("buildah", ["commit", "--quiet", "--rm", container, "localhost/pause:1"]);
  run("podman", ["save", "--quiet", "--output", file("pause"), "localhost/pause:1"]);
  return [file("server"), file("pause")];
}

/** Changes that this cluster needs, by kind. */
const CHANGES = {
  /** @param {any} deployment */
  Deployment({ spec: { template } }) {
    const [container] = template.spec.containers;
    Object.assign(container, { image: IMAGE, imagePullPolicy: "Never" });
    // Four pods must fit into a small machine.
    const memory = "400Mi";
    container.resources = { requests: { cpu: "200m", memory }, limits: { cpu: "1", memory } };
    container.env.push({ name: "GPT2_API_KV_CACHE_MB", value: "64" });
  },
  /** @param {any} budget */
  PodDisruptionBudget(budget) {
    budget.apiVersion = "policy/v1beta1";
  },
  /** @param {any} autoscaler */
  HorizontalPodAutoscaler(autoscaler) {
    autoscaler.apiVersion = "autoscaling/v2beta2";
    Object.assign(autoscaler.spec, { minReplicas: 1, maxReplicas: 4 });
    autoscaler.spec.behavior.scaleDown.stabilizationWindowSeconds = 15;
  },
};

/** @param {string} overlay @returns {Promise<any[]>} */
async function manifests(overlay) {
  const { parseAllDocuments } = await import("yaml");
  const kubectl = join(pythonEnvironment("manifests"), "kubectl");
  const rendered = run(kubectl, ["kustomize", join(DEPLOY, "kubernetes", overlay)]);
  const objects = parseAllDocuments(rendered).map((/** @type {any} */ document) => document.toJS());
  for (const object of objects) CHANGES[/** @type {keyof typeof CHANGES} */ (object.kind)]?.(object);
  return objects;
}

/** @param {Cluster} cluster */
async function rolledOut(cluster) {
  await cluster.kubectl("rollout", "status", DEPLOYMENT, "--timeout=120s");
}

/** Through the Service. @param {Cluster} cluster @param {number} count @param {number} tokens of an answer */
async function clientsOf(cluster, count, tokens = 20) {
  const address = await cluster.kubectl("get", "service", "gpt2-api", "-o", "jsonpath={.spec.clusterIP}");
  const origin = `http://${address}:8080`;
  // The rules of a new Service come a moment after its pods are ready.
  await healthy(origin);
  const fields = (/** @type {number} */ seed) => ({
    input: "The little dog",
    max_new_tokens: tokens,
    num_return_sequences: 2,
    seed,
  });
  return new Clients(count, origin, fields, "/invocations");
}

/** @param {Clients} clients @param {string} what */
async function mustHaveLostNone(clients, what) {
  await clients.stop();
  say(`${what}: ${clients.answers} answers, ${clients.failures.length} failures`);
  must(clients.failures.length === 0, [...new Set(clients.failures)].slice(0, 5).join("\n"));
}

/** @param {Cluster} cluster */
async function runsAsItShould(cluster) {
  await cluster.apply(await manifests("base"));
  await rolledOut(cluster);
  const pods = await cluster.pods();
  const nodes = new Set(pods.map(({ node }) => node));
  const [pod] = pods;
  must(pods.length === 2 && nodes.size === 2 && pod !== undefined, "two pods, one on each node");
  const inside = (/** @type {string} */ line) => cluster.kubectl("exec", pod.name, "--", "sh", "-c", line);
  must((await inside("id -u")).trim() === "1000", "runs as user 1000");
  must((await inside("touch /file 2>&1 || echo refused")).includes("refused"), "its root is only read");
  must(/CapEff:\s*0+\n/.test(await inside("cat /proc/1/status")), "has no capabilities");
  const log = await cluster.kubectl("logs", pod.name);
  must(log.includes('"threads":1'), `as many threads as its limit of processors:\n${log}`);
  say("two pods run, one on each node: user 1000, root only read, no capabilities, threads of its limit");
}

/** @param {Cluster} cluster */
async function rollsOut(cluster) {
  const clients = await clientsOf(cluster, NUM_CLIENTS);
  await clients.served(50);
  const before = (await cluster.pods()).map(({ name }) => name);
  await cluster.kubectl("rollout", "restart", DEPLOYMENT);
  await rolledOut(cluster);
  await clients.served(50);
  const after = (await cluster.pods()).map(({ name }) => name);
  must(after.length === 2 && !after.some((name) => before.includes(name)), "all pods are new");
  await mustHaveLostNone(clients, "roll-out of new pods under load");
}

/** @param {Cluster} cluster */
async function isDrained(cluster) {
  const clients = await clientsOf(cluster, NUM_CLIENTS);
  await clients.served(50);
  await cluster.kubectl("drain", "node-a", "--timeout=90s");
  await eventually(
    "both pods are on the other node",
    async () => {
      const pods = await cluster.pods();
      return pods.length === 2 && pods.every(({ node, isReady }) => node === "node-b" && isReady);
    },
    90,
  );
  await clients.served(50);
  await mustHaveLostNone(clients, "node drained under load, its pod moves to the other");
  await cluster.kubectl("uncordon", "node-a");
}

/** @param {Cluster} cluster @param {number} count */
async function hasPods(cluster, count) {
  const since = performance.now();
  const isSo = async () => {
    const pods = await cluster.pods();
    return pods.length === count && pods.every(({ isReady }) => isReady);
  };
  await eventually(`${count} pods are ready`, isSo, 180);
  return `${((performance.now() - since) / 1000).toFixed(0)} s`;
}

/** @param {Cluster} cluster */
async function scales(cluster) {
  await startMetrics(cluster);
  const objects = await manifests("hpa");
  await cluster.apply(objects.filter(({ kind }) => kind === "HorizontalPodAutoscaler"));
  await hasPods(cluster, 1);
  say("autoscaler without load: one pod");
  const many = await clientsOf(cluster, 24, 120);
  const up = await hasPods(cluster, 4);
  await many.served(50);
  await mustHaveLostNone(many, `24 clients, four pods ready after ${up}`);
  const few = await clientsOf(cluster, 2);
  const down = await hasPods(cluster, 1);
  await few.served(20);
  await mustHaveLostNone(few, `two clients, one pod after ${down}`);
  const told = await cluster.kubectl("describe", "hpa", "gpt2-api");
  console.log(told.replace(/.*Events:/s, "Events of the autoscaler:").trim());
}

await main(async () => {
  must(
    process.pid === 1,
    "it runs in a network and with processes of its own: npm run test:deploy kubernetes",
  );
  const images = imageFiles();
  say("images written to files");
  const cluster = new Cluster(PROGRAMS);
  await cluster.start(images);
  const version = await cluster.kubectl("version", "--short");
  say(`${version.trim().split("\n").at(-1)}, two nodes are ready`);
  atEnd(() => cluster.kubectl("delete", "deployment,hpa", "--all", "--wait=true", "--timeout=60s"));
  await runsAsItShould(cluster);
  await rollsOut(cluster);
  await isDrained(cluster);
  await scales(cluster);
});
