# Functions that the run.sh scripts of this folder share. They include it with `.`.

# python_environment FOLDER REQUIREMENTS: makes a virtual environment, or makes it anew when its requirements have changed.
python_environment() {
  cmp -s "$2" "$1/installed.txt" && [ -x "$1/bin/python" ] && return
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet --requirement "$2"
  cp "$2" "$1/installed.txt"
}

# built_command ROOT: builds the command of the repository unless it is built, or GPT2_API names another.
built_command() {
  [ -n "${GPT2_API:-}" ] || [ -f "$1/dist/src/cli/main.js" ] || (cd "$1" && npm run build)
}
