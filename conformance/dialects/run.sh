#!/bin/sh
# Lets the real clients of OpenAI, LiteLLM, LangChain, Hugging Face and TGI talk to this server: `conformance/dialects/run.sh`. The
# first run makes a virtual environment in conformance/dialects/.venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
. "$here/../support.sh"
python_environment "$venv" "$here/requirements.txt"
built_command "$here/../.."
exec "$venv/bin/python" "$here/suite.py" "$@"
