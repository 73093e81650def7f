"""What `kubectl` makes of a kustomization, and how to read it."""

import re
import subprocess

import yaml

PROBES = ["startupProbe", "livenessProbe", "readinessProbe"]
SECONDS = {"s": 1, "m": 60}


def render(directory):
    """(kind, name) -> object, of a kustomization."""
    rendered = subprocess.run(["kubectl", "kustomize", str(directory)],
                              capture_output=True, text=True, encoding="utf-8", check=False)
    assert rendered.returncode == 0, rendered.stderr
    objects = list(yaml.safe_load_all(rendered.stdout))
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(by_name) == len(objects)
    return by_name


def seconds(duration):
    """Of a duration such as 20s."""
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(number) * SECONDS[unit]
