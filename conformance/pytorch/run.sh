#!/bin/sh
# Compares checkpoints that PyTorch saves in its own two formats with the same weights as safetensors:
# `conformance/pytorch/run.sh`. The first run makes a virtual environment for each release in conformance/pytorch/.venv (up
# to 6 GB for a release that comes with CUDA).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
while read -r version numpy; do
  venv="$here/.venv/$version"
  [ -f "$venv/installed" ] && continue
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "torch==$version" "numpy$numpy"
  touch "$venv/installed"
done < "$here/versions.txt"
[ -f "$here/../../dist/src/cli/main.js" ] || (cd "$here/../.." && npm run build)
exec node "$here/compare.js"
