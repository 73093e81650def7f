#!/bin/sh
# From nothing to a served score, on the cluster that kubectl talks to: sh k8s/trial.sh IMAGE
# Run again, it keeps what is there. `kubectl delete namespace bellwether-trial` takes it away.
set -eu
cd "$(dirname "$0")"

image="${1:?say which image, one that the cluster can pull: sh k8s/trial.sh IMAGE}"
namespace=bellwether-trial

kubectl kustomize overlays/trial | sed "s|image: bellwether:.*|image: $image|" | kubectl apply -f -

# By standard input: everybody on this machine reads command lines.
if ! kubectl -n "$namespace" get secret bellwether-store >/dev/null 2>&1; then
    password="$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
    kubectl -n "$namespace" create -f - <<SECRET
apiVersion: v1
kind: Secret
metadata: {name: bellwether-store}
stringData:
  password: $password
  url: redis://:$password@bellwether-valkey:6379
SECRET
fi

kubectl -n "$namespace" rollout status --timeout=10m statefulset/bellwether-valkey
kubectl -n "$namespace" rollout status --timeout=10m deployment/bellwether

now="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
echo "{\"eventId\": \"$now\", \"profileId\": \"ada\", \"type\": \"question\", \"time\": \"$now\"}" |
    kubectl -n "$namespace" exec -i deployment/bellwether -- bellwether replay -
kubectl -n "$namespace" exec deployment/bellwether -- bellwether get ada
