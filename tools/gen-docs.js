// Writes the reference pages of docs/reference and docs/openapi.json from the schemas and tables of the compiled code.
// With --check it writes nothing, and fails if a file is not up to date. Run it after `npm run build:ts`. --from=FOLDER names
// another folder of compiled code.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const from =
  process.argv.find((argument) => argument.startsWith("--from="))?.slice("--from=".length) ?? "dist";
const compiled = (file) => import(pathToFileURL(resolve(from, file)).href);
const { DEFAULT_SETTINGS, SETTINGS } = await compiled("src/settings.js");
const { EDGES, FURTHER_EDGES } = await compiled("test/parameters/edges.js");
const { ERRORS } = await compiled("src/errors.js");
const { MODES, requestSchema } = await compiled("src/request/params.js");
const { REQUEST_LIMITS } = await compiled("src/request/request-limits.js");
const { expectation, fieldsOf } = await compiled("src/wording.js");
const { STATUS, treatmentOf } = await compiled("src/server/http/http-errors.js");
const { HEADER_LIMITS } = await compiled("src/server/doors/envelope.js");
const { openApi } = await compiled("src/server/doors/openapi.js");

/** n_positions of every GPT-2 that OpenAI released. */
const CONTEXT_LENGTH = 1024;
const DIRECTORY = "docs/reference";
const GENERATED = "<!-- Written by tools/gen-docs.js; change the code it is made from instead. -->\n";

const code = (text) => `\`${text}\``;
// A line break or a bar would end the cell of a Markdown table.
const cell = (text) => String(text).replaceAll("\n", " ").replaceAll("|", "\\|");

function table(heads, rows) {
  const lines = [heads, heads.map(() => "---"), ...rows.map((row) => row.map(cell))];
  return `${lines.map((line) => `| ${line.join(" | ")} |`).join("\n")}\n`;
}

function parameters() {
  const contextLength = CONTEXT_LENGTH;
  const readIn = (name) => {
    const modes = Object.keys(MODES).filter((mode) => MODES[mode].reads.includes(name));
    return modes.length > 0 ? modes.map(code).join(", ") : "every mode";
  };
  const rows = Object.entries(fieldsOf(requestSchema({ contextLength }))).map(([name, field]) => [
    code(name),
    field.description,
    expectation(field),
    name === "input"
      ? "required"
      : field.default === undefined
        ? "none"
        : code(JSON.stringify(field.default)),
    readIn(name),
  ]);
  return [
    "# Request parameters\n",
    GENERATED,
    "A request is one JSON object. Every parameter is accepted and checked in every mode; only those that the mode",
    "reads have an effect, and `no_repeat_ngram_size` has one in any mode when it is sent. A field that is not in this",
    `table is refused. The ranges are those of a model with ${contextLength} positions and of the default settings.\n`,
    table(["Parameter", "Meaning", "Value", "Default", "Read in"], rows),
    "## Modes\n",
    table(
      ["Mode", "What it does", "Parameters it reads"],
      Object.entries(MODES).map(([mode, { reads, help }]) => [
        code(mode),
        help,
        reads.map(code).join(", ") || "none",
      ]),
    ),
    "## At the edges\n",
    table(
      ["Parameter", "Value", "Answer"],
      Object.entries({ ...EDGES, ...FURTHER_EDGES }).flatMap(([name, edges]) =>
        Object.entries(edges).map(([value, answer]) => [code(name), value, answer]),
      ),
    ),
  ].join("\n");
}

function configuration() {
  return [
    "# Settings\n",
    GENERATED,
    "A flag goes before its environment variable, that before the file that `--config` or `GPT2_API_CONFIG` names, and",
    'that before the default. The file is a JSON object whose fields are named as the flags are: `{"port": 8080,',
    '"kv-cache-mb": 512, "endpoint": ["gpt-2", "other=/models/other"]}`. A value that is malformed or out of range, and a',
    "field that is unknown, stop the start with a sentence that names it.\n",
    ...[...new Set(SETTINGS.map(({ group }) => group))].flatMap((title) => [
      `## ${title}\n`,
      settingsTable(title),
    ]),
    "## Limits that no setting changes\n",
    "Clients rely on these with every server. They are part of the interface.\n",
    fixedLimitsTable(),
  ].join("\n");
}

function fixedLimitsTable() {
  const number = (value) => value.toLocaleString("en-US");
  return table(
    ["Limit", "At most"],
    [
      ...Object.values(REQUEST_LIMITS).map(({ max, help }) => [help, number(max)]),
      ...Object.entries(HEADER_LIMITS).map(([name, max]) => [
        `Characters of the header ${code(name)}.`,
        number(max),
      ]),
    ],
  );
}

function settingsTable(title) {
  return table(
    ["Flag", "Environment variable", "Meaning", "Value", "Default"],
    SETTINGS.filter(({ group }) => group === title).map(({ flag, env, help, range, default: preset }) => [
      code(`--${flag}`),
      code(env),
      help,
      range,
      preset === "" ? "none" : code(preset),
    ]),
  );
}

function errors() {
  const answer = (name) => {
    const { type, originalStatusCode } = treatmentOf(name);
    const original = originalStatusCode !== undefined ? `, \`OriginalStatusCode\` ${originalStatusCode}` : "";
    return `${STATUS[type]} ${code(type)}${original}`;
  };
  return [
    "# Errors\n",
    GENERATED,
    "Every error is a JSON object with a sentence in `Message` or `message`, and has the headers `x-amzn-ErrorType` and",
    "`x-amzn-RequestId`. A payload that is refused is a `ModelError`; its `ErrorCode` is the code of this table and its",
    "`OriginalMessage` the sentence alone.\n",
    table(
      ["Code", "Who can fix it", "What to do", "Answer over HTTP"],
      Object.entries(ERRORS).map(([name, { kind, fix }]) => [code(name), kind, fix, answer(name)]),
    ),
    "## Names and status codes\n",
    "Requests that are not signed as they should be are answered with 403 and the name that AWS uses. The others:\n",
    table(
      ["Name", "Status"],
      Object.entries(STATUS).map(([type, status]) => [code(type), status]),
    ),
  ].join("\n");
}

const files = {
  [`${DIRECTORY}/parameters.md`]: parameters(),
  [`${DIRECTORY}/configuration.md`]: configuration(),
  [`${DIRECTORY}/errors.md`]: errors(),
  "docs/openapi.json": formatted(
    "docs/openapi.json",
    JSON.stringify(
      openApi({
        door: "runtime",
        baseUrl: `http://${DEFAULT_SETTINGS.host}:${DEFAULT_SETTINGS.port}`,
        auth: DEFAULT_SETTINGS.auth,
        limits: { contextLength: CONTEXT_LENGTH },
      }),
    ),
  ),
};
const isCheck = process.argv.includes("--check");
mkdirSync(DIRECTORY, { recursive: true });
for (const [path, text] of Object.entries(files)) {
  if (!isCheck) writeFileSync(path, text);
  else if (read(path) !== text) {
    console.error(`${path} is not what the code says; run: node tools/gen-docs.js`);
    process.exitCode = 1;
  }
}

/** Formats a file as Biome would. */
function formatted(path, text) {
  const biome = resolve("node_modules", "@biomejs", "biome", "bin", "biome");
  const arguments_ = [biome, "format", `--stdin-file-path=${path}`];
  return execFileSync(process.execPath, arguments_, { input: text, encoding: "utf8" });
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
