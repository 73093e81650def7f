#!/bin/sh
# Installs what the tests of the Redis store start, by the package manager of this machine:
# redis-server, and openssl, which makes the certificates of their TLS. Called by `make`.
set -eu

missing=""
for program in redis-server openssl; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086 # one word for each program
    sh "$(dirname "$0")/../apt_install.sh" $missing
elif command -v brew >/dev/null; then
    echo "missing:$missing; installing it with brew"
    brew install redis openssl
else
    echo "missing:$missing; neither apt-get nor brew is here to install it." >&2
    echo "Install Redis 7.0 or later and openssl, so that both are on the PATH:" >&2
    echo "https://redis.io/docs/latest/operate/oss_and_stack/install/" >&2
    exit 1
fi
for program in $missing; do
    command -v "$program" >/dev/null || {
        echo "the package is installed, and $program is still not on the PATH" >&2
        exit 1
    }
done
