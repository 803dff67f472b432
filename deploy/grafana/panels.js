// The panels of the dashboard: one list, from which dashboard.json is made (`node deploy/grafana/generate.js`) and by which a
// test asks every query of a Prometheus with real data. A row of the dashboard holds as many panels as stand in a list.
// @ts-check

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} about what to read in it
 * @property {string} unit as Grafana names it
 * @property {readonly (readonly [query: string, legend: string])[]} queries
 */

const own = 'operation!="other"';
/** @param {string} metric @param {string} [labels] @returns {Panel["queries"]} */
const quantiles = (metric, labels = "") =>
  [0.5, 0.95, 0.99].map((q) => [
    `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket{endpoint=~"$endpoint"${labels}}[5m])))`,
    `p${q * 100}`,
  ]);
const here = '{endpoint=~"$endpoint"}';

/** @type {readonly {title: string, panels: readonly Panel[]}[]} */
export const ROWS = [
  {
    title: "Requests",
    panels: [
      {
        title: "Requests a second, by status",
        about: "424 is a payload that the caller got wrong; aborted: the caller left.",
        unit: "reqps",
        queries: [[`sum by (code) (rate(gpt2_requests_total{${own}}[1m]))`, "{{code}}"]],
      },
      {
        title: "Part that failed",
        about: "Answered with 5xx, or refused with 429.",
        unit: "percentunit",
        queries: [
          [
            `sum(rate(gpt2_requests_total{${own},code=~"5..|429"}[5m]) or vector(0)) / sum(rate(gpt2_requests_total{${own}}[5m]))`,
            "failed",
          ],
        ],
      },
      {
        title: "What came of generations",
        about: "timed_out: not answered within --request-deadline-ms.",
        unit: "reqps",
        queries: [[`sum by (result) (rate(gpt2_request_seconds_count${here}[5m]))`, "{{result}}"]],
      },
    ],
  },
  {
    title: "How long it takes",
    panels: [
      {
        title: "Whole answers",
        about: "Those that were answered.",
        unit: "s",
        queries: quantiles("gpt2_request_seconds", ',result="answered"'),
      },
      {
        title: "To the first token",
        about: "With the queue.",
        unit: "s",
        queries: quantiles("gpt2_first_token_seconds"),
      },
      {
        title: "In the queue",
        about: "Until the first pass.",
        unit: "s",
        queries: quantiles("gpt2_queue_seconds"),
      },
      {
        title: "For each token after the first",
        about: "Over all sequences of a request.",
        unit: "s",
        queries: quantiles("gpt2_token_seconds"),
      },
    ],
  },
  {
    title: "Load, and when to add servers",
    panels: [
      {
        title: "Open requests a server",
        about: "What a fleet is scaled by; see docs/guides/deploying.md.",
        unit: "short",
        queries: [
          [
            'sum(gpt2_requests_waiting + gpt2_requests_running) / count(up{job="gpt2-api"} == 1)',
            "waiting and running, a server",
          ],
          [`sum by (instance) (gpt2_requests_waiting${here})`, "waiting on {{instance}}"],
        ],
      },
      {
        title: "Seconds of work that wait",
        about: "Tokens in the queue over tokens computed a second.",
        unit: "s",
        queries: [[`max by (instance) (gpt2_waiting_seconds${here})`, "{{instance}}"]],
      },
      {
        title: "Part of the time that is computed",
        about: "At 1 a server can do no more.",
        unit: "percentunit",
        queries: [[`sum by (instance) (rate(gpt2_busy_seconds_total${here}[1m]))`, "{{instance}}"]],
      },
      {
        title: "Servers",
        about: "Scraped, and ready.",
        unit: "short",
        queries: [
          ['count(up{job="gpt2-api"} == 1)', "up"],
          [`sum(gpt2_ready${here})`, "ready"],
        ],
      },
    ],
  },
  {
    title: "The model",
    panels: [
      {
        title: "Tokens a second",
        about: "New ones, of every sequence; those of prompts.",
        unit: "short",
        queries: [
          [`sum(rate(gpt2_generated_tokens_total${here}[1m]))`, "new"],
          [`sum(rate(gpt2_prompt_tokens_total${here}[1m]))`, "of prompts"],
        ],
      },
      {
        title: "Rows of a pass",
        about: "How well requests are batched.",
        unit: "short",
        queries: [
          [
            `sum by (instance) (rate(gpt2_computed_tokens_total${here}[1m])) / sum by (instance) (rate(gpt2_passes_total${here}[1m]))`,
            "{{instance}}",
          ],
        ],
      },
      {
        title: "Memory for keys and values",
        about: "Near 1 with requests that wait: raise --kv-cache-mb.",
        unit: "percentunit",
        queries: [
          [
            `sum by (instance) (gpt2_kv_pages_in_use${here}) / sum by (instance) (gpt2_kv_pages${here})`,
            "in use on {{instance}}",
          ],
          [
            `sum by (instance) (gpt2_kv_pages_cached${here}) / sum by (instance) (gpt2_kv_pages${here})`,
            "kept on {{instance}}",
          ],
        ],
      },
      {
        title: "Part of prompts that was found",
        about: "In the prefix cache.",
        unit: "percentunit",
        queries: [
          [
            `sum(rate(gpt2_prefix_cache_hit_tokens_total${here}[5m])) / sum(rate(gpt2_prefix_cache_queried_tokens_total${here}[5m]))`,
            "found",
          ],
        ],
      },
    ],
  },
  {
    title: "The process",
    panels: [
      {
        title: "Processor",
        about: "Cores in use: no measure of load, since one request uses all.",
        unit: "short",
        queries: [['rate(process_cpu_seconds_total{job="gpt2-api"}[1m])', "{{instance}}"]],
      },
      {
        title: "Resident memory",
        about: "Hold it against the container's limit.",
        unit: "bytes",
        queries: [['process_resident_memory_bytes{job="gpt2-api"}', "{{instance}}"]],
      },
      {
        title: "Event loop, p99",
        about: "With the 10 ms of the timer that measures it.",
        unit: "s",
        queries: [['nodejs_eventloop_lag_p99_seconds{job="gpt2-api"}', "{{instance}}"]],
      },
      {
        title: "Connections and restarts",
        about: "Refused: one too many, a failed handshake, broken HTTP.",
        unit: "short",
        queries: [
          ["sum by (instance) (gpt2_connections)", "open on {{instance}}"],
          ["sum by (reason) (increase(gpt2_connections_refused_total[1h]))", "refused: {{reason}}"],
          [
            `sum by (instance) (increase(gpt2_engine_restarts_total${here}[1h]))`,
            "restarts of the engine on {{instance}}",
          ],
        ],
      },
    ],
  },
];
