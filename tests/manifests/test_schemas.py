"""Everything that is rendered is valid, strictly and offline, for every version of Kubernetes we
name. The kinds of the Prometheus operator are in no schema here: test_monitoring.py compares them."""

import copy

import kubernetes_validate
import pytest
from manifests import OVERLAYS

# The oldest, for the `sleep` before a stop, and the two latest.
VERSIONS = ["1.30", "1.36", "1.37"]
RENDERED = ["base", *OVERLAYS, "readme", "chart", "chart with everything",
            *(f"chart as {overlay}" for overlay in OVERLAYS)]
OPERATOR = {"PodMonitor", "PrometheusRule"}
# Mappings whose keys are the user's own.
FREE = ("annotations", "data", "labels", "limits", "matchLabels", "nodeSelector", "requests",
        "selector")


def paths(value, path=()):
    """The paths of all fields that have a name in the schema."""
    if isinstance(value, dict):
        for key, inner in value.items():
            is_free = bool(path) and path[-1] in FREE and not (
                path[-1] == "selector" and key == "matchLabels")
            if not is_free:
                yield (*path, key)
                yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))


def misspelt(value, path):
    """A copy in which the last key of a path has one letter too many."""
    value = copy.deepcopy(value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1] + "s"] = holder.pop(path[-1])
    return value


def is_valid(given, version):
    try:
        kubernetes_validate.validate(given, version, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RENDERED)
def test_every_object_is_valid(rendered, name, version):
    objects = [each for (kind, _), each in rendered(name).items() if kind not in OPERATOR]
    assert len(objects) >= 5
    for each in objects:
        assert kubernetes_validate.validate(each, version, strict=True) == version


def test_these_are_all_kinds_that_are_deployed(rendered):
    kinds = {kind for name in RENDERED for kind, _ in rendered(name)}
    assert kinds == OPERATOR | {"Namespace", *MISSPELT}


MISSPELT = {
    "ConfigMap": "bellwether-model",
    "Deployment": "bellwether",
    "HorizontalPodAutoscaler": "bellwether",
    "NetworkPolicy": "bellwether-callers",
    "PodDisruptionBudget": "bellwether",
    "Service": "bellwether",
    "ServiceAccount": "bellwether",
    "StatefulSet": "bellwether-valkey",
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", MISSPELT)
def test_a_misspelt_field_is_refused_wherever_it_stands(rendered, kind, version):
    given = rendered("chart with everything")[kind, MISSPELT[kind]]
    fields = [path for path in paths(given) if path not in [("apiVersion",), ("kind",)]]
    assert fields
    assert [path for path in fields if is_valid(misspelt(given, path), version)] == []
