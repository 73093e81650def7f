#!/bin/sh
# Installs the packages that are named, as an administrator. Called by what a test needs.
set -eu

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "have an administrator run: $*" >&2
        exit 1
    fi
}

echo "missing: $*; installing it with apt-get"
as_root apt-get update --quiet
as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "$@"
