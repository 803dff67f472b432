// node encode.js BUILD MODEL: reads one JSON string a line from standard input and writes, for each, one line with its ids
// and the text they decode to. BUILD is the compiler's output directory (`dist`). It is the other half of compare.py.
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [build, model] = process.argv.slice(2);
const { loadTokenizer } = await import(
  pathToFileURL(resolve(build, "src", "tokenizer", "tokenizer-files.js")).href
);
const tokenizer = await loadTokenizer(model);
for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  const ids = tokenizer.encode(JSON.parse(line));
  process.stdout.write(JSON.stringify({ ids, text: tokenizer.decode(ids) }) + "\n");
}
