#!/bin/sh
# Prepares what the tests in Python need in `.venv`: pinned packages, and a client generated
# from the proto. Does nothing when it is up to date. Called by `make`.
set -eu
cd "$(dirname "$0")/../.."

python="${PYTHON:-python3}"
venv=.venv
generated="$venv/generated"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "The tests in Python need Python 3.11 or later; set PYTHON to its path." >&2
    exit 1
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"

if ! cmp -s tests/python/requirements.txt "$venv/requirements.txt"; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement tests/python/requirements.txt
    cp tests/python/requirements.txt "$venv/requirements.txt"
fi

# google/rpc comes with googleapis-common-protos, so only our own files are generated.
mkdir -p "$generated"
"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto/public --proto_path=proto/vendored \
    --python_out="$generated" --grpc_python_out="$generated" \
    proto/public/bellwether/v1/scoring.proto proto/public/bellwether/v1/model.proto \
    proto/public/bellwether/v1/store.proto
