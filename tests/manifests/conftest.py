"""The parts of the deployment in `k8s/base`."""

import pytest
from manifests import render
from server import REPOSITORY


@pytest.fixture(scope="session")
def base():
    """(kind, name) -> object, of `k8s/base`."""
    return render(REPOSITORY / "k8s" / "base")


@pytest.fixture(scope="session")
def deployment(base):
    return base["Deployment", "bellwether"]["spec"]


@pytest.fixture(scope="session")
def pod(deployment):
    return deployment["template"]["spec"]


@pytest.fixture(scope="session")
def container(pod):
    [container] = pod["containers"]
    return container


@pytest.fixture(scope="session")
def settings(container):
    """name of a setting -> its text, of those that stand in the manifest."""
    prefix = "BELLWETHER_"
    assert all(variable["name"].startswith(prefix) for variable in container["env"])
    return {variable["name"].removeprefix(prefix).lower(): variable["value"]
            for variable in container["env"] if "value" in variable}


@pytest.fixture(scope="session")
def model(base, pod):
    """The text of the model that the pod mounts."""
    [volume] = pod["volumes"]
    return base["ConfigMap", volume["configMap"]["name"]]["data"]["model.toml"]
