"""A server with the settings of the deployment answers what the probes ask."""

import json
import time

import pytest
from manifests import PROBES, seconds
from server import Server


@pytest.fixture
def running(tmp_path, settings, model):
    """With the embedded store, because nothing here depends on which store it is."""
    # A configuration file, because it may hold no name that the server does not know, whereas
    # an unknown variable would be overlooked.
    file = tmp_path / "bellwether.toml"
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    file.write_text("".join(lines), encoding="utf-8")
    model_file = tmp_path / "model.toml"
    model_file.write_text(model, encoding="utf-8")
    with Server(tmp_path / "store", model_file, arguments=["--config", str(file)]) as server:
        yield server


@pytest.mark.parametrize("probe", PROBES)
def test_the_server_serves_what_a_probe_asks_for(running, container, probe):
    path = container[probe]["httpGet"]["path"]
    answered = running.probe(path, seconds=container[probe]["timeoutSeconds"])
    assert answered == (200, "ok\n")


def test_a_path_that_no_probe_may_ask_for_is_not_found(running):
    status, _ = running.probe("/healthy")
    assert status == 404


def test_metrics_are_answered_where_the_annotations_say(running, deployment):
    annotations = deployment["template"]["metadata"]["annotations"]
    status, text = running.probe(annotations["prometheus.io/path"])
    assert status == 200
    assert "target_info" in text


def test_an_idle_server_stops_long_before_it_would_be_killed(running, settings):
    begun = time.monotonic()
    running.stop()
    assert time.monotonic() - begun < seconds(settings["drain_timeout"])
