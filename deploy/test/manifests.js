// The manifests of Kubernetes: kustomize renders each overlay, and every object is held against the schema of its kind, for an old
// and for new releases; those of extensions against their types in npm. No API server is asked. Of KServe's manifest the
// container is checked, as that of a pod.
// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { changed, DEPLOY, main, must, nodePackages, pythonEnvironment, run, scratch } from "./support.js";

const RELEASES = ["1.28", "1.32", "1.37"];
const OVERLAYS = ["base", "hpa", "keda", "prometheus-operator"];
/** Kinds of extensions, and where their types stand in npm. */
const EXTENSIONS = {
  ScaledObject: "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
  PodMonitor: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
};

await main(async () => {
  const bin = pythonEnvironment("manifests");
  nodePackages();
  const { parse, parseAllDocuments, stringify } = await import("yaml");
  const folder = scratch();
  let count = 0;
  /** @param {any} object */
  const held = (object) => {
    const file = join(folder, `${count++}.yaml`);
    writeFileSync(file, stringify(object));
    for (const release of RELEASES)
      run(join(bin, "kubernetes-validate"), ["--strict", "--quiet", "-k", release, file]);
  };
  for (const overlay of OVERLAYS) {
    const rendered = run(join(bin, "kubectl"), ["kustomize", join(DEPLOY, "kubernetes", overlay)]);
    const objects = parseAllDocuments(rendered).map((/** @type {any} */ document) => document.toJS());
    must(objects.length >= 3, `${overlay} renders ${objects.length} objects`);
    for (const object of objects) {
      const path = EXTENSIONS[/** @type {keyof typeof EXTENSIONS} */ (object.kind)];
      if (path === undefined) held(object);
      else new (await import(path))[object.kind](object).validate();
    }
    const deployment = objects.find((/** @type {any} */ { kind }) => kind === "Deployment");
    const scales = overlay === "hpa" || overlay === "keda";
    must((deployment.spec.replicas === undefined) === scales, `${overlay}: who owns the number of replicas?`);
  }
  const { spec } = parse(readFileSync(join(DEPLOY, "kserve/inferenceservice.yaml"), "utf8"));
  held({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x" },
    spec: { containers: spec.predictor.containers.map(withPort) },
  });
  const misspelt = join(folder, "misspelt.yaml");
  writeFileSync(misspelt, changed("kubernetes/base/deployment.yaml", { readinessProbe: "readinesProbe" }));
  let isRefused = false;
  try {
    run(join(bin, "kubernetes-validate"), ["--strict", "--quiet", misspelt]);
  } catch {
    isRefused = true;
  }
  must(isRefused, "the check finds no misspelt field");
  console.log(
    `manifests: ${OVERLAYS.length} overlays and KServe's container hold for ${RELEASES.join(", ")}`,
  );
});

/** Knative sets the probe's port, which a pod's schema asks for. @param {any} container */
function withPort(container) {
  const { httpGet } = container.readinessProbe;
  return { ...container, readinessProbe: { httpGet: { ...httpGet, port: 8080 } } };
}
