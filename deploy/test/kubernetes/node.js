// One node of the cluster: a network of its own, containerd, the kubelet and kube-proxy. A real kubelet asks for a machine; what two
// of them on one machine would share is kept apart here: network, folders, control groups.
// @ts-check
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { atEnd, eventually, run, start } from "../support.js";

const CGROUPS = "/sys/fs/cgroup";
const GROUP = "gpt2-api-test";

/** The link between the control plane and the nodes, with the address of the control plane. */
export const CONTROL = "10.0.0.1";
const BRIDGE = "link0";

/** @param {readonly string[]} words */
const ip = (...words) => run("ip", words);

export function makeNetwork() {
  // Names of networks are files.
  mkdirSync("/run/netns", { recursive: true });
  run("mount", ["-t", "tmpfs", "none", "/run/netns"]);
  ip("link", "set", "lo", "up");
  ip("link", "add", BRIDGE, "type", "bridge");
  ip("addr", "add", `${CONTROL}/24`, "dev", BRIDGE);
  ip("link", "set", BRIDGE, "up");
  // There is no other network; programs that look for their address look for a default route.
  ip("route", "add", "default", "dev", BRIDGE);
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

export class ClusterNode {
  /**
   * @param {number} index
   * @param {{folder: string, bin: string, kubeconfig: string, ca: string}} cluster
   */
  constructor(index, { folder, bin, kubeconfig, ca }) {
    this.name = `node-${"ab"[index]}`;
    this.address = `10.0.0.${11 + index}`;
    this.pods = `10.${1 + index}.0.0/24`;
    this.folder = join(folder, this.name);
    this.bin = bin;
    this.kubeconfig = kubeconfig;
    this.ca = ca;
    mkdirSync(this.folder);
  }

  /** Runs a program in this node's network. @param {string} program @param {readonly string[]} argv */
  #start(program, argv) {
    return start("nsenter", [`--net=/run/netns/${this.name}`, program, ...argv]);
  }

  #makeNetwork() {
    ip("netns", "add", this.name);
    const inside = (/** @type {string[]} */ ...words) => ip("-n", this.name, ...words);
    ip("link", "add", this.name, "type", "veth", "peer", "name", "eth0", "netns", this.name);
    ip("link", "set", this.name, "master", BRIDGE, "up");
    inside("link", "set", "lo", "up");
    inside("addr", "add", `${this.address}/24`, "dev", "eth0");
    inside("link", "set", "eth0", "up");
    inside("route", "add", "default", "via", CONTROL);
    // A bridge with the gateway's address, before the first pod: answers of the services come through it.
    ip("route", "add", this.pods, "via", this.address);
    const set = (/** @type {string} */ name) =>
      run("nsenter", [`--net=/run/netns/${this.name}`, "sh", "-c", `echo 1 > /proc/sys/${name}`]);
    set("net/ipv4/ip_forward");
    set("net/bridge/bridge-nf-call-iptables");
  }

  async #startContainerd() {
    const path = (/** @type {string} */ name) => join(this.folder, name);
    mkdirSync(path("cni"));
    const ipam = { type: "host-local", ranges: [[{ subnet: this.pods }]], routes: [{ dst: "0.0.0.0/0" }] };
    const bridge = { type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true, ipam };
    writeFileSync(
      path("cni/10-pods.conflist"),
      JSON.stringify({ cniVersion: "0.4.0", name: this.name, plugins: [bridge] }),
    );
    this.socket = path("containerd.sock");
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    writeFileSync(
      path("containerd.toml"),
      `version = 2
root = "${path("containerd")}"
state = "${path("state")}"
[grpc]
  address = "${this.socket}"
[${cri}]
  # No score may be lowered without CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  sandbox_image = "localhost/pause:1"
[${cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${path("cni")}"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`,
    );
    this.#start("containerd", ["--config", path("containerd.toml"), "--log-level", "warn"]);
    await eventually("containerd is ready", async () => this.#ctr("version") !== "");
  }

  /** @param {string[]} argv */
  #ctr(...argv) {
    return run("ctr", ["--address", `${this.socket}`, "--namespace", "k8s.io", ...argv]);
  }

  /** @param {string} name */
  #writeKubeletConfig(name) {
    const cgroupRoot = `/${GROUP}/${this.name}`;
    for (const controller of controllers()) makeGroup(controller, cgroupRoot);
    const config = {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      cgroupDriver: "cgroupfs",
      cgroupRoot,
      resolvConf: "/dev/null",
      authentication: {
        anonymous: { enabled: true },
        webhook: { enabled: false },
        x509: { clientCAFile: this.ca },
      },
      authorization: { mode: "AlwaysAllow" },
      failSwapOn: false,
      // The disk of the machine is not the test's business.
      evictionHard: { "memory.available": "50Mi" },
      nodeStatusUpdateFrequency: "2s",
      syncFrequency: "5s",
    };
    writeFileSync(name, JSON.stringify(config));
  }

  /** @param {readonly string[]} images files */
  async start(images) {
    this.#makeNetwork();
    await this.#startContainerd();
    for (const image of images) this.#ctr("images", "import", image);
    const config = join(this.folder, "kubelet.json");
    this.#writeKubeletConfig(config);
    this.#start(join(this.bin, "kubelet"), [
      ...["--config", config, "--kubeconfig", this.kubeconfig, "--hostname-override", this.name],
      ...["--node-ip", this.address, "--root-dir", join(this.folder, "kubelet")],
      ...["--cert-dir", join(this.folder, "pki"), "--container-runtime", "remote", "--v", "1"],
      ...["--container-runtime-endpoint", `unix://${this.socket}`],
    ]);
    this.#start(join(this.bin, "kube-proxy"), proxyFlags(this.folder, this.kubeconfig, this.name));
  }
}

