// Completion scripts for bash, zsh and fish, made from plain tables. Sources: bash(1), "Programmable Completion"; zsh's
// manual, `_arguments` and `_describe`; fish's manual, `complete`.

export interface CompletedFlag {
  /** With its hyphens. */
  readonly flag: string;
  readonly help: string;
  /** `none`: a switch without a value; `any`: a text, most often a path; a list: the possible values. */
  readonly values: "none" | "number" | "any" | readonly string[];
  readonly multiple: boolean;
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  /** Words that may follow. If the list is empty, file names are offered. */
  readonly operands: readonly string[];
  readonly flags: readonly CompletedFlag[];
}

const GLOBAL_FLAGS = ["--help", "--version"];
const isChoice = ({ values }: CompletedFlag): boolean => Array.isArray(values);

export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name);
  const values = commands.flatMap(({ name, flags }) =>
    flags
      .filter(({ values }) => values !== "none")
      .map(
        (flag) => `    "${name} ${flag.flag}") ${isChoice(flag) ? `words="${words(flag)}"` : 'words=""'} ;;`,
      ),
  );
  const rest = commands.map(({ name, flags, operands }) => {
    const flagNames = ["--help", ...flags.map(({ flag }) => flag)].join(" ");
    return `    ${name}) flags="${flagNames}"; words="${operands.join(" ")}" ;;`;
  });
  return `# bash completion for gpt2-api. Where nothing is offered, bash offers file names.
_gpt2_api() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} flags="" words=""
  # bash takes --flag=value for three words.
  if [ "$cur" = "=" ]; then cur=""; elif [ "$prev" = "=" ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${[...names, "help", ...GLOBAL_FLAGS].join(" ")}" -- "$cur"))
    return
  fi
  if [ "\${COMP_WORDS[1]}" = help ]; then
    COMPREPLY=($(compgen -W "${names.join(" ")}" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]} $prev" in
${values.join("\n")}
    *)
      case "\${COMP_WORDS[1]}" in
${rest.map((line) => `    ${line}`).join("\n")}
      esac ;;
  esac
  case "$cur" in -*) words=$flags ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _gpt2_api gpt2-api
`;
}

function words({ values }: CompletedFlag): string {
  return Array.isArray(values) ? values.join(" ") : "";
}

export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const described = commands.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`);
  const cases = commands.map(({ name, flags, operands }) => {
    const rest = operands.length > 0 ? `1:word:(${operands.join(" ")})` : "*:file:_files";
    const specs = ["--help[Tells the options]", ...flags.map(zshSpec), rest].map(
      (spec) => `        ${single(spec)}`,
    );
    return `    ${name})\n      _arguments \\\n${specs.join(" \\\n")} ;;`;
  });
  return `#compdef gpt2-api
# zsh completion for gpt2-api.
_gpt2_api() {
  local -a commands
  commands=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )) || { (( CURRENT == 3 )) && [[ \${words[2]} == help ]] }; then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case \${words[1]} in
${cases.join("\n")}
  esac
}
if [[ \${funcstack[1]} == _gpt2_api ]]; then _gpt2_api "$@"; else compdef _gpt2_api gpt2-api; fi
`;
}

/** zsh's form: `--flag=[what it does]:name of the value:what is offered` */
function zshSpec({ flag, help, values, multiple }: CompletedFlag): string {
  const text = help.replace(/[[\]\\:]/g, "\\$&");
  const head = `${multiple ? "*" : ""}${flag}`;
  if (values === "none") return `${head}[${text}]`;
  const offered = values === "number" ? " " : values === "any" ? "_files" : `(${values.join(" ")})`;
  return `${head}=[${text}]:value:${offered}`;
}

export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const lines = commands.flatMap(({ name, summary, flags, operands }) => {
    const here = `complete -c gpt2-api -n ${single(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c gpt2-api -n __fish_use_subcommand -f -a ${name} -d ${single(summary)}`,
      ...(operands.length > 0 ? [`${here} -f -a ${single(operands.join(" "))}`] : []),
      ...flags.map((flag) => `${here} ${fishFlag(flag)}`),
    ];
  });
  return [
    "# fish completion for gpt2-api.",
    "complete -c gpt2-api -n __fish_use_subcommand -f -a help -d 'Shows the options of a command.'",
    `complete -c gpt2-api -n '__fish_seen_subcommand_from help' -f -a ${single(names)}`,
    "complete -c gpt2-api -l help -d 'Shows the options'",
    ...lines,
    "",
  ].join("\n");
}

/** fish's form. -r: a value follows; -f: no file names; -x: both. */
function fishFlag({ flag, help, values }: CompletedFlag): string {
  const head = `-l ${flag.slice(2)} -d ${single(help)}`;
  if (values === "none") return head;
  if (values === "number") return `${head} -x`;
  return values === "any" ? `${head} -r -F` : `${head} -x -a ${single(values.join(" "))}`;
}

/** Puts a text in single quotes, for all three shells. For a quote inside, the quotes are closed, `\'` is put, and they open again. */
function single(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}
