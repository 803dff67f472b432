#!/bin/sh
# Compares the numbers that the playground gets with those of Hugging Face transformers, both in f32:
# `conformance/playground/transformers.sh`. It shares the virtual environment of conformance/generation.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../.venv"
. "$here/../support.sh"
python_environment "$venv" "$here/../generation/requirements.txt"
built_command "$here/../.."
exec node "$here/transformers.js" "$venv/bin/python"
