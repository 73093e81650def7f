"""What each overlay promises: who is let in, what reaches what, and how many pods there are."""

import json

import pytest
import yaml
from manifests import K8S, OVERLAYS, blocks, done, pod_of, settings_of
from server import REPOSITORY

MONITORING = REPOSITORY / "monitoring"
GUARDED = ["redis", "redis-cluster"]


def policies(objects):
    """name -> spec, of the policies of the server."""
    return {name: each["spec"] for (kind, name), each in objects.items()
            if kind == "NetworkPolicy" and name != "bellwether-valkey"}


def peers(policy):
    [rule] = policy.get("ingress") or policy["egress"]
    return rule.get("from") or rule.get("to")


@pytest.mark.parametrize("overlay", GUARDED)
def test_calls_are_encrypted_and_callers_have_keys(rendered, overlay):
    settings = settings_of(rendered(overlay))
    assert not {"allow_plaintext", "allow_anonymous"} & settings.keys()
    assert {"tls_cert", "tls_key", "keys", "redis_ca"} <= settings.keys()
    # The roles of the keys say who may.
    assert settings["model_service"] == "true"
    [port] = rendered(overlay)["Service", "bellwether"]["spec"]["ports"]
    assert (port["port"], port["targetPort"], port["appProtocol"]) == (50051, "grpc", "https")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_file_of_a_setting_is_in_a_directory_that_is_mounted(rendered, overlay):
    pod = pod_of(rendered(overlay))
    [container] = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    # By subPath a file would stay as it was at the start.
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounts.values())
    files = [text for text in settings_of(rendered(overlay)).values() if text.startswith("/")]
    directories = {mount["mountPath"] for mount in mounts.values()}
    assert {file.rsplit("/", 1)[0] for file in files} == directories


def test_a_component_changes_nothing_else_of_the_pod(rendered):
    """What makes the pod safe in the base holds in every overlay."""
    def rest(name):
        pod = pod_of(rendered(name))
        [container] = pod["containers"]
        changed = {"env", "volumeMounts"}
        return ({key: part for key, part in pod.items() if key not in ("containers", "volumes")},
                {key: part for key, part in container.items() if key not in changed})
    for overlay in OVERLAYS:
        assert rest(overlay) == rest("base")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_reached_but_what_a_policy_names(rendered, overlay):
    objects = rendered(overlay)
    named = policies(objects)
    pods = objects["Deployment", "bellwether"]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in pod_of(objects)["containers"][0]["ports"]}
    assert named["bellwether"].keys() == {"podSelector", "policyTypes"}
    assert named["bellwether"]["policyTypes"] == ["Ingress", "Egress"]
    for name, spec in named.items():
        assert spec["podSelector"]["matchLabels"].items() <= pods.items()
        if name != "bellwether":
            [kind] = spec["policyTypes"]
            [rule] = spec[kind.lower()]
            assert rule["ports"]
            assert kind == "Egress" or {port["port"] for port in rule["ports"]} <= ports
            # Peers that are missing are everybody.
            assert peers(spec) or name == "bellwether-store"
    opened = {name.removeprefix("bellwether-") for name in named} - {"bellwether"}
    assert opened == {"callers", "scrapes", "dns", "store", "otlp"}


@pytest.mark.parametrize("overlay", GUARDED)
def test_callers_are_pods_and_namespaces_with_the_label(rendered, overlay):
    label = {"matchLabels": {"bellwether.dev/caller": "true"}}
    assert peers(policies(rendered(overlay))["bellwether-callers"]) == [
        {"podSelector": label}, {"namespaceSelector": label}]
    assert any("label namespace shop bellwether.dev/caller=true" in block for block in blocks("sh"))


def test_whatever_is_in_the_namespace_of_the_trial_may_call_and_reaches_no_other_store(rendered):
    named = policies(rendered("trial"))
    assert peers(named["bellwether-callers"]) == [{"podSelector": {}}]
    [store] = peers(named["bellwether-store"])
    valkey = rendered("trial")["StatefulSet", "bellwether-valkey"]["spec"]["template"]["metadata"]
    assert store == {"podSelector": {"matchLabels": valkey["labels"]}}
    own = rendered("trial")["NetworkPolicy", "bellwether-valkey"]["spec"]
    assert own["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in own
    assert peers(own) == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "bellwether"}}}]


