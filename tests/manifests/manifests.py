"""What `kubectl` makes of a kustomization and `helm` of the chart, and how to read it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from server import REPOSITORY

K8S = REPOSITORY / "k8s"
CHART = K8S / "chart"
OVERLAYS = ["trial", "redis", "redis-cluster"]
README = K8S / "README.md"
PROBES = ["startupProbe", "livenessProbe", "readinessProbe"]
SECONDS = {"s": 1, "m": 60}


def done(*command, **options):
    """The standard output of a command that ends well."""
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                         encoding="utf-8", check=False, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def by_name(rendered):
    """(kind, name) -> object, of a text of several documents."""
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(found) == len(objects)
    return found


def render(directory):
    """(kind, name) -> object, of a kustomization."""
    return by_name(done("kubectl", "kustomize", directory))


def helm(*arguments):
    """Runs the helm of the PATH, or that of the environment of the tests."""
    program = shutil.which("helm") or Path(sys.executable).parent / "helm"
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True,
                          encoding="utf-8", check=False)


def render_chart(*arguments):
    """(kind, name) -> object, of the chart with these arguments of helm, at a release `bellwether`."""
    rendered = helm("template", "bellwether", CHART, "--namespace", "scoring", *arguments)
    assert rendered.returncode == 0, rendered.stderr
    return by_name(rendered.stdout)


def values_of(overlay):
    """The argument that makes the chart an overlay."""
    return "--values", CHART / "values" / f"{overlay}.yaml"


def blocks(language):
    """The blocks of code of the readme in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def render_beside(directory, overlay, files):
    """What a kustomization makes that stands in a directory beside this repository."""
    for part in ["k8s", "models", "monitoring"]:
        shutil.copytree(REPOSITORY / part, directory / "bellwether" / part)
    deployment = directory / "deployment"
    deployment.mkdir()
    for name, content in (files | {"kustomization.yaml": overlay}).items():
        (deployment / name).write_text(content, encoding="utf-8")
    return render(deployment)


def pod_of(objects):
    return objects["Deployment", "bellwether"]["spec"]["template"]["spec"]


def settings_of(objects):
    """name of a setting -> its text, of those that stand in the manifest."""
    prefix = "BELLWETHER_"
    [container] = pod_of(objects)["containers"]
    assert all(variable["name"].startswith(prefix) for variable in container["env"])
    return {variable["name"].removeprefix(prefix).lower(): variable["value"]
            for variable in container["env"] if "value" in variable}


def seconds(duration):
    """Of a duration such as 20s."""
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(number) * SECONDS[unit]
