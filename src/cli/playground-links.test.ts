import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { playgroundLinks } from "./playground-links.ts";

const PAGE = new Map([["index.html", { type: "text/html", bytes: Buffer.from("page"), etag: '"1"' }]]);
const NONE = new Map();

describe("the playground of a server", () => {
  it("is there by default on loopback addresses only", () => {
    const links = (host: string) =>
      playgroundLinks({ ...DEFAULT_SETTINGS, host, playground: "auto" }, false, false, () => PAGE);
    assert.match(links("127.0.0.1")?.at("http://127.0.0.1:1") ?? "", /^http:\/\/127\.0\.0\.1:1\/\?token=/);
    assert.equal(links("0.0.0.0"), undefined);
  });

  it("is refused where it is wanted and its page was not built, and else left out", () => {
    const links = (playground: "on" | "auto", opens: boolean) =>
      playgroundLinks({ ...DEFAULT_SETTINGS, playground }, opens, false, () => NONE);
    assert.equal(links("auto", false), undefined);
    const refused = { code: "invalid_config", message: /page is not in this build: npm run build makes it/ };
    assert.throws(() => links("on", false), refused);
    assert.throws(() => links("auto", true), refused);
  });
});
