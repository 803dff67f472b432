#!/bin/sh
# Tests this server with the real clients of OpenAI, LiteLLM, LangChain, llm, the AI SDK, Hugging Face, TGI and SageMaker:
# `conformance/dialects/run.sh`. The first run makes the Python environments of `environments/` in `.venv/`, since some clients exclude
# each other, and installs the clients of JavaScript in `node_modules/`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support.sh"
mkdir -p "$here/.venv"
for requirements in "$here"/environments/*.txt; do
  python_environment "$here/.venv/$(basename "$requirements" .txt)" "$requirements"
done
npm install --prefix "$here" --no-package-lock --no-audit --no-fund --loglevel=error >&2
built_command "$here/../.."
python() { echo "$here/.venv/$1/bin/python:$2"; }
exec python3 "$here/matrix.py" \
  "$(python clients openai_clients.py)" \
  "$(python clients hugging_face_clients.py)" \
  "$(python huggingface-hub-1 hugging_face_clients.py)" \
  "$(python huggingface-hub-2 hugging_face_clients.py)" \
  "$(python clients sagemaker_clients.py)" \
  "$(python sagemaker-2 sagemaker_clients.py)" \
  "$(python sagemaker-core sagemaker_clients.py)" \
  "node:javascript_clients.js" \
  "$(python clients documented.py)"