def test_the_valkey_of_the_trial_may_do_as_little_as_the_server(rendered):
    pod = rendered("trial")["StatefulSet", "bellwether-valkey"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    server = pod_of(rendered("trial"))
    assert container["securityContext"] == server["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is False
    [mount] = container["volumeMounts"]
    assert container["args"][container["args"].index("--dir") + 1] == mount["mountPath"]


@pytest.mark.parametrize("overlay", GUARDED)
def test_the_autoscaler_alone_says_how_many_pods_there_are(rendered, overlay):
    objects = rendered(overlay)
    assert "replicas" not in objects["Deployment", "bellwether"]["spec"]
    scaler = objects["HorizontalPodAutoscaler", "bellwether"]["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "bellwether"}
    # An eviction must leave one.
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert [metric["type"] for metric in scaler["metrics"]] == ["Resource"]


def test_the_second_metric_is_one_that_the_adapter_of_the_readme_makes(rendered):
    scaler = rendered("readme")["HorizontalPodAutoscaler", "bellwether"]["spec"]
    [cpu, in_work] = scaler["metrics"]
    assert cpu["resource"]["name"] == "cpu"
    [rule] = yaml.safe_load(blocks("yaml")[1])["rules"]["custom"]
    name = in_work["pods"]["metric"]["name"]
    assert rule["name"] == {"as": name}
    assert rule["seriesQuery"].startswith(name + "{")
    assert name in (MONITORING / "dashboard.json").read_text(encoding="utf-8")


def test_the_overlay_of_the_readme_says_what_is_ours(rendered):
    objects = rendered("readme")
    assert {each["metadata"]["namespace"] for each in objects.values()} == {"scoring"}
    [container] = pod_of(objects)["containers"]
    assert container["image"] == "registry.example.com/bellwether:0.1.0"
    assert objects["ConfigMap", "bellwether-model"]["data"] == {"model.toml": "# ours\n"}
    assert policies(objects)["bellwether-store"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}], "ports": [{"port": 6379}]}]
    settings = settings_of(objects)
    assert settings["max_tenants"] == "50"
    assert settings.items() >= settings_of(rendered("redis")).items()


def test_the_readme_makes_all_that_the_pods_mount(rendered):
    text = "".join(blocks("sh"))
    pod = pod_of(rendered("readme"))
    mounted = {(key, list(volume[key].values())[0]) for volume in pod["volumes"]
               for key in volume.keys() - {"name"}} - {("configMap", "bellwether-model")}
    assert mounted == {("secret", "bellwether-tls"), ("secret", "bellwether-keys"),
                       ("configMap", "bellwether-redis-ca")}
    for command in ["secret tls bellwether-tls --cert=", "secret generic bellwether-keys --from-file=keys.toml",
                    "configmap bellwether-redis-ca --from-file=ca.crt="]:
        assert f"create {command}" in text


def test_every_component_is_in_the_table_of_the_readme():
    text = (K8S / "README.md").read_text(encoding="utf-8")
    for directory in (K8S / "components").iterdir():
        assert f"\n| `{directory.name}` |" in text, directory
    for overlay in OVERLAYS:
        assert f"](overlays/{overlay})" in text


def test_the_pod_monitor_finds_the_admin_port_and_names_the_job_as_the_alerts_do(rendered):
    objects = rendered("readme")
    monitor = objects["PodMonitor", "bellwether"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    # All of it, because no schema says whether a field is spelt right.
    assert monitor["spec"] == {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": {"app.kubernetes.io/name": "bellwether"}},
        "podMetricsEndpoints": [{"port": "admin", "path": "/metrics", "interval": "30s"}],
    }
    labels = objects["Deployment", "bellwether"]["spec"]["template"]["metadata"]["labels"]
    job = labels[monitor["spec"]["jobLabel"]]
    assert f'job="{job}"' in (MONITORING / "alerts.yaml").read_text(encoding="utf-8")


def test_the_rules_are_those_of_monitoring_and_prometheus_reads_them(rendered, tmp_path):
    rule = rendered("readme")["PrometheusRule", "bellwether"]
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"] == yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    done("promtool", "check", "rules", file)


def test_the_dashboard_is_that_of_monitoring(rendered):
    made = rendered("readme")["ConfigMap", "bellwether-dashboard"]
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    [(name, text)] = made["data"].items()
    assert name.endswith(".json")
    assert json.loads(text) == json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))


def test_no_secret_is_in_what_is_rendered(rendered):
    for name in [*OVERLAYS, "readme", "chart with everything"]:
        assert "Secret" not in {kind for kind, _ in rendered(name)}
