#!/bin/sh
# Tests the server with real clients: boto3, requests, curl, the AWS CLI, aws4 and the AWS SDK for JavaScript. It installs them in
# this folder (a Python environment and node_modules, both ignored by git). Build the server first. Arguments may name another
# command that starts a server: `conformance/clients/run.sh node dist/src/cli/main.js serve`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

[ -x "$here/.venv/bin/python" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install -qq --disable-pip-version-check -r "$here/requirements.txt"
npm install --prefix "$here" --no-package-lock --no-audit --no-fund --loglevel=error >&2

cd "$here/../.."
exec "$here/.venv/bin/python" "$here/matrix.py" "$@"
