#!/usr/bin/env bash
# All tests, in two halves side by side: whole clusters mostly wait, and leave a processor to what computes.
# What is given as arguments goes to both (`--last-failed`, say). Each half's report is printed whole.
set -uo pipefail
cd "$(dirname "$0")/.."

half() {
    local name=$1
    shift
    .venv/bin/python -m pytest -o cache_dir=".tools/pytest-cache-$name" "$@"
}

half parts tests/unit tests/integration "$@" >.tools/tests-of-parts.txt 2>&1 &
parts=$!
trap 'kill "$parts" 2>/dev/null' EXIT
half clusters tests/e2e tests/robustness tests/soak "$@"
clusters=$?
wait "$parts"
code=$?
trap - EXIT
cat .tools/tests-of-parts.txt
if [ $# -gt 0 ] && [ "$code" != "$clusters" ]; then # one half had nothing to do: pytest calls that 5
    [ "$code" = 5 ] && code=0
    [ "$clusters" = 5 ] && clusters=0
fi
exit $((code != 0 ? code : clusters))
