#!/bin/sh
# Compares the public proto with that of the last tag: nothing that clients were generated from
# may break. Called by `make check-breaking` with the version of buf.
set -eu
cd "$(dirname "$0")/.."

tag=$(git describe --tags --abbrev=0 2>/dev/null) || {
    echo "there is no tag yet, so nothing was compared"
    exit 0
}
tagged=$(mktemp -d)
trap 'rm -rf "$tagged"' EXIT
git archive "$tag" proto | tar -x -C "$tagged"
root="$tagged/proto/public"
# Before the roots were apart.
[ -d "$root" ] || { root="$tagged/proto"; rm -rf "$root/bellwether/record"; }
npx --yes "$1" breaking proto/public --against "$root"
echo "the public proto breaks nothing of $tag"
