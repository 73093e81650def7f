"""Servers with the settings of the overlays, the files of their Secrets and a real Redis with TLS:
who gets through, and that an operator's commands do."""

import contextlib
import json
import subprocess

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import scoring_pb2_grpc
from certificates import Authority
from manifests import blocks, done, pod_of, settings_of
from server import REPOSITORY, Server, binary, environment, eventually, run
from stores import RedisServer, free_port

PASSWORD = "of-a-test"
SLOTS = 16_384
MODEL = (REPOSITORY / "models" / "forum.toml").read_text(encoding="utf-8")
CALL_SECONDS = 30


class Mount:
    """A directory as the kubelet mounts a Secret: all of its files change at once."""

    def __init__(self, path, files):
        self.path, self.versions = path, 0
        path.mkdir()
        self.put(files)
        for name in files:
            (path / name).symlink_to(f"..data/{name}")

    def put(self, files):
        self.versions += 1
        version = self.path / f"..{self.versions}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text, encoding="utf-8")
        link = self.path / "..new"
        link.symlink_to(version.name)
        link.rename(self.path / "..data")


class Keys:
    """A keys file, and the secrets of its keys."""

    def __init__(self, directory):
        self.file, self.directory = directory / "keys.toml", directory

    def new(self, name, role, tenant="*"):
        """A file with the secret of another key."""
        made = run("key", "new", "--name", name, "--tenant", tenant, "--role", role, "--keys", self.file)
        assert made.returncode == 0, made.stderr
        secret = self.directory / f"{name}.secret"
        secret.write_text(made.stdout, encoding="utf-8")
        return secret

    def text(self):
        return self.file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


def redis_cli(port, ca, *command):
    done = subprocess.run(["redis-cli", "-p", str(port), "--tls", "--cacert", str(ca), "-a", PASSWORD,
                           "--no-auth-warning", *map(str, command)],
                          capture_output=True, text=True, check=True)
    return done.stdout


@contextlib.contextmanager
def node(directory, authority, *more):
    """A Redis with TLS and a password; yields the port of TLS."""
    certificate = authority.server()
    port = free_port()
    arguments = ["--save", "", "--maxmemory-policy", "noeviction", "--requirepass", PASSWORD,
                 "--masterauth", PASSWORD, "--tls-port", port, "--tls-auth-clients", "no",
                 "--tls-cert-file", certificate.certificate, "--tls-key-file", certificate.key,
                 "--tls-ca-cert-file", authority.certificate, *more]
    with RedisServer(directory, arguments):
        yield port


@contextlib.contextmanager
def one_redis(directory, authority):
    with node(directory / "redis", authority) as port:
        yield f"rediss://:{PASSWORD}@localhost:{port}"


@contextlib.contextmanager
def cluster(directory, authority):
    """A primary that has every slot, and its replica."""
    more = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--tls-replication", "yes",
            "--cluster-port"]
    with node(directory / "primary", authority, *more, bus := free_port()) as primary, \
            node(directory / "replica", authority, *more, free_port()) as replica:
        def ask(port, *command):
            return redis_cli(port, authority.certificate, *command)
        ask(primary, "cluster", "addslotsrange", 0, SLOTS - 1)
        ask(replica, "cluster", "meet", "127.0.0.1", primary, bus)
        primary_id = ask(primary, "cluster", "myid").strip()
        assert eventually(lambda: ask(replica, "cluster", "replicate", primary_id).strip() == "OK")
        assert eventually(lambda: "cluster_state:ok" in ask(primary, "cluster", "info"))
        assert eventually(lambda: "state=online" in ask(primary, "info", "replication"))
        yield f"rediss-cluster://:{PASSWORD}@127.0.0.1:{primary}"


STORES = {"redis": one_redis, "redis-cluster": cluster}


