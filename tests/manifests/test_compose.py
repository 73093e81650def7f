"""compose.yaml, as far as it can be checked without an engine."""

import re
import shutil
import tomllib

import pytest
import yaml
from manifests import done
from server import REPOSITORY

FILE = REPOSITORY / "compose.yaml"
MONITORING = REPOSITORY / "monitoring"
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


@pytest.fixture(scope="module")
def services():
    """name -> service, as Compose itself reads the file."""
    return yaml.safe_load(done(*COMPOSE, "--file", FILE, "config"))["services"]


@pytest.fixture(scope="module")
def written():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def mounts(written, service):
    """target -> source, of what stands in this repository."""
    pairs = [volume.split(":") for volume in written["services"][service].get("volumes", ())]
    return {target: source for source, target, *_ in pairs if source.startswith("./")}


def test_compose_reads_it(services):
    assert services.keys() == {"bellwether", "valkey", "prometheus", "grafana"}


def test_what_is_mounted_exists_and_is_only_read(written):
    found = 0
    for service, described in written["services"].items():
        for source in mounts(written, service).values():
            assert (REPOSITORY / source).exists(), source
            found += 1
        for volume in described.get("volumes", ()):
            if volume.startswith("./"):
                assert volume.endswith(":ro")
            else:
                assert volume.split(":")[0] in written["volumes"]
    assert found == 5


def test_no_port_is_open_to_other_machines(written):
    ports = {name: described.get("ports", []) for name, described in written["services"].items()}
    assert ports["valkey"] == []
    published = [port for each in ports.values() for port in each]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_images_are_those_of_the_deployment_and_none_is_the_latest_of_the_day(written, rendered):
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    images = {name: described["image"] for name, described in written["services"].items()}
    assert images["bellwether"] == f"bellwether:{package['version']}"
    trial = rendered("trial")["StatefulSet", "bellwether-valkey"]["spec"]["template"]["spec"]
    assert images["valkey"] == trial["containers"][0]["image"]
    assert all(re.search(r":v?\d+(\.\d+)+$", image) for image in images.values())


def test_the_valkey_keeps_everything_and_evicts_nothing(written, rendered):
    trial = rendered("trial")["StatefulSet", "bellwether-valkey"]["spec"]["template"]["spec"]
    command = written["services"]["valkey"]["command"]
    assert set(command) <= set(trial["containers"][0]["args"])
    assert {"--appendonly", "noeviction"} <= set(command)


def test_the_server_finds_its_model_and_has_the_time_to_drain(written):
    service = written["services"]["bellwether"]
    model = service["environment"]["BELLWETHER_MODEL"]
    directory, _, file = model.rpartition("/")
    assert (REPOSITORY / mounts(written, "bellwether")[directory] / file).is_file()
    assert service["stop_grace_period"] == "40s"
    assert service["environment"]["BELLWETHER_STORE"] == "redis://valkey:6379"


def test_prometheus_takes_its_configuration_and_scrapes_the_server(written):
    done("promtool", "check", "config", MONITORING / "prometheus.yaml")
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    # The alerts ask for this name.
    assert job["job_name"] == "bellwether"
    assert job["static_configs"] == [{"targets": ["bellwether:9464"]}]
    assert mounts(written, "prometheus") == {"/etc/prometheus": "./monitoring"}
    assert "--config.file=/etc/prometheus/prometheus.yaml" in written["services"]["prometheus"]["command"]


def test_grafana_has_the_dashboard_and_the_data_source(written):
    mounted = mounts(written, "grafana")
    sources = yaml.safe_load((MONITORING / "grafana" / "datasources.yaml").read_text(encoding="utf-8"))
    [source] = sources["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    [provider] = yaml.safe_load(
        (MONITORING / "grafana" / "dashboards.yaml").read_text(encoding="utf-8"))["providers"]
    shown = written["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounted[shown] == "./monitoring/dashboard.json"
    assert shown.startswith(provider["options"]["path"] + "/")
    provisioned = "/etc/grafana/provisioning/"
    assert mounted[provisioned + "datasources/bellwether.yaml"] == "./monitoring/grafana/datasources.yaml"
    assert mounted[provisioned + "dashboards/bellwether.yaml"] == "./monitoring/grafana/dashboards.yaml"
