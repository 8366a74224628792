#!/usr/bin/env bash
# Build kube-apiserver from Debian's source package of Kubernetes into a folder, once: .tools/peers/kube-apiserver.
# About three minutes of two cores; niced, so that it does not stand in anybody's way. Debian's own compiler builds it.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: kube_apiserver.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -x "$out/kube-apiserver" ] && exit 0

"$here/deploy/packages.sh" golang-1.19-go dpkg-dev rsync make gcc libc6-dev

# The machine's own package sources with deb-src beside each deb, in lists of our own: nothing of /etc is changed.
lists=$out/apt
mkdir -p "$lists/parts" "$lists/state/lists/partial" "$lists/cache/archives/partial"
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$lists/parts/debian.sources"
apt=(-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$lists/parts" -o "Dir::State=$lists/state"
    -o "Dir::Cache=$lists/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" -qq update
cd "$out"
[ -d source ] || {
    rm -rf kubernetes-*/
    apt-get "${apt[@]}" -qq source --only-source kubernetes
    mv kubernetes-*/ source
}

export PATH=/usr/lib/go-1.19/bin:$PATH GOCACHE=$out/gocache GOFLAGS=-p=2 GOTOOLCHAIN=local
export KUBE_GIT_VERSION_FILE=
cd source
nice -n 19 make WHAT=cmd/kube-apiserver >"$out/build.log" 2>&1 || {
    tail -n 20 "$out/build.log" >&2
    echo "kube-apiserver could not be built; the whole log is $out/build.log" >&2
    exit 1
}
cp _output/local/go/bin/kube-apiserver "$out/kube-apiserver"
cd "$out"
rm -rf source gocache apt kubernetes_*
echo "built $("$out/kube-apiserver" --version)"
