// A cluster of two nodes on one machine: etcd, the API server, controllers and scheduler, and two nodes that begin with the images
// they are given. All runs in the network, mounts and processes of the test alone (`unshare` in run.js), and ends with it.
// @ts-check
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";
import { atEnd, eventually, run, scratch, start } from "../support.js";
import { makeCertificates } from "./certificates.js";
import { ClusterNode, CONTROL, keepKernel, makeNetwork, proxyFlags, removeGroups } from "./node.js";

const SERVICES = "10.3.0.0/24";
const FIRST_SERVICE = "10.3.0.1";
const ETCD = "http://127.0.0.1:2379";

/** Containers that are left, where all processes are the test's own. */
function endAllElse() {
  if (process.pid !== 1) return;
  try {
    process.kill(-1, "SIGKILL");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
  }
}

const execute = promisify(execFile);

export class Cluster {
  /** @param {string} bin the folder of Kubernetes' programs */
  constructor(bin) {
    this.bin = bin;
    this.folder = scratch();
    this.certificates = makeCertificates(this.folder, ["127.0.0.1", CONTROL, FIRST_SERVICE]);
    this.kubeconfig = join(this.folder, "kubeconfig");
    const { path } = this.certificates;
    const cluster = { server: `https://${CONTROL}:6443`, "certificate-authority": path("ca.crt") };
    const user = { "client-certificate": path("client.crt"), "client-key": path("client.key") };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name: "admin", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
      "current-context": "test",
    };
    writeFileSync(this.kubeconfig, JSON.stringify(config));
  }

  /** @param {string} name @param {readonly string[]} flags */
  #start(name, flags) {
    return start(join(this.bin, name), [...flags, "--v=1"]);
  }

  /** @param {readonly string[]} images files of images, for each node */
  async start(images) {
    keepKernel();
    // What containers leave behind ends with the test, and their control groups after them.
    atEnd(() => eventually("control groups are empty", async () => removeGroups()));
    atEnd(() => this.#unmount());
    atEnd(() => endAllElse());
    makeNetwork();
    await this.#startControlPlane();
    this.nodes = [0, 1].map(
      (index) =>
        new ClusterNode(index, {
          folder: this.folder,
          bin: this.bin,
          kubeconfig: this.kubeconfig,
          ca: this.certificates.path("ca.crt"),
        }),
    );
    for (const node of this.nodes) await node.start(images);
    await eventually("both nodes are ready", async () => (await this.#numReady()) === 2, 90);
  }

  async #numReady() {
    const told = await this.kubectl("get", "nodes", "--no-headers");
    return told.split("\n").filter((line) => / Ready /.test(line)).length;
  }

  async #startControlPlane() {
    const { path } = this.certificates;
    const data = join(this.folder, "etcd");
    mkdirSync(data, { mode: 0o700 });
    start("etcd", ["--data-dir", data, "--log-level", "error", "--unsafe-no-fsync"]);
    this.#start("kube-apiserver", [
      `--etcd-servers=${ETCD}`,
      `--service-cluster-ip-range=${SERVICES}`,
      `--bind-address=${CONTROL}`,
      `--advertise-address=${CONTROL}`,
      "--secure-port=6443",
      "--authorization-mode=AlwaysAllow",
      "--kubelet-preferred-address-types=InternalIP",
      `--client-ca-file=${path("ca.crt")}`,
      `--tls-cert-file=${path("server.crt")}`,
      `--tls-private-key-file=${path("server.key")}`,
      `--kubelet-client-certificate=${path("client.crt")}`,
      `--kubelet-client-key=${path("client.key")}`,
      // Of extensions such as an adapter for metrics.
      `--proxy-client-cert-file=${path("client.crt")}`,
      `--proxy-client-key-file=${path("client.key")}`,
      `--requestheader-client-ca-file=${path("ca.crt")}`,
      "--requestheader-username-headers=X-Remote-User",
      "--enable-aggregator-routing=true",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${path("server.key")}`,
      `--service-account-signing-key-file=${path("server.key")}`,
    ]);
    await eventually("the API server is ready", async () => (await this.api("/readyz")) === "ok");
    this.#start("kube-controller-manager", [
      `--kubeconfig=${this.kubeconfig}`,
      `--service-account-private-key-file=${path("server.key")}`,
      `--root-ca-file=${path("ca.crt")}`,
      "--leader-elect=false",
      "--horizontal-pod-autoscaler-sync-period=5s",
    ]);
    this.#start("kube-scheduler", [`--kubeconfig=${this.kubeconfig}`, "--leader-elect=false"]);
    // So that clients of the control plane's network reach services as pods do.
    this.#start("kube-proxy", proxyFlags(this.folder, this.kubeconfig, "control"));
  }

  /** What kubelets and containerd have mounted below the folder, the innermost first. */
  #unmount() {
    const points = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "")
      .filter((point) => point.startsWith(this.folder));
    for (const point of points.reverse()) run("umount", ["--lazy", point]);
  }

  /** Clients go on asking meanwhile. @param {string[]} argv @returns {Promise<string>} what it wrote */
  async kubectl(...argv) {
    const { stdout } = await execute(join(this.bin, "kubectl"), ["--kubeconfig", this.kubeconfig, ...argv]);
    return stdout;
  }

  /** @param {readonly object[]} objects */
  async apply(objects) {
    const file = join(scratch(), "objects.json");
    writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    await this.kubectl("apply", "-f", file);
  }

  /** What the API server answers. @param {string} path @returns {Promise<string>} */
  api(path) {
    const { ca, cert, key } = this.certificates;
    return new Promise((resolve, reject) => {
      const options = { ca, cert, key, agent: false };
      const sent = request(`https://${CONTROL}:6443${path}`, options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
      });
      sent.on("error", reject).end();
    });
  }

  /** @returns {Promise<{name: string, ip: string, node: string, isReady: boolean}[]>} the pods of a label that are not leaving */
  async pods(selector = "app.kubernetes.io/name=gpt2-api") {
    const path = `/api/v1/namespaces/default/pods?labelSelector=${encodeURIComponent(selector)}`;
    const { items } = JSON.parse(await this.api(path));
    return items
      .filter((/** @type {any} */ { metadata }) => metadata.deletionTimestamp === undefined)
      .map((/** @type {any} */ { metadata, spec, status }) => ({
        name: metadata.name,
        ip: status.podIP ?? "",
        node: spec.nodeName ?? "",
        isReady: (status.conditions ?? []).some(
          (/** @type {any} */ { type, status: is }) => type === "Ready" && is === "True",
        ),
      }));
  }
}
