#!/usr/bin/env bash
# A Kubernetes of Debian's sources: the five programs of a control plane and a node, built by Debian's Go without any download of
# modules, since Debian's source package carries them all; and Debian's kubectl of the same version. About seven minutes on two
# cores; what was built is kept in the folder that is the argument. Debian 12 has 1.20.2; Debian 13's source holds kubectl alone.
set -euo pipefail
out=${1:?the folder for the programs}
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

missing=
for program in "${programs[@]}" kubectl; do [ -x "$out/$program" ] || missing=yes; done
[ -n "$missing" ] || exit 0

for tool in go make rsync dpkg-source; do
  command -v "$tool" > /dev/null || {
    echo "$tool is not on this machine: apt-get install --no-install-recommends golang-go make rsync dpkg-dev"
    exit 1
  }
done
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
apt-get source -qq kubernetes > source.log 2>&1 || {
  tail -5 source.log
  echo "apt has no sources of Debian 12: add 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' and run apt-get update"
  exit 1
}
cd kubernetes-*/
# There is no repository to ask for the version.
cat > "$work/version" <<END
KUBE_GIT_COMMIT=unknown
KUBE_GIT_TREE_STATE=archive
KUBE_GIT_VERSION=v1.20.2
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
END
export GOPROXY=off GOFLAGS=-mod=vendor GO111MODULE=auto KUBE_GIT_VERSION_FILE="$work/version" GOCACHE="$work/cache"
began=$SECONDS
make all WHAT="${programs[*]/#/cmd/}" GOLDFLAGS="-s -w" > build.log 2>&1 || { tail -30 build.log; exit 1; }
# Only unpacked: its place in the system may belong to another kubectl.
(cd "$work" && apt-get download -qq kubernetes-client > /dev/null 2>&1 && dpkg-deb -x kubernetes-client_*.deb client)
mkdir -p "$out"
cp "$work/client/usr/bin/kubectl" "$out/"
for program in "${programs[@]}"; do cp "_output/local/bin/linux/amd64/$program" "$out/"; done
echo "Kubernetes $("$out/kubelet" --version) built in $((SECONDS - began)) s"
