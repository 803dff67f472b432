// What a cluster with Prometheus has: Prometheus with the rules that are shipped, which finds the pods, and an adapter that gives its
// numbers to autoscalers as custom metrics. Debian's Prometheus cannot ask Kubernetes for pods, so the adapter lists them too.
// @ts-check
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { atEnd, DEPLOY, eventually, isOk, scratch, start } from "../support.js";
import { CONTROL } from "./node.js";

const GROUP = "custom.metrics.k8s.io";
const PROMETHEUS = "http://127.0.0.1:9095";
const PODS_PORT = 9096;
const ADAPTER_PORT = 9443;

/** @param {import("./cluster.js").Cluster} cluster */
export async function startMetrics(cluster) {
  await listPods(cluster);
  await startPrometheus();
  await startAdapter(cluster);
}

/** For Prometheus: the pods and their ports for metrics. @param {import("./cluster.js").Cluster} cluster */
async function listPods(cluster) {
  const server = createHttpServer(async (_, response) => {
    const pods = (await cluster.pods().catch(() => [])).filter(({ ip }) => ip !== "");
    const targets = pods.map(({ ip, name }) => ({ targets: [`${ip}:9090`], labels: { pod: name } }));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(targets));
  }).listen(PODS_PORT, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => server.close());
}

async function startPrometheus() {
  const folder = scratch();
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    rule_files: [join(DEPLOY, "prometheus/alerts.yml")],
    scrape_configs: [
      {
        job_name: "gpt2-api",
        http_sd_configs: [{ url: `http://127.0.0.1:${PODS_PORT}/`, refresh_interval: "1s" }],
      },
    ],
  };
  const file = join(folder, "prometheus.yml");
  writeFileSync(file, JSON.stringify(config));
  const { host } = new URL(PROMETHEUS);
  const flags = [`--web.listen-address=${host}`, `--storage.tsdb.path=${folder}/data`, "--log.level=error"];
  start("prometheus", [`--config.file=${file}`, ...flags]);
  await eventually("Prometheus is ready", () => isOk(`${PROMETHEUS}/-/ready`));
}

/** @param {string} query @returns {Promise<{metric: Record<string, string>, value: [number, string]}[]>} */
async function asked(query) {
  const response = await fetch(`${PROMETHEUS}/api/v1/query?query=${encodeURIComponent(query)}`);
  return /** @type {any} */ (await response.json()).data.result;
}

/** @param {string} path @returns {Promise<object>} */
async function answer(path) {
  const apiVersion = `${GROUP}/v1beta1`;
  if (path === `/apis/${apiVersion}`) {
    const resource = { name: "pods/gpt2_requests_open", singularName: "", namespaced: true };
    const resources = [{ ...resource, kind: "MetricValueList", verbs: ["get"] }];
    return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersion, resources };
  }
  const [, metricName] = /\/namespaces\/default\/pods\/\*\/(\w+)$/.exec(path) ?? [];
  if (metricName === undefined) throw new Error(`there is no ${path}`);
  const items = (await asked(`sum by (pod) (${metricName})`)).map(({ metric, value: [seconds, value] }) => ({
    describedObject: { kind: "Pod", namespace: "default", name: metric.pod, apiVersion: "/v1" },
    metricName,
    timestamp: new Date(seconds * 1000).toISOString(),
    value,
  }));
  return { kind: "MetricValueList", apiVersion, metadata: {}, items };
}

/** @param {import("./cluster.js").Cluster} cluster */
async function startAdapter(cluster) {
  const { path } = cluster.certificates;
  const tls = { cert: readFileSync(path("server.crt")), key: readFileSync(path("server.key")) };
  const server = createServer(tls, async (request, response) => {
    response.setHeader("content-type", "application/json");
    try {
      response.end(JSON.stringify(await answer(decodeURIComponent(request.url ?? "/").replace(/\?.*/, ""))));
    } catch (error) {
      const failure = {
        kind: "Status",
        apiVersion: "v1",
        status: "Failure",
        code: 404,
        message: String(error),
      };
      response.writeHead(404).end(JSON.stringify(failure));
    }
  }).listen(ADAPTER_PORT, CONTROL);
  await once(server, "listening");
  atEnd(() => server.close());
  const metadata = { name: "metrics", namespace: "default" };
  const ports = [{ port: ADAPTER_PORT }];
  await cluster.apply([
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { ports: [{ port: 443, targetPort: ADAPTER_PORT }] },
    },
    { apiVersion: "v1", kind: "Endpoints", metadata, subsets: [{ addresses: [{ ip: CONTROL }], ports }] },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: `v1beta1.${GROUP}` },
      spec: {
        group: GROUP,
        version: "v1beta1",
        service: { name: "metrics", namespace: "default" },
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    },
  ]);
  await eventually("the API server asks the adapter", async () => {
    await cluster.api(`/apis/${GROUP}/v1beta1`);
    return true;
  });
}
