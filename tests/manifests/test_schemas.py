"""The manifests are valid, strictly and offline, for every version of Kubernetes we name."""

import copy

import kubernetes_validate
import pytest

OLDEST = "1.30"
CURRENT = "1.37"
# Mappings whose keys are the user's own.
FREE = ("annotations", "data", "labels", "limits", "matchLabels", "requests", "selector")


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


@pytest.mark.parametrize("version", [OLDEST, CURRENT])
def test_every_object_is_valid(base, version):
    kinds = {kind for kind, _ in base}
    assert kinds == {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
    for each in base.values():
        assert kubernetes_validate.validate(each, version, strict=True) == version


@pytest.mark.parametrize("version", [OLDEST, CURRENT])
@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"])
def test_a_misspelt_field_is_refused_wherever_it_stands(base, kind, version):
    given = base[kind, "bellwether"]
    fields = [path for path in paths(given) if path not in [("apiVersion",), ("kind",)]]
    assert fields
    assert [path for path in fields if is_valid(misspelt(given, path), version)] == []
