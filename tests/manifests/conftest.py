"""The deployment of `k8s/base` in parts, and every rendering that there is."""

import functools
from pathlib import Path

import pytest
from manifests import (K8S, OVERLAYS, blocks, pod_of, render, render_beside, render_chart,
                       settings_of, values_of)

EVERYTHING = Path(__file__).parent / "everything.yaml"


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """What each way to deploy makes: name -> (kind, name) -> object."""
    @functools.cache
    def made(name):
        if name == "readme":
            return render_beside(tmp_path_factory.mktemp("readme"), blocks("yaml")[0],
                                 {"model.toml": "# ours\n"})
        if name == "base":
            return render(K8S / "base")
        if name in OVERLAYS:
            return render(K8S / "overlays" / name)
        if name == "chart":
            return render_chart()
        if name == "chart with everything":
            return render_chart("--values", EVERYTHING)
        return render_chart(*values_of(name.removeprefix("chart as ")))
    return made


@pytest.fixture(scope="session")
def base(rendered):
    """(kind, name) -> object, of `k8s/base`."""
    return rendered("base")


@pytest.fixture(scope="session")
def deployment(base):
    return base["Deployment", "bellwether"]["spec"]


@pytest.fixture(scope="session")
def pod(base):
    return pod_of(base)


@pytest.fixture(scope="session")
def container(pod):
    [container] = pod["containers"]
    return container


@pytest.fixture(scope="session")
def settings(base):
    """name of a setting -> its text, of those that stand in the manifest."""
    return settings_of(base)


@pytest.fixture(scope="session")
def model(base, pod):
    """The text of the model that the pod mounts."""
    [volume] = pod["volumes"]
    return base["ConfigMap", volume["configMap"]["name"]]["data"]["model.toml"]
