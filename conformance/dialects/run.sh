#!/bin/sh
# Lets the real clients of OpenAI, LiteLLM, LangChain, Hugging Face and TGI talk to this server: `conformance/dialects/run.sh`. The
# first run makes a virtual environment in conformance/dialects/.venv.
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
