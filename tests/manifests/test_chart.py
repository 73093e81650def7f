"""The chart makes what the overlays are, and refuses values that it does not know."""

import pytest
from manifests import CHART, OVERLAYS, helm, render_chart, settings_of, values_of

# What helm's own conventions add.
OF_HELM = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}
# Lists in which the order of the names says nothing.
BY_NAME = {"env", "volumes", "volumeMounts"}


def comparable(value, key=None):
    """Without what helm and kustomize do each in their own way."""
    if isinstance(value, dict):
        return {name: comparable(inner, name) for name, inner in value.items()
                if name not in OF_HELM | {"namespace"}}
    if isinstance(value, list):
        inner = [comparable(each) for each in value]
        return sorted(inner, key=lambda each: each["name"]) if key in BY_NAME else inner
    return value


@pytest.mark.parametrize("overlay", ["base", *OVERLAYS])
def test_the_chart_makes_every_object_of_the_overlay_and_no_other(rendered, overlay):
    chart = rendered("chart" if overlay == "base" else f"chart as {overlay}")
    # Helm makes the namespace by `--create-namespace`.
    expected = {name: each for name, each in rendered(overlay).items() if name[0] != "Namespace"}
    assert chart.keys() == expected.keys()
    for name, each in expected.items():
        assert comparable(chart[name]) == comparable(each), name


@pytest.mark.parametrize("kind, name", [
    ("PodMonitor", "bellwether"),
    ("PrometheusRule", "bellwether"),
    ("ConfigMap", "bellwether-dashboard"),
    ("HorizontalPodAutoscaler", "bellwether"),
])
def test_the_chart_makes_what_the_other_components_are(rendered, kind, name):
    made = comparable(rendered("chart with everything")[kind, name])
    made["metadata"]["labels"].pop("release", None)
    assert made == comparable(rendered("readme")[kind, name])


def test_every_object_of_a_release_has_its_name_and_nothing_of_another():
    objects = helm("template", "other", CHART, *values_of("trial"))
    assert objects.returncode == 0, objects.stderr
    assert "name: bellwether-model" not in objects.stdout
    assert "name: other-model" in objects.stdout
    assert "app.kubernetes.io/instance: bellwether" not in objects.stdout


def test_a_model_is_taken_from_a_file_as_it_stands_there(tmp_path):
    file = tmp_path / "model.toml"
    file.write_text('# {{ no template }}, "quoted"\n\ttabbed = 1\n', encoding="utf-8")
    objects = render_chart("--set-file", f"model={file}")
    model = objects["ConfigMap", "bellwether-model"]["data"]["model.toml"]
    assert model == file.read_text(encoding="utf-8")


def test_values_reach_what_they_are_for(rendered):
    objects = rendered("chart with everything")
    assert objects["ConfigMap", "bellwether-model"]["data"] == {"model.toml": "# ours\n"}
    template = objects["Deployment", "bellwether"]["spec"]["template"]
    pod = template["spec"]
    assert template["metadata"]["annotations"]["example.com/owner"] == "scoring"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert pod["tolerations"] == [{"key": "scoring", "operator": "Exists"}]
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert settings_of(objects)["max_tenants"] == "50"
    image = render_chart("--set", "image.repository=registry.example.com/b,image.tag=9.1.0")
    [container] = image["Deployment", "bellwether"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/b:9.1.0"


@pytest.mark.parametrize("peers", ["callers", "scrapes", "dns", "otlp"])
def test_a_list_without_peers_opens_nothing(peers):
    # A rule without peers would let everybody in.
    objects = render_chart("--set", "networkPolicy.enabled=true",
                           "--set-json", f"networkPolicy.{peers}=[]")
    assert ("NetworkPolicy", f"bellwether-{peers}") not in objects
    assert ("NetworkPolicy", "bellwether") in objects


@pytest.mark.parametrize("wrong", [
    "replica=3",
    "replicas=none",
    "settings.max_tenants=50",
    "settings.store=redis://redis",
    "settings.Max=a",
    "callers.keysSecret=1",
    "image.pullPolicy=Sometimes",
    "networkPolicy.callers[0].podselector.a=b",
    "store.secret=",
])
def test_values_that_the_chart_does_not_know_are_refused(wrong):
    refused = helm("template", "bellwether", CHART, "--set", wrong)
    assert refused.returncode != 0
    assert "schema" in refused.stderr


def test_the_chart_has_no_lint():
    linted = helm("lint", "--strict", CHART)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_package_holds_the_files_that_are_links_here(tmp_path):
    packed = helm("package", CHART, "--destination", tmp_path)
    assert packed.returncode == 0, packed.stderr
    [package] = tmp_path.iterdir()
    again = helm("template", "bellwether", package, "--set", "monitoring.alerts=true")
    assert "BellwetherDown" in again.stdout
    assert "points" in again.stdout
