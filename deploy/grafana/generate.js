// Writes dashboard.json from panels.js; `--check` fails where it is another.
// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { ROWS } from "./panels.js";

const FILE = new URL("dashboard.json", import.meta.url);
/** Of the grid that Grafana lays panels on. */
const [WIDTH, HEIGHT] = [24, 8];
const DATASOURCE = { type: "prometheus", uid: "$" + "{datasource}" };

function dashboard() {
  const panels = [];
  let y = 0;
  for (const row of ROWS) {
    panels.push({
      type: "row",
      id: panels.length + 1,
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
      panels: [],
    });
    y += 1;
    const w = WIDTH / row.panels.length;
    for (const [i, { title, about, unit, queries }] of row.panels.entries()) {
      panels.push({
        type: "timeseries",
        id: panels.length + 1,
        title,
        description: about,
        datasource: DATASOURCE,
        gridPos: { x: i * w, y, w, h: HEIGHT },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
        targets: queries.map(([expr, legendFormat], j) => ({
          refId: String.fromCharCode(65 + j),
          datasource: DATASOURCE,
          expr,
          legendFormat,
        })),
      });
    }
    y += HEIGHT;
  }
  return {
    uid: "gpt2-api",
    title: "gpt2-api",
    tags: ["gpt2-api"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { type: "datasource", name: "datasource", query: "prometheus", label: "Data source" },
        {
          type: "query",
          name: "endpoint",
          label: "Endpoint",
          datasource: DATASOURCE,
          query: "label_values(gpt2_ready, endpoint)",
          refresh: 2,
          multi: true,
          includeAll: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
        },
      ],
    },
    panels,
  };
}

const text = `${JSON.stringify(dashboard(), null, 1)}\n`;
if (!process.argv.includes("--check")) writeFileSync(FILE, text);
else if (readFileSync(FILE, "utf8") !== text) {
  throw new Error("dashboard.json does not come from panels.js: node deploy/grafana/generate.js");
}