/**
 * kube-proxy without the limits of connections, which no network of its own may raise.
 * @param {string} folder @param {string} kubeconfig @param {string} name of the node
 */
export function proxyFlags(folder, kubeconfig, name) {
  const config = {
    kind: "KubeProxyConfiguration",
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    clientConnection: { kubeconfig },
    hostnameOverride: name,
    mode: "iptables",
    clusterCIDR: "10.0.0.0/14",
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
  const file = join(folder, `proxy-${name}.json`);
  writeFileSync(file, JSON.stringify(config));
  return ["--config", file, "--v", "1"];
}

/** Where control groups are: the controllers of version 1. */
const controllers = () =>
  readdirSync(CGROUPS).filter((name) => existsSync(join(CGROUPS, name, "cgroup.procs")));

/** @param {string} controller @param {string} path */
function makeGroup(controller, path) {
  let [parent, folder] = [join(CGROUPS, controller), join(CGROUPS, controller)];
  for (const part of path.split("/").filter(Boolean)) {
    [parent, folder] = [folder, join(folder, part)];
    if (!existsSync(folder)) mkdirSync(folder);
    // A new set of processors is empty.
    for (const file of controller === "cpuset" ? ["cpuset.cpus", "cpuset.mems"] : [])
      writeFileSync(join(folder, file), readFileSync(join(parent, file)));
  }
}

/** Removes the groups that the kubelets leave; throws while one has a process. */
export function removeGroups() {
  const remove = (/** @type {string} */ folder) => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(folder, entry.name));
    rmdirSync(folder);
  };
  for (const controller of controllers()) remove(join(CGROUPS, controller, GROUP));
  return true;
}

const KERNEL = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"];

/** A kubelet changes the kernel of its machine; afterwards it is as before. */
export function keepKernel() {
  for (const name of KERNEL.map((each) => join("/proc/sys", each))) {
    const before = readFileSync(name);
    atEnd(() => writeFileSync(name, before));
  }
}
