// The report: one table with the best round of each contestant, the latencies over all rounds, and after each figure its ratio
// to that of the first contestant.
// @ts-check
import { percentile } from "../support/stats.js";
import { DEFAULT_REQUEST } from "./batches.js";

/**
 * All measurements of a contestant; the lists have one entry for each round.
 * @typedef {object} Result
 * @property {string} name
 * @property {string} [version]
 * @property {string} [failed] why there is nothing, or no more
 * @property {string} [noServer]
 * @property {Record<string, number>[]} batches
 * @property {Record<string, import("../support/load.js").Load>[]} loads
 * @property {string[]} remarks
 * @property {import("./quality.js").Quality} [quality] a text each
 */

const TOKENS = DEFAULT_REQUEST.n * (DEFAULT_REQUEST.maxLength - DEFAULT_REQUEST.promptTokens);

/**
 * @typedef {object} Summary
 * @property {string} name
 * @property {Record<string, number>} figures
 * @property {Record<string, { tokensPerSecond: number, p50Ms: number, p99Ms: number }>} loads
 * @property {import("./quality.js").Quality} quality
 */

/** @param {Result} result @returns {Summary} */
export function summarize({ name, batches, loads, quality = {} }) {
  const keys = new Set(batches.flatMap((round) => Object.keys(round)));
  const figures = [...keys].map((key) => {
    const rounds = batches.flatMap((round) => round[key] ?? []);
    return [key, key.endsWith(" s") ? Math.min(...rounds) : Math.max(...rounds)];
  });
  const counts = new Set(loads.flatMap((round) => Object.keys(round)));
  const summaries = [...counts].map((key) => {
    const rounds = loads.flatMap((round) => round[key] ?? []);
    const latencies = rounds.flatMap((load) => load.latencies);
    const rates = rounds.map((load) => (load.latencies.length * TOKENS) / load.seconds);
    return [
      key,
      {
        tokensPerSecond: Math.max(...rates),
        p50Ms: percentile(latencies, 0.5),
        p99Ms: percentile(latencies, 0.99),
      },
    ];
  });
  return { name, figures: Object.fromEntries(figures), loads: Object.fromEntries(summaries), quality };
}

/** How far the logits are from f32's. @type {Record<string, (found: import("./quality.js").Found) => string>} */
const MEASURES = {
  "KL, nats": ({ kl }) => kl.toFixed(6),
  "top-1": ({ top1 }) => `${(100 * top1).toFixed(1)} %`,
  perplexity: ({ perplexityChange }) =>
    `${perplexityChange < 0 ? "−" : "+"}${Math.abs(100 * perplexityChange).toFixed(2)} %`,
};

/** @param {readonly Result[]} results */
export function markdown(results) {
  const summaries = results.map(summarize);
  const [first] = summaries;
  const figures = Object.keys(first?.figures ?? {});
  const loads = Object.keys(first?.loads ?? {});
  const texts = [...new Set(summaries.flatMap(({ quality }) => Object.keys(quality)))];
  const measures = texts.length === 0 ? [] : Object.entries(MEASURES);
  const qualities = measures.map(([name]) => `${name}: ${texts.join(" / ")}`);
  const head = ["", ...figures, ...loads.map((key) => `HTTP, ${key}`), ...qualities];
  const rows = summaries.map(({ name, figures: mine, loads: served, quality }) => [
    name,
    ...figures.map((key) => figureCell(key, mine[key], first?.figures[key])),
    ...loads.map((key) => loadCell(served[key], first?.loads[key])),
    ...measures.map(([, show]) =>
      texts
        .map((text) => quality[text])
        .map((found) => (found === undefined ? "–" : show(found)))
        .join(" / "),
    ),
  ]);
  return [
    ...[head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`),
    "",
    ...notes(results),
  ].join("\n");
}

/** @type {(key: string, figure: number | undefined, base: number | undefined) => string} */
function figureCell(key, figure, base) {
  if (figure === undefined) return "–";
  const isTime = key.endsWith(" s");
  return isTime ? `${figure.toFixed(2)}${ratio(base, figure)}` : `${figure.toFixed(0)}${ratio(figure, base)}`;
}

/** @type {(load: Summary["loads"][string] | undefined, base: Summary["loads"][string] | undefined) => string} */
function loadCell(load, base) {
  if (load === undefined) return "–";
  const { tokensPerSecond, p50Ms, p99Ms } = load;
  const times = `${(p50Ms / 1000).toFixed(2)} / ${(p99Ms / 1000).toFixed(2)} s`;
  return `${tokensPerSecond.toFixed(0)}${ratio(tokensPerSecond, base?.tokensPerSecond)}, ${times}`;
}

/** @type {(above: number | undefined, below: number | undefined) => string} */
const ratio = (above, below) =>
  above === undefined || below === undefined ? "" : ` (${(above / below).toFixed(2)}×)`;

/** @param {readonly Result[]} results */
function notes(results) {
  return results.flatMap(({ name, version, failed, noServer, remarks }) => [
    ...(version === undefined ? [] : [`- ${name}: ${[version, ...remarks].join("; ")}`]),
    ...(failed === undefined ? [] : [`- ${name} was not measured${version ? " to the end" : ""}: ${failed}`]),
    ...(noServer === undefined ? [] : [`- ${name} is not measured over HTTP: ${noServer}`]),
  ]);
}
