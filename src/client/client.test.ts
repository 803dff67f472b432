// The client with the real server over sockets, and with servers that misbehave.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { aFront, CREDENTIAL } from "../../test/support/front.ts";
import { shippedGenerator } from "../../test/support/shipped-generator.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { exceptionFrame, payloadPart } from "../server/doors/event-stream.ts";
import type { AppOptions } from "../server/doors/runtime.ts";
import type { Settings } from "../settings.ts";
import { makeBearerToken, signRequest } from "../sigv4/index.ts";
import type * as clientModule from "./index.ts";
import { signatureHeaders } from "./signing.ts";

const { Client, ApiError } = (await import("gpt2-api/client" as string)) as typeof clientModule;
const generator = await shippedGenerator();
after(() => generator.close());
const SHIPPED = { generators: new Map([["gpt-2", generator]]) };

const REQUEST = { input: "The old man looked at the sea and", mode: "greedy", max_new_tokens: 12 } as const;
const TEXT = `${REQUEST.input} said, "I am not a man, but I am`;
const KEY_PAIR = { keyPair: CREDENTIAL };

async function serve(
  context: TestContext,
  settings: Partial<Settings>,
  options: Partial<AppOptions> = SHIPPED,
) {
  const front = aFront(settings, { now: () => new Date(), ...options });
  context.after(() => front.app.close());
  return { ...front, url: await front.app.listen({ port: 0, host: "127.0.0.1" }) };
}

