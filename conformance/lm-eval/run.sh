#!/bin/sh
# Compares lm-evaluation-harness over this server with its own `hf` model: `conformance/lm-eval/run.sh`. The first run makes a
# virtual environment (about 1.5 GB) in conformance/lm-eval/.venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
. "$here/../support.sh"
python_environment "$venv" "$here/requirements.txt"
built_command "$here/../.."
exec "$venv/bin/python" "$here/suite.py" "$@"