class Deployed:
    """A pod of an overlay: the server, and what is mounted for it."""

    def __init__(self, directory, objects, authority):
        self.authority = authority
        self.keys = Keys(directory)
        self.operator = self.keys.new("operator", "admin")
        certificate = authority.server()
        files = {
            "bellwether-model": objects["ConfigMap", "bellwether-model"]["data"],
            "bellwether-keys": {"keys.toml": self.keys.text()},
            "bellwether-tls": {"tls.crt": certificate.certificate.read_text(encoding="utf-8"),
                               "tls.key": certificate.key.read_text(encoding="utf-8")},
            "bellwether-redis-ca": {"ca.crt": authority.certificate.read_text(encoding="utf-8")},
        }
        pod = pod_of(objects)
        [container] = pod["containers"]
        names = {volume["name"]: volume.get("secret", {}).get("secretName") or volume["configMap"]["name"]
                 for volume in pod["volumes"]}
        self.mounts, places = {}, {}
        for mount in container["volumeMounts"]:
            name = names[mount["name"]]
            self.mounts[name] = Mount(directory / name, files[name])
            places[mount["mountPath"]] = str(directory / name)
        # Of a configuration file, because it may hold no name that the server does not know.
        self.config = directory / "bellwether.toml"
        lines = []
        for name, value in settings_of(objects).items():
            parent, _, file = value.rpartition("/")
            lines.append(f"{name} = {json.dumps(f'{places[parent]}/{file}' if parent in places else value)}\n")
        self.config.write_text("".join(lines), encoding="utf-8")

    def serve(self, store):
        trusted = grpc.ssl_channel_credentials(self.authority.certificate.read_bytes())
        self.server = Server(store, arguments=["--config", str(self.config)], credentials=trusted)
        return self.server

    def call(self, secret=None):
        """The code that a caller hears."""
        metadata = [("authorization", f"Bearer {secret.read_text().strip()}")] if secret else []
        try:
            self.server.stub.GetFunnel(api.GetFunnelRequest(), timeout=CALL_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def command(self, name, *arguments, secret):
        return run(name, *arguments, "--server", f"https://{self.server.address}",
                   "--ca", self.authority.certificate, "--token-file", secret)


@pytest.mark.parametrize("overlay", STORES)
def test_who_has_a_key_gets_through_and_an_operator_changes_the_model(tmp_path, rendered, authority, overlay):
    deployed = Deployed(tmp_path, rendered(overlay), authority)
    reader = deployed.keys.new("reader", "reader")
    deployed.mounts["bellwether-keys"].put({"keys.toml": deployed.keys.text()})
    changed = tmp_path / "changed.toml"
    changed.write_text(MODEL.replace('half_life = "', 'half_life = "1', 1), encoding="utf-8")
    assert changed.read_text(encoding="utf-8") != MODEL
    with STORES[overlay](tmp_path, authority) as store, deployed.serve(store) as server:
        assert deployed.call(deployed.operator) == grpc.StatusCode.OK
        assert deployed.call(reader) == grpc.StatusCode.OK
        assert deployed.call() == grpc.StatusCode.UNAUTHENTICATED
        with grpc.insecure_channel(server.address) as plain:
            with pytest.raises(grpc.RpcError) as refused:
                scoring_pb2_grpc.ScoringServiceStub(plain).GetFunnel(
                    api.GetFunnelRequest(), timeout=CALL_SECONDS)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        # The probes ask without TLS and without a key.
        assert server.probe("/readyz") == (200, "ok\n")
        assert deployed.command("diff", changed, secret=reader).returncode == 1
        for name, arguments in [("diff", [changed]), ("apply", [changed, "--wait"])]:
            done = deployed.command(name, *arguments, secret=deployed.operator)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "THE MODEL FILE" not in server.output()


def test_a_secret_that_changes_as_the_kubelet_changes_it_is_followed(tmp_path, rendered, authority):
    deployed = Deployed(tmp_path, rendered("redis"), authority)
    other = Authority(tmp_path, "other")
    with one_redis(tmp_path, authority) as store, deployed.serve(store) as server:
        late = deployed.keys.new("late", "reader")
        assert deployed.call(late) == grpc.StatusCode.UNAUTHENTICATED
        certificate = other.server()
        deployed.mounts["bellwether-keys"].put({"keys.toml": deployed.keys.text()})
        deployed.mounts["bellwether-tls"].put(
            {"tls.crt": certificate.certificate.read_text(encoding="utf-8"),
             "tls.key": certificate.key.read_text(encoding="utf-8")})
        assert eventually(lambda: deployed.call(late) == grpc.StatusCode.OK)
        deployed.authority = other
        assert eventually(
            lambda: deployed.command("funnel", secret=late).returncode == 0), server.output()


def test_the_commands_of_the_readme_do_what_it_says(tmp_path, rendered, authority):
    lines = [line.strip() for block in blocks("sh") for line in block.splitlines()]
    # Those of the trial come before, and show no key.
    ours = [line for line in lines[lines.index("kubectl create namespace scoring"):]
            if line.startswith("bellwether ")]
    assert {line.split()[1] for line in ours} == {"key", "check", "funnel", "diff", "apply"}
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "bellwether").symlink_to(binary())
    (desk / "model.toml").write_text(
        MODEL.replace('half_life = "', 'half_life = "1', 1), encoding="utf-8")
    variables = environment() | {"PATH": f"{desk}:/usr/bin:/bin"}

    def execute(of):
        for line in of:
            done("sh", "-c", line, cwd=desk, env=variables)

    execute(line for line in ours if line.startswith("bellwether key "))
    deployed = Deployed(tmp_path, rendered("redis"), authority)
    deployed.mounts["bellwether-keys"].put(
        {"keys.toml": (desk / "keys.toml").read_text(encoding="utf-8")})
    with one_redis(tmp_path, authority) as store, deployed.serve(store) as server:
        variables["BELLWETHER_SERVER"] = f"https://{server.address}"
        variables["BELLWETHER_CA"] = str(authority.certificate)
        execute(line for line in ours if not line.startswith("bellwether key "))
