"""Starting, stopping and crashing: what was acknowledged is never lost."""

import math
import queue
import shutil
import socket
import threading
import tomllib
from collections import Counter
from datetime import datetime

import grpc
import pytest
import snapshot
from bellwether.v1 import scoring_pb2 as api
from calls import Refusal, event, get, score
from replay import read_lines, replay, stream_events, update_profiles
from server import REPOSITORY, START_SECONDS, Server, refusal_to_start

COMMUNITY = REPOSITORY / "examples" / "data" / "conlang.jsonl"
MODEL = tomllib.loads((REPOSITORY / "models" / "forum.toml").read_text(encoding="utf-8"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def community_at_its_end(stub, lines):
    """Everything about the example community in the second after its last event."""
    people = sorted({line["profileId"] if "profileId" in line
                     else line["updateProfile"]["profileId"] for line in lines})
    last = max(datetime.fromisoformat(line["time"]) for line in lines if "time" in line)
    at = math.ceil(last.timestamp()) * 1_000_000_000
    return snapshot.tenant_at(
        stub, people, [segment["name"] for segment in MODEL["segments"]],
        [topic["name"] for topic in MODEL["topics"]], at)


@pytest.fixture(scope="module")
def community():
    return read_lines(COMMUNITY)


@pytest.fixture(scope="module")
def undisturbed(community, tmp_path_factory):
    """The example community after one run without trouble."""
    with Server(tmp_path_factory.mktemp("undisturbed") / "store") as server:
        replay(server.stub, community)
        return community_at_its_end(server.stub, community)


@pytest.mark.parametrize("acknowledged_events", [1, 150, 333, 600])
def test_a_replay_after_a_crash_equals_an_undisturbed_one(
        store, community, undisturbed, acknowledged_events):
    events = [line for line in community if "updateProfile" not in line]
    acknowledged = Counter()
    server = Server(store)
    try:
        update_profiles(server.stub, community)
        results = stream_events(server.stub, community, size=7)
        for line, _ in zip(events[:acknowledged_events], results):
            acknowledged[line["profileId"]] += 1
    finally:
        server.kill()

    with Server(store) as server:
        for profile_id, count in acknowledged.items():
            assert get(server.stub, "", profile_id).event_count >= count
        outcomes = [result.response.outcome for result in replay(server.stub, community)]
        assert set(outcomes[:acknowledged_events]) == {api.EVENT_OUTCOME_DUPLICATE}
        snapshot.assert_same(community_at_its_end(server.stub, community), undisturbed)


def test_what_was_acknowledged_survives_a_crash_under_load(store):
    acknowledged, failures = queue.Queue(), queue.Queue()
    enough = threading.Event()
    server = Server(store)

    def work(worker):
        number = 0
        while True:
            event_id = f"{worker}-{number}"
            try:
                score(server.stub, "", event(event_id, f"person-{number % 40}", second=number))
            except (grpc.RpcError, ValueError) as error:  # a closed channel is a ValueError
                failures.put(error)
                return
            acknowledged.put((event_id, f"person-{number % 40}", number))
            number += 1
            if acknowledged.qsize() > 300:
                enough.set()

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    assert enough.wait(120)
    server.kill()
    for worker in workers:
        worker.join()

    with Server(store) as server:
        for event_id, person, number in acknowledged.queue:
            answer = score(server.stub, "", event(event_id, person, second=number))
            assert answer.outcome == api.EVENT_OUTCOME_DUPLICATE


def test_a_restart_changes_nothing(store, community, undisturbed):
    with Server(store) as server:
        replay(server.stub, community)
    with Server(store) as server:
        snapshot.assert_same(community_at_its_end(server.stub, community), undisturbed)


def test_sigterm_answers_what_a_stream_has_taken_and_takes_no_more(store):
    finished = threading.Event()

    def requests():
        number = 0
        while not finished.is_set():
            yield api.ScoreEventsRequest(events=[event(f"event-{number}", second=number)])
            number += 1

    server = Server(store)
    stream = server.stub.ScoreEvents(requests())
    answered = 0
    with pytest.raises(grpc.RpcError) as caught:
        for response in stream:
            assert response.results[0].response.outcome == api.EVENT_OUTCOME_APPLIED
            answered += 1
            if answered == 50:
                server.terminate()
    finished.set()
    server.stop()
    refusal = Refusal(caught.value)
    assert refusal.code == grpc.StatusCode.UNAVAILABLE
    with Server(store) as server:
        counted = get(server.stub, "", "ann").event_count
    if refusal.retry_info is not None:
        # The server's own last word: what it did not answer it did not take.
        assert counted == answered
    else:
        # The connection closed while the client was still sending, and its library told that
        # first. Nothing that was answered is lost.
        assert counted >= answered


def test_sigterm_ends_the_server_though_a_stream_stays_open(store):
    requests = queue.Queue()
    server = Server(store)
    stream = server.stub.ScoreEvents(iter(requests.get, None))
    requests.put(api.ScoreEventsRequest(events=[event("before")]))
    next(stream)
    server.stop()
    with pytest.raises(grpc.RpcError) as caught:
        list(stream)
    requests.put(None)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_sigterm_under_load_answers_or_refuses_and_loses_nothing(store):
    server = Server(store)
    results = queue.Queue()
    enough = threading.Event()

    def work(worker):
        number = 0
        while True:
            try:
                score(server.stub, "", event(f"{number}", f"person-{worker}", second=number))
            except grpc.RpcError as error:
                results.put((worker, number, error.code()))
                return
            number += 1
            if number == 30:
                enough.set()

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    assert enough.wait(120)
    server.terminate()
    for worker in workers:
        worker.join()
    server.stop()
    with Server(store) as server:
        for worker, acknowledged, code in results.queue:
            assert code == grpc.StatusCode.UNAVAILABLE
            if acknowledged:
                person = get(server.stub, "", f"person-{worker}")
                assert person.event_count >= acknowledged


def test_sigterm_ends_a_server_that_still_starts():
    # A Redis that never answers.
    with socket.create_server(("127.0.0.1", 0)) as redis:
        redis.settimeout(START_SECONDS)
        host, port = redis.getsockname()
        server = Server(f"redis://{host}:{port}", wait=False)
        try:
            connection, _ = redis.accept()
            with connection:
                server.terminate()
                code, output = server.wait()
        finally:
            server.kill()
    assert code == 0, output
    assert "stopped before it was ready" in output
    assert "listening" not in output


def test_a_second_server_on_the_same_store_is_turned_away(store):
    with Server(store) as first:
        score(first.stub, "", event())
        said = refusal_to_start(store)
        assert "process" in said or "in use" in said or "lock" in said, said
        assert get(first.stub, "", "ann").event_count == 1


def contents(directory):
    return {path.relative_to(directory): path.read_bytes()
            for path in directory.rglob("*") if path.is_file()}


def test_a_foreign_directory_is_left_alone(store):
    store.mkdir()
    (store / "holiday.txt").write_text("not yours")
    before = contents(store)
    refusal_to_start(store)
    assert contents(store) == before


def test_a_file_in_the_place_of_the_store_is_left_alone(store):
    store.write_text("not yours")
    refusal_to_start(store)
    assert store.read_text() == "not yours"


DAMAGE = {
    "zeros": lambda content: bytes(len(content)),
    "cut": lambda content: content[:len(content) // 2],
    "garbage": lambda content: b"\xa5" * len(content),
    "one other byte": lambda content: (
        content[:len(content) // 2] + bytes([content[len(content) // 2] ^ 0xFF])
        + content[len(content) // 2 + 1:]),
    "missing": None,
}
# A store without a seal is whole: what is lost with it is that a cut of the journal would be
# noticed, and a start that was killed before it had a seal must be possible again.
NOT_GUARANTEED = {("bellwether-seal", "missing")}


def test_a_store_with_one_damaged_file_is_refused(store, community, tmp_path):
    with Server(store) as server:
        replay(server.stub, community)
    damaged_files = 0
    for path in sorted(store.rglob("*")):
        if not path.is_file() or not path.stat().st_size:
            continue
        for name, damage in DAMAGE.items():
            if any(path.match(pattern) for pattern, other in NOT_GUARANTEED if other == name):
                continue
            copy = tmp_path / "copy"
            shutil.copytree(store, copy)
            target = copy / path.relative_to(store)
            if damage is None:
                target.unlink()
            else:
                target.write_bytes(damage(path.read_bytes()))
            said = refusal_to_start(copy)
            assert str(copy) in said, (path.name, name, said)
            shutil.rmtree(copy)
            damaged_files += 1
    assert damaged_files > 20


@pytest.mark.parametrize("damage", ["zeros", "cut", "garbage"])
def test_a_store_that_is_damaged_throughout_is_refused(store, community, damage):
    with Server(store) as server:
        replay(server.stub, community)
    for path in store.rglob("*"):
        if path.is_file() and path.stat().st_size:
            path.write_bytes(DAMAGE[damage](path.read_bytes()))
    refusal_to_start(store)


def test_a_model_with_mistakes_is_refused_with_all_of_them(store, tmp_path):
    model = tmp_path / "model.toml"
    model.write_text("""[scores.interest]
half_life = "7d"
[[signals]]
name = "asked"
on = "question"
points = { intrest = 8 }
[[stages]]
name = "warm"
min = { interest = -1 }
""")
    said = refusal_to_start(store, model)
    assert f"{model.name}:6:" in said, said
    assert f"{model.name}:9:" in said, said
    assert "interest" in said
    assert not store.exists() or not any(store.iterdir())


def test_a_missing_model_is_named(store, tmp_path):
    assert "missing.toml" in refusal_to_start(store, tmp_path / "missing.toml")
