#!/bin/sh
# Compares this software with others that run GPT-2 on a CPU. `bench/compare/run.sh --help` lists the options, and the README
# beside this file says what is measured. Everything that is installed, built and converted is in .work/ beside it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$here/.work
mkdir -p "$work"
[ -f "$here/../../dist/src/cli/main.js" ] || (cd "$here/../.." && npm run build)

# The targets are for Node 24, which npm can install for this folder alone.
package=node-$(node -p 'process.platform + "-" + process.arch')
node=$work/node/node_modules/$package/bin/node
if [ ! -x "$node" ]; then
  npm install --prefix "$work/node" --ignore-scripts --no-audit --no-fund --loglevel=error "$package@24" >&2 || true
fi
if [ ! -x "$node" ]; then
  node=$(command -v node)
  echo "Node 24 could not be installed from npm as $package; this run uses $("$node" --version)." >&2
fi
exec "$node" "$here/compare.js" "$@"
