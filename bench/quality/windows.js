// The held-out texts as windows of token ids, which every measure of quality is taken on.
// @ts-check
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SEPARATOR = "<|endoftext|>";

export const HELD_OUT = ["books.txt", "docs.txt"].map((name) =>
  fileURLToPath(new URL(`heldout/${name}`, import.meta.url)),
);

/**
 * All documents of a text in one row of ids, each led by <|endoftext|>, cut into windows that begin with the last id of
 * the one before: every id but the first is predicted once (the convention of training/evaluate.py). A .jsonl file is
 * taken as such windows, as `training/evaluate.py --export` writes them.
 * @param {string} path
 * @param {number} contextLength
 * @param {{ encode(text: string): number[] }} tokenizer
 * @returns {number[][]}
 */
export function windowsOf(path, contextLength, tokenizer) {
  const text = readFileSync(path, "utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  if (path.endsWith(".jsonl")) return lines.map((line) => JSON.parse(line).prompt_token_ids);
  const documents = text.split(SEPARATOR).map((piece) => piece.replace(/^[\r\n]+|[\r\n]+$/g, ""));
  const ids = documents.filter(Boolean).flatMap((document) => tokenizer.encode(SEPARATOR + document));
  const windows = [];
  for (let begin = 0; begin < ids.length - 1; begin += contextLength - 1) {
    windows.push(ids.slice(begin, begin + contextLength));
  }
  return windows;
}

/**
 * `count` of a list, evenly spaced.
 * @template T
 * @param {T[]} list
 * @param {number} count
 */
export function spread(list, count) {
  if (count >= list.length) return list;
  return Array.from(
    { length: count },
    (_, i) => /** @type {T} */ (list[Math.floor(((i + 0.5) * list.length) / count)]),
  );
}
