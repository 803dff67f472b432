// A terminal with a server that has started and a client that asks it, as a page to be photographed. Both commands are run, on a
// terminal of `script`; only the port, the playground's token and the line breaks of the answer are the picture's own.
import { spawn, spawnSync } from "node:child_process";
import { freePort } from "../../bench/support/server-under-test.js";
import { COMMAND } from "./subject.js";

const COLUMNS = 104;
/** Keys of AWS's documentation, so that none of a real server is shown. */
const KEYS = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const REQUEST = '{"input": "Once upon a time", "max_length": 40, "num_return_sequences": 1, "seed": 1}';
const SHOWN_PORT = "8080";

/** @returns {Promise<string>} HTML */
export async function terminalPicture() {
  const port = String(await freePort());
  const env = { ...process.env, ...KEYS, SHELL: "/bin/sh" };
  const line = `exec '${process.execPath}' '${COMMAND}' serve --port ${port} --log-level silent`;
  const server = spawn("script", ["-qfec", line, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  let greeting = "";
  for await (const bytes of server.stdout.iterator({ destroyOnReturn: false })) {
    greeting += bytes;
    if (/stops the server/.test(greeting)) break;
  }
  const url = `http://127.0.0.1:${port}/endpoints/gpt-2/invocations`;
  const user = `${KEYS.AWS_ACCESS_KEY_ID}:${KEYS.AWS_SECRET_ACCESS_KEY}`;
  const argv = ["-sS", "--aws-sigv4", "aws:amz:us-east-1:sagemaker", "--user", user, "--data", REQUEST, url];
  const { stdout: answer, stderr, status } = spawnSync("curl", argv, { encoding: "utf8" });
  server.stdin.write("\u0003");
  await ended;
  if (status !== 0) throw new Error(`curl ended with ${status}: ${stderr}`);
  const asked = [
    'curl --aws-sigv4 "aws:amz:us-east-1:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\',
    `  --data '${REQUEST}' \\`,
    `  ${url}`,
  ].join("\n");
  const text = [prompt("npm start"), greeting.trimEnd(), "", prompt(asked), folded(answer.trim()), prompt("")]
    .join("\n")
    .replaceAll("\r", "")
    .replaceAll(`:${port}`, `:${SHOWN_PORT}`)
    .replace(/(token=[\w-]{8})[\w-]+/, "$1…");
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: #1d1b19; color: #e8e4dc; font: 15px/1.45 "Liberation Mono", monospace }
    pre { margin: 0; padding: 20px 24px; font: inherit; width: ${COLUMNS}ch }
    b { color: #e89169; font-weight: 400 } i { color: #9a938a; font-style: normal }
  </style><pre>${text.split("\n").map(lastWritten).map(coloured).join("\n")}</pre>`;
}

const PROMPT = "$ ";
/** @param {string} command */
const prompt = (command) => PROMPT + command;

/** @param {string} text */
function folded(text) {
  return text.replace(new RegExp(`(.{1,${COLUMNS - 2}})( |$)`, "g"), "$1\n").trimEnd();
}

const ERASE_LINE = "\u001b[K";

/** What a line shows that was written several times, as that of the loading model is on a slow machine. */
function lastWritten(line) {
  return line.split(ERASE_LINE).at(-1);
}

/** @param {string} line */
function coloured(line) {
  const safe = line.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  if (line.startsWith(PROMPT)) return `<b>$</b>${safe.slice(1)}`;
  return line.startsWith("#") ? `<i>${safe}</i>` : safe;
}
