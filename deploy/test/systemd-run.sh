#!/usr/bin/env bash
# The unit under a systemd that runs: as process 1 of a container that podman starts, on a root made of Debian's packages, with the
# program of the image that `image.sh` built. It answers a signed request, comes back when it is killed, and stops with status 0.
# Needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in buildah podman runc mmdebstrap; do
  command -v "$tool" > /dev/null || {
    echo "$tool is not on this machine: apt-get install --no-install-recommends buildah podman runc catatonit mmdebstrap"
    exit 1
  }
done
PROGRAM=localhost/gpt2-api:test
IMAGE=localhost/gpt2-api-systemd:test
buildah inspect --type image "$PROGRAM" > /dev/null 2>&1 || { echo "npm run test:deploy image comes first"; exit 1; }
work=$(mktemp -d)
name=gpt2-api-systemd-test-$$
podman() { command podman --runtime runc "$@"; }
trap 'podman rm -f -t 2 "$name" > /dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() { echo "systemd: FAILED: $*"; inside journalctl -u gpt2-api --no-pager 2>&1 | tail -20 || true; exit 1; }
inside() { podman exec "$name" "$@"; }

mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,curl bookworm "$work/root.tar" 2> /dev/null
program=$(buildah from --pull-never "$PROGRAM")
root=$(buildah mount "$program")
container=$(buildah from scratch)
buildah add -q "$container" "$work/root.tar" / > /dev/null
buildah add -q "$container" "$root/opt/gpt2-api" /opt/gpt2-api > /dev/null
buildah add -q "$container" "$root/usr/local/bin/node" /usr/local/bin/node > /dev/null
printf '#!/bin/sh\nexec /usr/local/bin/node /opt/gpt2-api/dist/src/cli/main.js "$@"\n' > "$work/gpt2-api"
buildah add -q --chmod 755 "$container" "$work/gpt2-api" /usr/local/bin/gpt2-api > /dev/null
buildah add -q "$container" deploy/systemd/gpt2-api.service /etc/systemd/system/gpt2-api.service > /dev/null
buildah add -q --chmod 600 "$container" deploy/systemd/environment.example /etc/gpt2-api/environment > /dev/null
buildah config --cmd /sbin/init "$container"
buildah commit -q --format docker --rm "$container" "$IMAGE" > /dev/null
buildah rm "$program" > /dev/null

podman run -d --name "$name" --systemd=always --privileged --network none --ulimit nofile=8192:8192 \
  --ulimit nproc=8192:8192 "$IMAGE" /sbin/init > /dev/null
for _ in $(seq 100); do
  case $(inside systemctl is-system-running 2> /dev/null || true) in running | degraded) break ;; esac
  sleep 0.2
done
inside systemctl start gpt2-api || fail "it does not start"
answers() { inside sh -c '. /etc/gpt2-api/environment; curl -sf --aws-sigv4 aws:amz:us-east-1:sagemaker \
  --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" http://127.0.0.1:8080/endpoints/gpt-2/invocations \
  -d "{\"input\": \"The\", \"max_length\": 8, \"num_return_sequences\": 1}"'; }
until_it_answers() {
  for _ in $(seq 100); do answers > /dev/null && return; sleep 0.2; done
  fail "$1"
}
until_it_answers "no answer to a signed request"
[ "$(inside systemctl show -P MainPID gpt2-api)" != 0 ] || fail "no process"
user=$(inside ps -o user= -p "$(inside systemctl show -P MainPID gpt2-api)" 2> /dev/null || inside stat -c %u "/proc/$(inside systemctl show -P MainPID gpt2-api)")
[ "$user" != root ] && [ "$user" != 0 ] || fail "it runs as root"
before=$(inside systemctl show -P MainPID gpt2-api)
inside systemctl reload gpt2-api || fail "a reload"
[ "$(inside systemctl show -P MainPID gpt2-api)" = "$before" ] || fail "a reload ended it"
inside sh -c "kill -9 $before"
until_it_answers "it does not come back after a kill"
[ "$(inside systemctl show -P NRestarts gpt2-api)" = 1 ] || fail "not one restart"
inside systemctl stop gpt2-api
[ "$(inside systemctl show -P ExecMainStatus gpt2-api)" = 0 ] || fail "a stop ends with $(inside systemctl show -P ExecMainStatus gpt2-api)"
[ "$(inside systemctl show -P Result gpt2-api)" = success ] || fail "a stop is $(inside systemctl show -P Result gpt2-api)"
echo "systemd: runs as user $user, answers a signed request, reloads, comes back after a kill, stops with 0"
