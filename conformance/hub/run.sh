#!/bin/sh
# Tests that this software and Python's huggingface_hub can share a cache, with a fake hub: `conformance/hub/run.sh`, perhaps with
# the names of some checks. The first run makes a virtual environment for each release in conformance/hub/.venv (about 40 MB each).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
while read -r version; do
  venv="$here/.venv/$version"
  [ -x "$venv/bin/hf" ] && continue
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "huggingface_hub==$version"
done < "$here/versions.txt"
[ -f dist/src/cli/main.js ] && [ -f dist/test/support/fake-hub.js ] || npm run build
exec node "$here/sharing.js" "$@"
