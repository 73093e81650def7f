"""The overlay of the readme works as it stands there."""

import base64
import re
import shutil

from manifests import render
from server import REPOSITORY


def rendered(directory, number, files):
    """What an overlay of the readme makes, by its place there, with these files beside it."""
    text = (REPOSITORY / "k8s" / "README.md").read_text(encoding="utf-8")
    overlay = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[number]
    for part in ["k8s", "models"]:
        shutil.copytree(REPOSITORY / part, directory / "bellwether" / part)
    deployment = directory / "deployment"
    deployment.mkdir()
    for name, content in (files | {"kustomization.yaml": overlay}).items():
        (deployment / name).write_text(content, encoding="utf-8")
    return render(deployment)


def test_the_overlay_of_the_readme_sets_image_namespace_and_model(tmp_path):
    objects = rendered(tmp_path, 0, {"model.toml": "# ours\n"})
    assert {each["metadata"]["namespace"] for each in objects.values()} == {"scoring"}
    pod = objects["Deployment", "bellwether"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example.com/bellwether:0.1.0"
    model = objects["ConfigMap", pod["volumes"][0]["configMap"]["name"]]
    assert model["data"] == {"model.toml": "# ours\n"}


def test_the_keys_of_the_readme_are_mounted_and_take_the_place_of_anonymous_callers(tmp_path):
    keys = '[[keys]]\nname = "crm"\n'
    objects = rendered(tmp_path, 1, {"keys.toml": keys})
    secret = objects["Secret", "bellwether-keys"]
    assert base64.b64decode(secret["data"]["keys.toml"]).decode() == keys
    pod = objects["Deployment", "bellwether"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    settings = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert "BELLWETHER_ALLOW_ANONYMOUS" not in settings
    assert settings["BELLWETHER_MODEL_SERVICE"] == "true"
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "keys"]
    assert settings["BELLWETHER_KEYS"] == mount["mountPath"] + "/keys.toml"
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "keys"]
    assert volume["secret"]["secretName"] == "bellwether-keys"
    assert len(container["volumeMounts"]) > 1, "what the base mounts is still there"
