"""Backups of running servers: whole, of one moment, and restored as they were; or no file at all."""

import json
import signal
import socket
import subprocess
import threading

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import store_pb2, store_pb2_grpc
from calls import START, event, refused
from google.protobuf.timestamp_pb2 import Timestamp
from server import Server, binary, environment, eventually, refusal_to_start, run
from stores import STORES, store_of
from test_keys import Key

AS_OF = Timestamp(seconds=START + 100_000)
# More than may be on its way to a client that does not read.
LARGE_PROFILES, LARGE_BYTES = 800, 14_000


class World:
    """A server that asks for keys, with keys for all tenants and for `acme` alone."""

    def __init__(self, store, directory, stall_timeout="10m"):
        self.path = directory / "keys.toml"
        self.keys = {tenant: Key(self.path, tenant, "admin") for tenant in ("*", "acme")}
        self.keys["writer"] = Key(self.path, "*", "writer")
        self.secrets = {}
        for name, key in self.keys.items():
            self.secrets[name] = directory / f"{name.replace('*', 'all')}.txt"
            self.secrets[name].write_text(key.made["secret"], encoding="utf-8")
        self.server = Server(store, settings={
            "BELLWETHER_KEYS": str(self.path), "BELLWETHER_STALL_TIMEOUT": stall_timeout})
        self.metadata = self.keys["*"].metadata

    def backup(self, file, *arguments, key="*", address=None):
        """The arguments of a backup."""
        address = address or self.server.address
        return ["backup", "--server", f"http://{address}", "--token-file", self.secrets[key],
                "--output", file, *arguments]

    def score(self, tenant, made):
        request = api.ScoreEventRequest(tenant=tenant, event=made)
        return self.server.stub.ScoreEvent(request, metadata=self.metadata)

    def state(self, tenant, profile_ids, server=None):
        """Everything that is told of people at one instant."""
        request = api.BatchGetProfilesRequest(
            tenant=tenant, profile_ids=profile_ids, view="PROFILE_VIEW_FULL", as_of=AS_OF)
        stub = (server or self.server).stub
        return stub.BatchGetProfiles(request, metadata=self.metadata).results

    def fill(self):
        """Has the store hold more than may be on its way to a client that does not read."""
        for first in range(0, LARGE_PROFILES, 200):
            updates = [api.ProfileUpdate(profile_id=f"large-{number:05}",
                                         attributes={"filler": "x" * LARGE_BYTES})
                       for number in range(first, first + 200)]
            self.server.stub.BatchUpdateProfiles(
                api.BatchUpdateProfilesRequest(tenant="acme", updates=updates),
                metadata=self.metadata)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "store", tmp_path)
    yield made
    if made.server.process.poll() is None:
        made.server.stop()


class Held:
    """A backup by way of a relay that passes on so many bytes of the server, and then none."""

    def __init__(self, world, file, passed=200_000):
        self._listening = socket.create_server(("127.0.0.1", 0))
        address = world.server.address.rsplit(":", 1)
        self._upstream = socket.create_connection((address[0], int(address[1])))
        self._left = passed
        self._go_on = threading.Event()
        self.holds = threading.Event()
        host, port = self._listening.getsockname()
        self.process = subprocess.Popen(
            [binary(), *map(str, world.backup(file, address=f"{host}:{port}"))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            env=environment())
        self._client, _ = self._listening.accept()
        for target in (self._ask, self._answer):
            threading.Thread(target=target, daemon=True).start()
        assert self.holds.wait(60), "the backup is too small to be held up"

    def _ask(self):
        try:
            while some := self._client.recv(65_536):
                self._upstream.sendall(some)
        except OSError:
            pass
        self._close()

    def _answer(self):
        try:
            while some := self._upstream.recv(65_536):
                self._left -= len(some)
                if self._left < 0 and not self._go_on.is_set():
                    self.holds.set()
                    self._go_on.wait()
                self._client.sendall(some)
        except OSError:
            pass
        self._close()

    def _close(self):
        for end in (self._client, self._upstream):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def go_on(self):
        """Passes everything on, and returns exit code and words of the backup."""
        self._go_on.set()
        said, _ = self.process.communicate(timeout=120)
        return self.process.returncode, said

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=60)
        self._go_on.set()


