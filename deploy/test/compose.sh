#!/usr/bin/env bash
# The compose file, run by podman-compose on the image that `image.sh` built and an HAProxy of Debian's packages: two servers are found
# by name, both answer signed requests, and all ends in order. Needs root.
set -euo pipefail
cd "$(dirname "$0")/../compose"

for tool in buildah podman runc mmdebstrap curl; do
  command -v "$tool" > /dev/null || {
    echo "$tool is not on this machine: apt-get install --no-install-recommends buildah podman runc catatonit mmdebstrap containernetworking-plugins netavark aardvark-dns curl"
    exit 1
  }
done
podman image exists localhost/gpt2-api:test || { echo "npm run test:deploy image comes first"; exit 1; }
venv=../test/.venv/compose
[ -x "$venv/bin/podman-compose" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install -q --disable-pip-version-check -r ../test/requirements-compose.txt; }

work=$(mktemp -d)
project=gpt2-api-test-$$
export PORT=$((20000 + RANDOM % 20000)) AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret
compose() {
  "$venv/bin/podman-compose" -p "$project" --podman-args="--runtime runc" \
    --podman-run-args="--ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --no-healthcheck" "$@"
}
containers() { podman ps -aq --filter "label=com.docker.compose.project=$project"; }
trap 'podman rm -f -t 1 $(containers) > /dev/null 2>&1 || true; podman network rm -f "${project}_default" > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

mmdebstrap --quiet --variant=minbase --include=haproxy bookworm "$work/haproxy.tar" 2> /dev/null
container=$(buildah from scratch)
buildah add -q "$container" "$work/haproxy.tar" / > /dev/null
buildah config --entrypoint '["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]' "$container"
buildah commit -q --format docker --rm "$container" docker.io/library/haproxy:2.6 > /dev/null
podman tag localhost/gpt2-api:test localhost/gpt2-api:latest

compose up -d > "$work/up.log" 2>&1 || { cat "$work/up.log"; exit 1; }
for _ in $(seq 100); do curl -sf -o /dev/null "http://127.0.0.1:$PORT/ping" && break; sleep 0.2; done
servers=$(podman ps -q --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.service=gpt2)
answered() { podman logs "$1" 2>&1 | grep -c '"operation":"InvokeEndpoint"' || true; }
numbers() { for server in $servers; do answered "$server"; done; }
for _ in $(seq 20); do
  for _ in $(seq 10); do
    curl -sf -o /dev/null --aws-sigv4 aws:amz:us-east-1:sagemaker --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
      "http://127.0.0.1:$PORT/endpoints/gpt-2/invocations" -d '{"input": "The", "max_length": 8, "num_return_sequences": 1}' \
      || { echo "compose: FAILED: a request"; exit 1; }
  done
  numbers | grep -qx 0 || break # HAProxy may find the second server a little later.
done
numbers | grep -qx 0 && { echo "compose: FAILED: a server got no request"; exit 1; }
echo "compose: two servers answered $(numbers | paste -sd' ') requests"
compose down > "$work/down.log" 2>&1 || { cat "$work/down.log"; exit 1; }
[ -z "$(containers)" ] || { echo "compose: FAILED: containers are left"; exit 1; }
echo "compose: ended in order"
