"""The overlay of the readme works as it stands there."""

import re
import shutil

from manifests import render
from server import REPOSITORY


def test_the_overlay_of_the_readme_sets_image_namespace_and_model(tmp_path):
    text = (REPOSITORY / "k8s" / "README.md").read_text(encoding="utf-8")
    [overlay] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for directory in ["k8s", "models"]:
        shutil.copytree(REPOSITORY / directory, tmp_path / "bellwether" / directory)
    deployment = tmp_path / "deployment"
    deployment.mkdir()
    (deployment / "kustomization.yaml").write_text(overlay, encoding="utf-8")
    (deployment / "model.toml").write_text("# ours\n", encoding="utf-8")

    objects = render(deployment)
    assert {each["metadata"]["namespace"] for each in objects.values()} == {"scoring"}
    pod = objects["Deployment", "bellwether"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example.com/bellwether:0.1.0"
    model = objects["ConfigMap", pod["volumes"][0]["configMap"]["name"]]
    assert model["data"] == {"model.toml": "# ours\n"}