def parts_of(file):
    """The event counts of a backup by tenant and profile."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"format": 2}
    found, tenant = {}, None
    for line in lines[1:-1]:
        if "format" in line:
            tenant = line["tenant"]
            found[tenant] = {}
        elif "profileId" in line:
            found[tenant][line["profileId"]] = int(line["record"].get("eventCount", 0))
    assert lines[-1] == {"tenants": len(found)}
    return found


@pytest.mark.parametrize("kind", STORES)
def test_what_a_backup_under_load_restores_is_what_was_told(kind, tmp_path):
    with store_of(kind, tmp_path) as store:
        world = World(store, tmp_path)
        people = [f"person-{number}" for number in range(50)]
        for number, person in enumerate(people):
            for tenant in ("acme", "other"):
                world.score(tenant, event(f"{person}-1", person, second=number,
                                          text="Which tool is good for a beginner?"))
        acknowledged, stop, failures = [0], threading.Event(), []

        def write():
            try:
                # First the first of all profiles, then the last one.
                while not stop.is_set():
                    number = acknowledged[0] + 1
                    world.score("acme", event(f"a-{number}", "a-first", second=number))
                    world.score("other", event(f"z-{number}", "z-last", second=number))
                    acknowledged[0] = number
            except grpc.RpcError as error:
                failures.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert eventually(lambda: acknowledged[0] > 0 or failures)
            for number in range(6):
                file, before = tmp_path / f"backup-{number}.jsonl", acknowledged[0]
                made = run(*world.backup(file))
                assert made.returncode == 0, made.stderr
                assert "2 tenants" in made.stderr
                found = parts_of(file)
                first, last = found["acme"]["a-first"], found["other"]["z-last"]
                assert first >= before and last >= before, "what was acknowledged is missing"
                if kind == "embedded":
                    assert first - last in (0, 1), "it is of no one moment"
                assert set(people) <= found["acme"].keys() and set(people) <= found["other"].keys()
        finally:
            stop.set()
            writer.join()
        assert not failures and acknowledged[0] > 6, (failures, acknowledged)

        file = tmp_path / "last.jsonl"
        assert run(*world.backup(file)).returncode == 0
        told = {tenant: world.state(tenant, [*people, "a-first", "z-last"])
                for tenant in ("acme", "other")}
        world.server.stop()
        copy = tmp_path / "copy"
        restored = run("import", file, "--store", copy)
        assert restored.returncode == 0, restored.stderr
        assert "2 tenants" in restored.stderr
        with Server(copy, settings={"BELLWETHER_KEYS": str(world.path)}) as server:
            for tenant, expected in told.items():
                assert list(world.state(tenant, [*people, "a-first", "z-last"], server)) == list(expected)
        if kind == "embedded":
            exported = tmp_path / "exported.jsonl"
            for place in (store, copy):
                done = run("export", "--all-tenants", "--store", place, "--output", exported)
                assert done.returncode == 0, done.stderr
                assert exported.read_bytes() == file.read_bytes()


def test_a_key_backs_up_its_own_tenant_alone_and_each_is_noted(world, tmp_path):
    for tenant in ("acme", "other"):
        world.score(tenant, event(profile_id="planted-person"))
    file = tmp_path / "backup.jsonl"
    for key, reason in [("acme", "TENANT_NOT_ALLOWED"), ("writer", "CALL_NOT_ALLOWED")]:
        stub = store_pb2_grpc.StoreServiceStub(world.server.channel)
        refusal = refused(lambda: list(stub.Backup(store_pb2.BackupRequest(),
                                                   metadata=world.keys[key].metadata)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason)
        made = run(*world.backup(file, key=key))
        assert made.returncode == 1 and "PERMISSION_DENIED" in made.stderr, made.stderr
        assert not list(tmp_path.glob("backup.jsonl*"))
    made = run(*world.backup(file, "--tenant", "acme", key="acme"))
    assert made.returncode == 0, made.stderr
    header, profile, end = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (header, end) == ({"format": 1, "tenant": "acme"}, {"profiles": 1})
    assert profile["profileId"] == "planted-person"
    assert run(*world.backup(file)).returncode == 0

    request = api.GetAuditRequest(tenant="acme")
    entries = world.server.stub.GetAudit(request, metadata=world.metadata).entries
    assert [(entry.method, entry.all_tenants) for entry in entries] == [
        ("Backup", True), ("Backup", False)]
    done = "backed up 1 profiles of 1 tenants"
    assert eventually(lambda: any("bellwether::audit" in line and done in line
                                  for line in world.server.lines))
    assert "planted-person" not in world.server.output()


def test_a_backup_that_does_not_come_to_its_end_is_no_file(world, tmp_path):
    world.fill()
    file = tmp_path / "backup.jsonl"
    whole = run(*world.backup(file))
    assert whole.returncode == 0, whole.stderr
    before = file.read_bytes()
    assert len(before) > LARGE_PROFILES * LARGE_BYTES

    held = Held(world, file)
    assert eventually(file.with_name("backup.jsonl.unfinished").exists)
    held.kill()
    # The one of before stands, and the name of what is left says what it is.
    assert file.read_bytes() == before

    file.unlink()
    held = Held(world, file)
    code, said = held.go_on()
    assert code == 0, said
    assert file.read_bytes() == before
    assert not list(tmp_path.glob("*.unfinished"))

    file.unlink()
    held = Held(world, file)
    world.server.process.send_signal(signal.SIGKILL)
    world.server.process.wait()
    code, said = held.go_on()
    assert code == 1 and "broke" in said, said
    assert not list(tmp_path.glob("backup.jsonl*"))


def test_a_server_that_stops_ends_a_backup_and_says_so(world, tmp_path):
    world.fill()
    file = tmp_path / "backup.jsonl"
    held = Held(world, file)
    world.server.terminate()
    assert eventually(lambda: any("stopping" in line for line in world.server.lines))
    code, said = held.go_on()
    assert code == 1 and "UNAVAILABLE: the server is stopping" in said, said
    assert not list(tmp_path.glob("backup.jsonl*"))
    code, output = world.server.wait()
    assert code == 0, output


def test_two_are_made_at_a_time_and_a_client_that_has_gone_makes_room(world, tmp_path):
    world.fill()
    held = [Held(world, tmp_path / f"backup-{number}.jsonl") for number in range(2)]
    third = tmp_path / "third.jsonl"
    refusal = run(*world.backup(third))
    assert refusal.returncode == 1
    assert "UNAVAILABLE" in refusal.stderr and "try again in" in refusal.stderr, refusal.stderr
    # Others are answered meanwhile.
    world.score("acme", event())
    for backup in held:
        backup.kill()
    assert eventually(lambda: run(*world.backup(third)).returncode == 0)


def test_a_client_that_reads_nothing_makes_room_too(tmp_path):
    world = World(tmp_path / "store", tmp_path, stall_timeout="1s")
    world.fill()
    held = [Held(world, tmp_path / f"backup-{number}.jsonl") for number in range(2)]
    assert eventually(lambda: run(*world.backup(tmp_path / "third.jsonl")).returncode == 0)
    for backup in held:
        code, said = backup.go_on()
        assert code == 1 and "ABORTED" in said, said
    assert [path.name for path in tmp_path.glob("*.jsonl*")] == ["third.jsonl"]
    world.server.stop()


def test_a_key_that_is_taken_out_ends_its_backup(world, tmp_path):
    world.fill()
    file = tmp_path / "backup.jsonl"
    held = Held(world, file)
    # The key for all tenants was made first.
    head, _, *others = world.path.read_text(encoding="utf-8").split("[[keys]]")
    world.path.write_text("[[keys]]".join([head, *others]), encoding="utf-8")

    def is_gone():
        try:
            world.score("acme", event())
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.UNAUTHENTICATED
        return False

    assert eventually(is_gone)
    code, said = held.go_on()
    assert code == 1 and "UNAUTHENTICATED" in said, said
    assert not list(tmp_path.glob("backup.jsonl*"))


def test_a_file_that_is_cut_off_is_refused_and_nothing_of_it_is_written(world, tmp_path):
    for tenant in ("acme", "other"):
        world.score(tenant, event())
    file = tmp_path / "backup.jsonl"
    assert run(*world.backup(file)).returncode == 0
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    copy = tmp_path / "copy"
    for length in range(1, len(lines)):
        cut = tmp_path / "cut.jsonl"
        cut.write_text("".join(lines[:length]), encoding="utf-8")
        refusal = run("import", cut, "--store", copy)
        assert refusal.returncode == 1
        assert "nothing was written" in refusal.stderr and "cut off" in refusal.stderr
    exported = run("export", "--all-tenants", "--store", copy)
    assert exported.stdout.splitlines() == ['{"format":2}', '{"tenants":0}']
    one = run("import", file, "--store", copy, "--tenant", "other")
    assert one.returncode == 0 and "tenant other" in one.stderr, one.stderr
    nobody = run("import", file, "--store", copy, "--tenant", "nobody")
    assert nobody.returncode == 1
    assert "no tenant nobody; it holds acme, other" in nobody.stderr
    both = run("export", "--all-tenants", "--tenant", "acme", "--store", copy)
    assert both.returncode == 2


def test_where_others_call_and_nobody_is_asked_nothing_is_taken_away(tmp_path):
    file = tmp_path / "backup.jsonl"
    with Server(tmp_path / "open", settings={"BELLWETHER_ALLOW_ANONYMOUS": "true"}) as server:
        made = run("backup", "--server", f"http://{server.address}", "--output", file)
        assert made.returncode == 1 and "asks callers for keys" in made.stderr, made.stderr
    # A server that its own machine alone reaches asks nobody either.
    with Server(tmp_path / "own") as server:
        made = run("backup", "--server", f"http://{server.address}", "--output", file)
        assert made.returncode == 0 and "0 profiles of 0 tenants" in made.stderr, made.stderr


@pytest.mark.parametrize("call", ["backup", "Backup"])
def test_a_role_that_sees_in_part_backs_up_nothing(call, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[roles.part]\ncalls = ["{call}"]\nscores = []\n', encoding="utf-8")
    said = refusal_to_start(tmp_path / "store", settings={"BELLWETHER_KEYS": str(keys)})
    assert "has backups, which hold everything of everybody; take" in said, said
