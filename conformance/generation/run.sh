#!/bin/sh
# Compares this software with Hugging Face transformers on random checkpoints: `conformance/generation/run.sh --help`
# lists the options. The first run makes a virtual environment (about 1 GB) in conformance/.venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../.venv"
if [ ! -x "$venv/bin/python" ] || ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
if [ -z "${GPT2_API:-}" ] && [ ! -f "$here/../../dist/src/cli/main.js" ]; then
  (cd "$here/../.." && npm run build)
fi
script=suite.py
if [ "${1:-}" = fixtures ]; then
  script=make_fixtures.py
  shift
fi
if [ "${1:-}" = stops ]; then
  script=make_stops.py
  shift
fi
exec "$venv/bin/python" "$here/$script" "$@"
