#!/bin/sh
# Compares this software with Hugging Face transformers on random checkpoints: `conformance/generation/run.sh --help`
# lists the options. The first run makes a virtual environment (about 1 GB) in conformance/.venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../.venv"
. "$here/../support.sh"
python_environment "$venv" "$here/requirements.txt"
built_command "$here/../.."
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
