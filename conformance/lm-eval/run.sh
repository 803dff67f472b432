#!/bin/sh
# Compares lm-evaluation-harness over this server with its own `hf` model: `conformance/lm-eval/run.sh`. The first run makes a
# virtual environment (about 1.5 GB) in conformance/lm-eval/.venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
if [ ! -x "$venv/bin/python" ] || ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
if [ -z "${GPT2_API:-}" ] && [ ! -f "$here/../../dist/src/cli/main.js" ]; then
  (cd "$here/../.." && npm run build)
fi
exec "$venv/bin/python" "$here/suite.py" "$@"
