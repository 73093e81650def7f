"""The trial: its Valkey is configured as the server asks for, and one command leads to a score."""

import json
import os
import stat
import subprocess
import sys

import pytest
from manifests import K8S, blocks, by_name
from server import REPOSITORY, Server, binary
from stores import RedisServer

PASSWORD = "of-a-test"
# Plays the cluster: renders for real, keeps what is applied, and runs the program of a pod here.
KUBECTL = '''#!{python}
import json, os, subprocess, sys
arguments = [each for each in sys.argv[1:] if each not in ("-n", "bellwether-trial")]
if arguments[0] == "kustomize":
    os.execvp("{kubectl}", ["kubectl", *sys.argv[1:]])
said = sys.stdin.read() if arguments[0] in ("apply", "create") else ""
with open("{record}", "a") as record:
    record.write(json.dumps([arguments, said]) + "\\n")
if arguments[0] == "get":
    sys.exit(not os.path.exists("{secret}"))
if arguments[0] == "create":
    open("{secret}", "w").close()
if arguments[0] == "exec":
    os.execv("{binary}", arguments[arguments.index("--") + 1:])
'''


def test_the_valkey_takes_what_a_server_asks_for_and_keeps_it(tmp_path, rendered):
    [container] = rendered("trial")["StatefulSet", "bellwether-valkey"]["spec"]["template"]["spec"]["containers"]
    [program, *arguments] = [
        each.replace("$(PASSWORD)", PASSWORD).replace("/data", str(tmp_path / "redis"))
        for each in container["args"]]
    # The same server under the name of before: Valkey takes every argument of Redis 7.
    assert program == "valkey-server"
    model = REPOSITORY / "models" / "forum.toml"
    for _ in range(2):
        with RedisServer(tmp_path / "redis", arguments) as redis:
            store = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}"
            with Server(store, model) as server:
                assert server.probe("/readyz") == (200, "ok\n")
                asked = ["redis-cli", "-p", str(redis.port), "-a", PASSWORD, "--no-auth-warning"]
                told = subprocess.run([*asked, "config", "get", "maxmemory*", "append*"],
                                      capture_output=True, text=True, check=True).stdout.split("\n")
                settings = dict(zip(told[::2], told[1::2]))
                assert settings["maxmemory-policy"] == "noeviction"
                assert settings["appendonly"] == "yes"
                limit = container["resources"]["limits"]["memory"]
                assert limit.endswith("Mi")
                assert int(settings["maxmemory"]) * 2 <= int(limit[:-2]) * 1024 * 1024
                shown = subprocess.run(
                    [binary(), "get", "ada", "--server", f"http://{server.address}"],
                    capture_output=True, text=True, check=False)
                if "NOT_FOUND" in shown.stderr:
                    event = {"eventId": "1", "profileId": "ada", "type": "question",
                             "time": "2026-01-01T00:00:00Z"}
                    subprocess.run([binary(), "replay", "-", "--server", f"http://{server.address}"],
                                   input=json.dumps(event) + "\n", text=True, check=True,
                                   capture_output=True)
    # The second one was started anew on what the first one had written.
    assert shown.returncode == 0, shown.stderr


@pytest.fixture
def trial(tmp_path):
    """Runs the script with a `kubectl` that plays the cluster, and tells what it was asked."""
    record = tmp_path / "record"
    kubectl = tmp_path / "kubectl"
    real = subprocess.run(["sh", "-c", "command -v kubectl"], capture_output=True, text=True,
                          check=True).stdout.strip()
    (tmp_path / "bellwether").symlink_to(binary())
    kubectl.write_text(KUBECTL.format(
        python=sys.executable, kubectl=real, record=record, secret=tmp_path / "secret",
        binary=tmp_path / "bellwether"), encoding="utf-8")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IEXEC)

    def run(server):
        record.write_text("", encoding="utf-8")
        done = subprocess.run(
            ["sh", str(K8S / "trial.sh"), "registry.example.com/bellwether:0.1.0"],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}",
                              "BELLWETHER_SERVER": f"http://{server.address}"},
            capture_output=True, text=True, check=False)
        asked = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        return done, asked
    return run


def test_one_command_leads_from_nothing_to_a_score(tmp_path, rendered, trial):
    assert any("sh k8s/trial.sh registry.example.com/bellwether:0.1.0" in block for block in blocks("sh"))
    with Server(tmp_path / "store", REPOSITORY / "models" / "forum.toml") as server:
        done, asked = trial(server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ada" in done.stdout and "engagement" in done.stdout
        [applied] = [said for arguments, said in asked if arguments[0] == "apply"]
        objects = by_name(applied)
        assert objects.keys() == rendered("trial").keys()
        [container] = objects["Deployment", "bellwether"]["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "registry.example.com/bellwether:0.1.0"
        [secret] = [by_name(said)["Secret", "bellwether-store"]["stringData"]
                    for arguments, said in asked if arguments[0] == "create"]
        assert len(secret["password"]) == 48
        assert secret["url"] == f"redis://:{secret['password']}@bellwether-valkey:6379"
        # Nobody reads it off a command line.
        assert not any(secret["password"] in " ".join(arguments) for arguments, _ in asked)
        waited = [arguments[-1] for arguments, _ in asked if arguments[0] == "rollout"]
        assert waited == ["statefulset/bellwether-valkey", "deployment/bellwether"]

        again, asked = trial(server)
        assert again.returncode == 0, again.stdout + again.stderr
        assert not [arguments for arguments, _ in asked if arguments[0] == "create"]
