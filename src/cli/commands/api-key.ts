// `gpt2-api api-key`: makes an API key for --auth bearer. The key is shown once, on standard error. Its hash goes to
// standard output, as an entry for the file that --api-keys-file names.
import { createHash, randomBytes } from "node:crypto";
import { GptError } from "../../errors.ts";
import { apiKeyEntry } from "../../server/access/key-files.ts";
import { jsonLine } from "../../wording.ts";
import type { Command } from "../command.ts";
import { parseFlags } from "../flags.ts";

const KEY_BYTES = 32;

export const apiKey: Command = {
  summary: "Makes an API key and its hashed entry for --api-keys-file.",
  operands: "ID",
  examples: [
    ["A key for every endpoint", "gpt2-api api-key alice"],
    ["A key for one of them", "gpt2-api api-key build-server --endpoint gpt-2"],
  ],
  options: {
    endpoint: {
      type: "string",
      value: "NAME",
      multiple: true,
      help: "Endpoint that the key may invoke; may be repeated. Default: all.",
    },
  },
  async run(argv) {
    const { values, operands } = parseFlags(argv, apiKey);
    const [id, surplus] = operands;
    if (id === undefined || surplus !== undefined) {
      throw new GptError(
        "invalid_config",
        `One ID must be given, the name of whoever gets the key, got ${operands.length}`,
      );
    }
    const key = `gpt2_${randomBytes(KEY_BYTES).toString("base64url")}`;
    const entry = {
      id,
      sha256: createHash("sha256").update(key).digest("hex"),
      ...(values.endpoint === undefined ? {} : { endpoints: values.endpoint }),
    };
    checkEntry(entry);
    process.stdout.write(jsonLine(entry));
    process.stderr.write(`The key of ${id}, which is shown only now: ${key}\n`);
    return 0;
  },
};

/** Whoever reads the file would refuse the whole of it. @throws GptError `invalid_config` */
function checkEntry(entry: unknown): void {
  const issue = apiKeyEntry.safeParse(entry).error?.issues[0];
  if (issue === undefined) return;
  const what = issue.path[0] === "endpoints" ? "--endpoint" : "ID";
  throw new GptError("invalid_config", `${what} cannot stand in a file of keys: ${issue.message}`);
}
