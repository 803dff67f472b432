// A page in the browser that watches a text grow. The page asks this program, which asks the model: so no key is in the page, and the
// program decides what may be asked. `node examples/browser.js` serves it until Ctrl+C; with --once it asks itself and ends.
import { Readable } from "node:stream";
import fastify from "fastify";
import { loadModel } from "gpt2-api";

const PAGE = `<!doctype html>
<meta charset="utf-8" /><title>A text that grows</title>
<form><input name="input" value="Once upon a time" size="40" /> <button>Go on</button></form>
<p id="text" style="white-space: pre-wrap"></p>
<script type="module">
  const form = document.querySelector("form");
  const text = document.querySelector("#text");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch("/text", { method: "POST", body: form.elements.input.value });
    text.textContent = form.elements.input.value;
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) text.append(piece);
  });
</script>`;

const model = await loadModel("tiny");
const app = fastify();
app.addContentTypeParser("text/plain", { parseAs: "string" }, (_, body, done) => done(null, body));
app.get("/", (_, reply) => reply.type("text/html").send(PAGE));
app.post("/text", { bodyLimit: 2000 }, (request, reply) =>
  reply.type("text/plain").send(Readable.from(grow(request.body))),
);

async function* grow(input) {
  const request = { input, mode: "sample-top-p", top_p: 0.9, max_new_tokens: 60, num_return_sequences: 1 };
  for await (const { text } of model.generate(request)) if (text) yield text;
}

const isOnce = process.argv.includes("--once");
const url = await app.listen({ port: isOnce ? 0 : 8081, host: "127.0.0.1" });
const close = async () => {
  await app.close();
  await model.close();
};
if (isOnce) {
  const response = await fetch(`${url}/text`, { method: "POST", body: "Once upon a time" });
  console.log(await response.text());
  await close();
} else {
  console.log(`Open ${url}`);
  process.once("SIGINT", close);
}
