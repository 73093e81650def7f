"""The dashboard and the alert rules of monitoring/, asked of a real Prometheus that scrapes a real
server while it works."""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import grpc
import pytest
import yaml
from bellwether.v1 import scoring_pb2 as api
from calls import event, get, score
from server import REPOSITORY, Server, eventually
from stores import STORES, store_of
from test_metrics import MODEL, TENANT, drive

MONITORING = REPOSITORY / "monitoring"
SECONDS_OF_LOAD = 6


def program(name):
    """A program of the package `prometheus`, which is installed when it is missing."""
    if shutil.which(name) is None:
        subprocess.run(["sh", str(REPOSITORY / "tests" / "apt_install.sh"), "prometheus"], check=True)
    return name


def queries():
    """(panel, expression) of the dashboard, with its variables as Grafana fills them in."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            filled = target["expr"].replace("$__rate_interval", "5s")
            filled = filled.replace("$job", ".*").replace("$instance", ".*")
            assert "$" not in filled
            yield panel["title"], filled


def alerts():
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


class Prometheus:
    """A Prometheus that scrapes a server each second."""

    def __init__(self, process, address):
        self.process, self.address = process, address

    def ask(self, query, path="query"):
        asked = urllib.parse.urlencode({"query": query})
        url = f"http://{self.address}/api/v1/{path}?{asked}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]


@contextmanager
def prometheus(directory, admin_address):
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
              "rule_files": [str(MONITORING / "alerts.yaml")],
              "scrape_configs": [{"job_name": "bellwether",
                                  "static_configs": [{"targets": [admin_address]}]}]}
    path = directory / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    process = subprocess.Popen(
        [program("prometheus"), f"--config.file={path}", "--web.listen-address=127.0.0.1:0",
         f"--storage.tsdb.path={directory / 'tsdb'}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found, lines = [], []

    def read():
        for line in process.stderr:
            lines.append(line)
            if listening := re.search(r"address=(127\.0\.0\.1:[1-9]\d*)", line):
                found.append(listening.group(1))

    threading.Thread(target=read, daemon=True).start()
    try:
        assert eventually(lambda: found or process.poll() is not None) and found, "".join(lines)
        yield Prometheus(process, found[0])
    finally:
        process.kill()
        process.wait()


def test_the_alert_rules_say_what_they_should_of_made_up_numbers():
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([program("promtool"), *arguments], cwd=MONITORING,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", STORES)
def test_every_query_has_an_answer_on_a_server_that_works(tmp_path, kind):
    model = tmp_path / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    settings = {"BELLWETHER_REMEMBERED_EVENTS": "2", "BELLWETHER_MAX_STREAMS": "1"}
    with store_of(kind, tmp_path) as store, Server(store, model, settings=settings) as server, \
            prometheus(tmp_path, server.admin_address) as asked:
        # What is counted by names begins with the first of each name, so a rate needs two scrapes.
        drive(server.stub)
        scraped = "bellwether_rule_errors_total"
        assert eventually(lambda: asked.ask(scraped))
        until = time.monotonic() + SECONDS_OF_LOAD
        number = 0
        while time.monotonic() < until:
            number += 1
            for event_type in ("question", "purchase", "wave"):
                score(server.stub, TENANT, event(f"{event_type}-{number}", f"p-{number}", event_type))
            score(server.stub, TENANT, event(f"robot-{number}", f"p-{number}", channel="robot"))
            get(server.stub, TENANT, f"p-{number}")
            with pytest.raises(grpc.RpcError):
                get(server.stub, TENANT, "nobody")
            if number % 20 == 1:
                refused_stream(server.stub, number)
        silent = [(title, query) for title, query in queries() if not asked.ask(query)]
        assert not silent, silent
        for rule in alerts():
            # Whether it is an expression at all; what it says is told by made-up numbers.
            asked.ask(rule["expr"])
        firing = {alert["metric"]["alertname"] for alert in asked.ask('ALERTS{alertstate="firing"}')}
        assert not firing & {"BellwetherDown", "BellwetherFilesRefused", "BellwetherModelRefused"}


def refused_stream(stub, number):
    """Has a stream turned away, because there is room for one alone."""
    end = threading.Event()
    message = api.ScoreEventsRequest(tenant=TENANT, events=[event(f"stream-{number}", "streamed")])

    def one_and_no_end():
        yield message
        end.wait(30)

    first = stub.ScoreEvents(one_and_no_end(), timeout=30)
    next(first)
    with pytest.raises(grpc.RpcError):
        next(stub.ScoreEvents(iter([message]), timeout=30))
    end.set()
    assert not list(first)