/** A fake server whose answers the test defines. */
async function serveBy(context: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function piecesOf(run: AsyncIterable<clientModule.ClientPiece>): Promise<string> {
  const texts: string[] = [];
  for await (const { text } of run) texts.push(text);
  return texts.join("");
}

describe("the client", () => {
  it("completes a text, whole and piece by piece, with a key pair, a token and neither", async (context) => {
    const { url } = await serve(context, {});
    const open = await serve(context, { auth: "none" });
    const bearerToken = makeBearerToken({
      credential: CREDENTIAL,
      region: "us-east-1",
      now: new Date(),
      expiresSeconds: 60,
    });
    const tokens = await serve(context, { auth: "any" });
    for (const client of [
      new Client({ url, ...KEY_PAIR }),
      new Client({ url: tokens.url, bearerToken }),
      new Client({ url: `${open.url}/` }),
    ]) {
      const { texts, seed } = await client.generate({ ...REQUEST, num_return_sequences: 2, seed: 7 });
      assert.deepEqual([texts, seed], [[TEXT, TEXT], 7]);
      const run = client.generate({ ...REQUEST, num_return_sequences: 1, seed: 8 });
      assert.equal(await piecesOf(run), TEXT);
      const streamed = await run;
      assert.deepEqual([streamed.texts, streamed.seed], [[TEXT], 8]);
    }
  });

  it("returns log-probabilities and the fingerprint", async (context) => {
    const { url } = await serve(context, { auth: "none" });
    while (generator.fingerprint === undefined) await new Promise((resolve) => setImmediate(resolve));
    const request = { ...REQUEST, num_return_sequences: 1, logprobs: 2, echo: false };
    const run = new Client({ url }).generate(request);
    const { scored, texts, fingerprint } = await run;
    assert.equal(fingerprint, generator.fingerprint);
    assert.equal(scored?.[0]?.text, texts[0]);
    assert.equal(scored?.[0]?.token_logprobs.length, 12);
    const numbers: (number | null)[] = [];
    for await (const { token_logprobs } of new Client({ url }).generate(request)) {
      numbers.push(...(token_logprobs ?? []));
    }
    assert.deepEqual(numbers, scored?.[0]?.token_logprobs);
  });

  it("reports the server's refusals with a code", async (context) => {
    const { url } = await serve(context, {});
    const client = new Client({ url, ...KEY_PAIR });
    const wrong = { input: "a", max_lenght: 3 } as never;
    await assert.rejects(
      Promise.resolve(client.generate(wrong)),
      (error) =>
        error instanceof ApiError &&
        error.code === "unknown_field" &&
        error.status === 424 &&
        error.requestId !== undefined &&
        error.message.includes('"max_length"'),
    );
    await assert.rejects(piecesOf(client.generate(wrong)), { code: "unknown_field", type: "ModelError" });
    const other = { ...CREDENTIAL, secretAccessKey: "another" };
    await assert.rejects(Promise.resolve(new Client({ url, keyPair: other }).generate(REQUEST)), {
      code: "denied",
      status: 403,
    });
    await assert.rejects(Promise.resolve(new Client({ url }).generate(REQUEST)), { code: "denied" });
    const elsewhere = new Client({ url, ...KEY_PAIR, endpointName: "other" });
    await assert.rejects(Promise.resolve(elsewhere.generate(REQUEST)), { code: "refused", status: 400 });
    assert.throws(() => new Client({ url, ...KEY_PAIR, bearerToken: "a" }), /exclude each other/);
    assert.throws(() => new Client({ url: "nowhere" }), TypeError);
  });

  it("stops the server's work when its signal is aborted, when the reader leaves, and when the time is over", async (context) => {
    for (const how of ["told", "leaves", "late"] as const) {
      const { url, generator } = await serve(context, { auth: "none" }, {});
      generator.waits = true;
      generator.pieces = [{ index: 0, text: "a" }];
      const controller = new AbortController();
      const client = new Client({ url, ...(how === "late" && { timeoutMs: 200 }) });
      const run = client.generate({ input: "a" }, { signal: controller.signal });
      if (how === "leaves") {
        for await (const _ of run) break;
      } else {
        const code = how === "told" ? "cancelled" : "timed_out";
        const failed = assert.rejects(Promise.resolve(run), { code });
        await generator.wasAsked;
        if (how === "told") controller.abort();
        await failed;
      }
      await generator.wasCancelled;
    }
  });

  it("tries again when the server has no room, after the time that the server names", async (context) => {
    let numAsked = 0;
    let after = "0";
    const url = await serveBy(context, (request, response) => {
      request.resume();
      const hasRoom = ++numAsked > 2;
      response.writeHead(hasRoom ? 200 : 503, { "retry-after": after, "x-gpt2-seed": "4" });
      response.end(hasRoom ? '["a"]' : '{"Message": "full"}');
    });
    assert.deepEqual(await new Client({ url }).generate({ input: "a" }), { texts: ["a"], seed: 4 });
    assert.equal(numAsked, 3);
    numAsked = 0;
    const unavailable = { code: "unavailable", message: "full", retryAfterSeconds: 0 };
    await assert.rejects(
      Promise.resolve(new Client({ url, retriesMax: 1 }).generate({ input: "a" })),
      unavailable,
    );
    [numAsked, after] = [0, "61"];
    await assert.rejects(Promise.resolve(new Client({ url }).generate({ input: "a" })), {
      retryAfterSeconds: 61,
    });
    assert.equal(numAsked, 1, "longer than a minute is the caller's to decide");
    [numAsked, after] = [0, "50"];
    const late = new Client({ url, timeoutMs: 100 }).generate({ input: "a" });
    await assert.rejects(Promise.resolve(late), { code: "timed_out" });
  });

  it("reports an answer that ends too early, and one that is not valid", async (context) => {
    const line = (text: string): Buffer => payloadPart(Buffer.from(`{"index":0,"text":"${text}"}\n`));
    const whole = Buffer.concat([line("é"), line("b")]);
    const exception = exceptionFrame("ModelStreamError", {
      Message: "late",
      ErrorCode: "ModelInvocationTimeExceeded",
    });
    const cases: [bytes: Uint8Array, code: string | undefined][] = [
      [whole, undefined],
      [whole.subarray(0, -1), "stream_broken"],
      [payloadPart(Buffer.from('{"index":0')), "stream_broken"],
      [payloadPart(Buffer.from("no JSON\n")), "invalid_answer"],
      [Buffer.from("<html>a page of somebody else's</html>"), "invalid_answer"],
      [Buffer.concat([line("a"), exception]), "timed_out"],
    ];
    let bytes: Uint8Array = new Uint8Array(0);
    const url = await serveBy(context, (request, response) => {
      request.resume();
      for (const byte of bytes) response.write(Buffer.of(byte));
      response.end();
    });
    for (const [sent, code] of cases) {
      bytes = sent;
      const read = piecesOf(new Client({ url }).generate({ input: "a" }));
      if (code === undefined) assert.equal(await read, "éb");
      else await assert.rejects(read, { name: "ApiError", code });
    }
    await assert.rejects(Promise.resolve(new Client({ url }).generate({ input: "a" })), {
      code: "invalid_answer",
    });
    const cut = await serveBy(
      context,
      (_, response) => void response.write(line("a"), () => response.destroy()),
    );
    await assert.rejects(piecesOf(new Client({ url: cut }).generate({ input: "a" })), {
      code: "unreachable",
    });
    await assert.rejects(
      Promise.resolve(new Client({ url: "http://127.0.0.1:1" }).generate({ input: "a" })),
      {
        code: "unreachable",
      },
    );
  });

  it("makes the same signatures as the signer for Node", async () => {
    const now = new Date("2026-01-02T03:04:05.678Z");
    for (const url of [
      "http://h:8080/endpoints/gpt-2/invocations",
      "https://h/a%20b//c!'()*~/é/",
      "http://h",
    ]) {
      for (const sessionToken of [undefined, "token/+="]) {
        const keyPair = { ...CREDENTIAL, ...(sessionToken && { sessionToken }) };
        const ours = await signatureHeaders("POST", new URL(url), "é", { keyPair, region: "eu-west-1", now });
        const { host: _, ...theirs } = signRequest(
          { method: "POST", url, body: "é" },
          { credential: keyPair, region: "eu-west-1", service: "sagemaker", now },
        );
        assert.deepEqual(ours, theirs);
      }
    }
  });

  it("imports nothing that browsers do not have", () => {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const code = readFileSync(file, "utf8");
      assert.doesNotMatch(code, /\b(Buffer|process|require|__dirname)\b[.(]/, file);
      for (const [, path = ""] of code.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)) {
        assert.match(path, /^\./, `${file} imports ${path}`);
        visit(join(file, "..", path));
      }
    };
    visit(join(packageRoot(), "dist/src/client/index.js"));
    assert.ok(seen.size >= 5, `only ${seen.size} files were looked at`);
  });
});
