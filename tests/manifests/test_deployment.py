"""What the deployment promises beyond its schema: who may do what, where the store is, how it
stops, and that its parts fit together."""

import re
import tomllib

import pytest
from manifests import PROBES, README, seconds
from server import REPOSITORY

# Commits that were sent, and the last traces and metrics, for 5 s each at most.
AFTER_THE_DRAIN_SECONDS = 15


def test_the_pod_may_do_nothing_but_serve(pod, container):
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert all("hostPort" not in port for port in container["ports"])


def test_the_pod_is_nobody_to_the_kubernetes_api(base, pod):
    account = base["ServiceAccount", pod["serviceAccountName"]]
    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not any(kind.endswith(("Role", "RoleBinding")) for kind, _ in base)


def test_the_store_is_that_of_a_secret_which_the_operator_must_make(base, container):
    [store] = [variable for variable in container["env"] if variable["name"] == "BELLWETHER_STORE"]
    reference = {"name": "bellwether-store", "key": "url"}
    assert store == {"name": "BELLWETHER_STORE", "valueFrom": {"secretKeyRef": reference}}
    assert container["args"] == ["serve"]
    assert "Secret" not in {kind for kind, _ in base}
    command = "create secret generic bellwether-store --from-file=url\n"
    assert command in README.read_text(encoding="utf-8")


def test_the_embedded_store_would_have_no_place_to_write(pod, container):
    assert container["securityContext"]["readOnlyRootFilesystem"]
    [mount] = container["volumeMounts"]
    assert mount["readOnly"]
    assert [volume.keys() - {"name"} for volume in pod["volumes"]] == [{"configMap"}]


def test_the_model_is_mounted_where_the_server_looks_for_it(container, settings, model):
    [mount] = container["volumeMounts"]
    assert settings["model"] == f"{mount['mountPath']}/model.toml"
    assert model == (REPOSITORY / "models" / "forum.toml").read_text(encoding="utf-8")


def test_a_changed_model_is_the_same_config_map_and_so_no_rolling_update(base, container):
    assert [name for kind, name in base if kind == "ConfigMap"] == ["bellwether-model"]
    # A mount by subPath would keep the old file for ever.
    assert all("subPath" not in mount for mount in container["volumeMounts"])


def test_callers_who_are_not_authenticated_change_no_model(settings):
    assert settings["model_service"] == "false"


def test_a_pod_is_killed_only_after_it_had_the_time_to_drain(pod, container, settings):
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = seconds(settings["drain_timeout"])
    assert pod["terminationGracePeriodSeconds"] >= sleep + drain + AFTER_THE_DRAIN_SECONDS


def test_the_readme_says_how_long_a_stop_takes(pod, container, settings):
    text = README.read_text(encoding="utf-8")
    for what, number in [
        ("preStop", container["lifecycle"]["preStop"]["sleep"]["seconds"]),
        ("BELLWETHER_DRAIN_TIMEOUT", seconds(settings["drain_timeout"])),
        ("terminationGracePeriodSeconds", pod["terminationGracePeriodSeconds"]),
    ]:
        assert re.search(rf"^\| `{what}`.*\| {number} \|$", text, re.MULTILINE), what


def test_liveness_does_not_depend_on_the_store_and_readiness_does(container):
    assert {probe: container[probe]["httpGet"]["path"] for probe in PROBES} == {
        "startupProbe": "/readyz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }


def test_the_ports_are_those_that_the_server_listens_on(container, settings):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports.keys() == {"grpc", "admin"}
    for name, setting in [("grpc", "listen"), ("admin", "admin_listen")]:
        assert settings[setting] == f"0.0.0.0:{ports[name]}"
    # The server does not start on such an address otherwise.
    assert settings.get("allow_plaintext") == "true" or "tls_cert" in settings
    assert settings.get("allow_anonymous") == "true" or "keys" in settings


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_asks_the_admin_address_over_http(container, probe):
    assert container[probe]["httpGet"].keys() == {"port", "path"}
    assert container[probe]["httpGet"]["port"] == "admin"
    assert container[probe]["timeoutSeconds"] <= container[probe]["periodSeconds"]


def test_metrics_are_found_by_annotations(deployment, container):
    [port] = [port for port in container["ports"] if port["name"] == "admin"]
    assert deployment["template"]["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port["containerPort"]),
        "prometheus.io/path": "/metrics",
    }


def test_the_start_has_an_hour_and_the_rollout_waits_longer(deployment, container):
    probe = container["startupProbe"]
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    assert patience >= 3600
    assert deployment["progressDeadlineSeconds"] > patience


def test_a_rolling_update_never_has_fewer_pods_than_asked_for(deployment):
    assert deployment["replicas"] >= 2
    assert deployment["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_memory_is_bounded_and_the_processor_is_not(container):
    resources = container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_every_selector_finds_the_pods(base, deployment, pod):
    labels = deployment["template"]["metadata"]["labels"]
    budget = base["PodDisruptionBudget", "bellwether"]["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        base["Service", "bellwether"]["spec"]["selector"],
        budget["selector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 5
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()


def test_the_budget_lets_a_node_be_drained(base, deployment):
    budget = base["PodDisruptionBudget", "bellwether"]["spec"]
    assert budget["maxUnavailable"] < deployment["replicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_service_gives_every_client_the_addresses_of_all_pods(base, container):
    service = base["Service", "bellwether"]["spec"]
    assert service["clusterIP"] == "None"
    [port] = service["ports"]
    # Callers need no metrics.
    assert port["targetPort"] == "grpc"
    [listening] = [port for port in container["ports"] if port["name"] == "grpc"]
    # A headless service translates no ports.
    assert port["port"] == listening["containerPort"]


def test_the_image_is_that_of_this_version(container):
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    assert container["image"] == f"bellwether:{package['version']}"
