// The certificates of a cluster that lives for minutes: one authority, one certificate of its servers, one of those who ask them.
// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../support.js";

/**
 * @param {string} folder
 * @param {readonly string[]} addresses of the servers
 */
export function makeCertificates(folder, addresses) {
  const path = (/** @type {string} */ name) => join(folder, name);
  const openssl = (/** @type {string[]} */ ...argv) => run("openssl", argv);
  const key = ["-newkey", "rsa:2048", "-nodes"];
  const authority = ["-keyout", path("ca.key"), "-out", path("ca.crt"), "-subj", "/CN=authority"];
  openssl("req", "-x509", ...key, ...authority, "-days", "2");
  const names = ["DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default.svc"];
  const subjects = {
    server: { subject: "/CN=server", extensions: [...names, ...addresses.map((each) => `IP:${each}`)] },
    client: { subject: "/O=system:masters/CN=admin", extensions: ["DNS:admin"] },
  };
  for (const [name, { subject, extensions }] of Object.entries(subjects)) {
    const request = ["-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), "-subj", subject];
    openssl("req", ...key, ...request);
    writeFileSync(path(`${name}.ext`), `subjectAltName=${extensions.join(",")}\n`);
    const signer = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2"];
    const files = ["-in", path(`${name}.csr`), "-out", path(`${name}.crt`), "-extfile", path(`${name}.ext`)];
    openssl("x509", "-req", ...files, ...signer);
  }
  const read = (/** @type {string} */ name) => readFileSync(path(name));
  return { path, ca: read("ca.crt"), cert: read("client.crt"), key: read("client.key") };
}
