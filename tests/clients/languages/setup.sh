#!/bin/sh
# Prepares what the clients in other languages are made, compiled and run with: the packages of
# tools.txt where apt-get is, and those of npm in `.venv/node`. Does nothing when it is up to
# date. Elsewhere the test of a language says what it misses. Called by `make`.
set -eu
cd "$(dirname "$0")"

missing=""
while read -r language tool package; do
    case "$language $tool" in
    "#"*) continue ;;
    *" /"*) ls $tool >/dev/null 2>&1 && continue ;; # not quoted, because it may be a pattern
    *) command -v "$tool" >/dev/null && continue ;;
    esac
    case "$missing " in
    *" $package "*) ;;
    *) missing="$missing $package" ;;
    esac
done <tools.txt
if [ -n "$missing" ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086 # one word for each package
    sh ../../apt_install.sh $missing
fi

command -v npm >/dev/null || {
    echo "npm is missing; it comes with Node.js: https://nodejs.org" >&2
    exit 1
}
node=../../../.venv/node
if ! cmp -s package-lock.json "$node/installed.json"; then
    mkdir -p "$node"
    cp package.json package-lock.json "$node"
    npm ci --prefix "$node" --ignore-scripts --no-audit --no-fund
    cp package-lock.json "$node/installed.json"
fi
