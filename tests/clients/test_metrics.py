"""What is counted, read as Prometheus reads it: exact, as the documentation lists it, bounded, and
without anything that a caller has sent."""

import contextlib
import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import event, get, now, score
from prometheus_client.parser import text_string_to_metric_families
from server import REPOSITORY, Server, eventually
from stores import STORES, RedisServer, store_of

MODEL = """
[scores.interest]
half_life = "7d"

[[signals]]
name = "asked"
on = "question"
points = { interest = 10 }

[[signals]]
name = "bought_much"
on = "purchase"
when = "event.attributes.amount > 10"
points = { interest = 5 }

[[stages]]
name = "aware"

[[stages]]
name = "engaged"
min = { interest = 15 }

[[segments]]
name = "keen"
rank_by = ["interest"]
min = 1

[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"""
SECRET = "s3cr3t"
TENANT = f"{SECRET}-tenant"
SERVICE = "bellwether.v1.ScoringService"
# A histogram is read as its count.
COUNTS = {"counter": "_total", "gauge": "", "histogram": "_count"}
UNITS = {"s": "_seconds", "By": "_bytes"}


class Scrape:
    """The metrics of a server at one moment."""

    def __init__(self, server):
        status, self.text = server.probe("/metrics")
        assert status == 200
        self.families = {family.name: family
                         for family in text_string_to_metric_families(self.text)}

    def values(self, name):
        """The value, or the count of a histogram, by attributes."""
        family = self.families.get(name)
        if family is None:
            return {}
        sample = name + COUNTS[family.type]
        return {tuple(sorted(found.labels.items())): found.value
                for found in family.samples if found.name == sample}

    def value(self, name, **labels):
        return self.values(name).get(tuple(sorted(labels.items())), 0)

    def by(self, name, *labels):
        """The values that are not 0, by some attributes in this order."""
        values = self.values(name).items()
        return {tuple(dict(key).get(label) for label in labels): value
                for key, value in values if value}


def secret_event(event_id, event_type="question", second=0, **fields):
    """An event in which everything that a caller may make up is a secret, except for its type."""
    fields.setdefault("attributes", {f"{SECRET}_name": f"{SECRET}-value"})
    return event(f"{SECRET}-{event_id}", f"{SECRET}-ann", event_type, second,
                 text=f"{SECRET} text", tags=[f"{SECRET}-tag"], author_id=f"{SECRET}-author",
                 **fields)


def code_of(call, *arguments):
    try:
        call(*arguments)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def drive(stub):
    """One of everything that is counted, and no more of it than the test says."""
    for number in range(2):
        score(stub, TENANT, secret_event(f"question-{number}", second=10 + number))
    score(stub, TENANT, secret_event("question-1", second=11))  # a duplicate
    score(stub, TENANT, secret_event("question-2", second=12))
    score(stub, TENANT, secret_event("late", second=1))  # too old: two are remembered
    score(stub, TENANT, secret_event("wave", "wave", second=13))
    score(stub, TENANT, secret_event("purchase", "purchase", second=14))  # without an amount
    score(stub, TENANT, secret_event("robot", second=15, channel="robot"))
    released = stub.ReleaseEvents(api.ReleaseEventsRequest(
        tenant=TENANT, profile_id=f"{SECRET}-ann"))
    assert released.released_count == 1
    future = secret_event("future")
    future.time.seconds = now() + 100_000
    requests = [api.ScoreEventsRequest(tenant=TENANT, events=[
        secret_event("question-3", second=16), future,
        api.Event(event_id=f"{SECRET}-wrong")])]
    [answer] = stub.ScoreEvents(iter(requests))
    assert [result.WhichOneof("result") for result in answer.results] == [
        "response", "error", "error"]
    assert code_of(get, stub, TENANT, f"{SECRET}-nobody") == grpc.StatusCode.NOT_FOUND
    assert code_of(get, stub, TENANT, "") == grpc.StatusCode.INVALID_ARGUMENT
    get(stub, TENANT, f"{SECRET}-ann")
    stub.RankSegment(api.RankSegmentRequest(tenant=TENANT, segment="keen"))


@pytest.fixture(scope="module", params=STORES)
def driven(request, tmp_path_factory):
    """A server after all of it, with what it has said and its last metrics."""
    directory = tmp_path_factory.mktemp("driven")
    model = directory / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    with store_of(request.param, directory) as store:
        with Server(store, model, settings={"BELLWETHER_REMEMBERED_EVENTS": "2",
                                            "BELLWETHER_LOG_LEVEL": "debug"}) as server:
            drive(server.stub)
            # A call is counted when its caller has its answer already.
            counted = f'rpc_method="{SERVICE}/ScoreEvents"'
            assert eventually(lambda: counted in server.probe("/metrics")[1])
            yield request.param, server, Scrape(server)


def test_events_are_counted_by_what_became_of_them(driven):
    _, _, scrape = driven
    assert scrape.by("bellwether_events", "outcome", "type") == {
        ("applied", "question"): 4,
        ("applied", "purchase"): 1,
        ("applied", "other"): 1,
        ("duplicate", "question"): 1,
        ("too_old", "question"): 1,
        ("quarantined", "question"): 1,
        ("failed", "other"): 1,
    }
    assert scrape.by("bellwether_events_unmatched", "type") == {("wave",): 1}
    assert scrape.by("bellwether_signals_matched", "signal") == {("asked",): 4}
    assert scrape.by("bellwether_stage_changes", "from", "to") == {("aware", "engaged"): 1}
    assert scrape.by("bellwether_rule_errors", "rule") == {("bought_much",): 1}
    assert scrape.by("bellwether_events_quarantined", "rule") == {("robots",): 1}
    assert scrape.value("bellwether_events_released") == 1


def test_calls_are_counted_by_method_and_code(driven):
    _, _, scrape = driven
    counted = scrape.by("rpc_server_call_duration_seconds",
                        "rpc_method", "rpc_response_status_code", "error_type")
    assert counted == {
        (f"{SERVICE}/ScoreEvent", "OK", None): 8,
        (f"{SERVICE}/ScoreEvents", "OK", None): 1,
        (f"{SERVICE}/ReleaseEvents", "OK", None): 1,
        (f"{SERVICE}/GetProfile", "OK", None): 1,
        (f"{SERVICE}/GetProfile", "NOT_FOUND", None): 1,
        (f"{SERVICE}/GetProfile", "INVALID_ARGUMENT", None): 1,
        (f"{SERVICE}/RankSegment", "OK", None): 1,
    }


def test_the_store_and_the_work_are_counted(driven):
    kind, _, scrape = driven
    system = {"embedded": "fjall", "redis": "redis"}[kind]
    operations = scrape.by("db_client_operation_duration_seconds",
                           "db_operation_name", "db_system_name", "error_type")
    for operation in ["load", "commit", "page"]:
        assert operations[operation, system, None] >= 1
    assert {found[1:] for found in operations} == {(system, None)}
    # Eight single calls, a release, and a request of a stream of which two events are in order,
    # one of them from the future.
    assert scrape.value("bellwether_round_events") == 10
    assert scrape.value("bellwether_round_wait_seconds") == 10
    assert scrape.value("bellwether_commit_attempts") == 10
    assert scrape.value("bellwether_tenants") == 1
    assert scrape.value("bellwether_connections") == 1
    for name in ["calls_in_work", "events_in_work", "events_waiting"]:
        assert not scrape.by(f"bellwether_{name}", "class")
    written = scrape.by("bellwether_store_items", "operation")["commit",]
    assert written >= scrape.by("bellwether_store_messages", "operation")["commit",] >= 8
    # Each of them by how many commits it had.
    assert (scrape.by("bellwether_store_message_items", "operation")["commit",]
            == scrape.by("bellwether_store_messages", "operation")["commit",])
    assert not scrape.by("bellwether_calls_shed", "reason")


def test_nothing_that_a_caller_has_sent_is_told(driven):
    _, server, scrape = driven
    assert SECRET not in scrape.text
    said = [line for line in server.lines if SECRET in line]
    # The deployment of models says whose ranks it builds, and the audit for whom something was done.
    assert [line for line in said if TENANT not in line] == []
    allowed = ("bellwether::rollout", "bellwether::audit")
    assert all(any(target in line for target in allowed) for line in said), said


def documented():
    """name -> (type, attributes), of the tables of the documentation, as Prometheus has them."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## What is seen\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(
        r"^\| `([a-z._]+)` \| (counter|gauge|histogram) \| `([^`]+)` \|([^|]*)\|",
        section, re.MULTILINE)
    def underscored(name):
        return name.replace(".", "_")

    return {underscored(name) + UNITS.get(unit, ""):
                (kind, set(map(underscored, re.findall(r"`([^`]+)`", attributes))))
            for name, kind, unit, attributes in rows}


def test_the_documentation_lists_what_there_is(driven):
    _, _, scrape = driven
    listed = documented()
    assert len(listed) > 25
    exported = {name: family.type for name, family in scrape.families.items()
                if name != "target_info"}
    assert exported == {name: kind for name, (kind, _) in listed.items()}
    for name, (_, attributes) in listed.items():
        samples = scrape.families[name].samples
        found = {label for sample in samples for label in sample.labels} - {"le"}
        # Nothing has failed in here.
        assert found == attributes - {"error_type"}, name


def test_made_up_names_make_no_metrics_without_end(tmp_path):
    with Server(tmp_path / "store") as server:
        requests = (api.ScoreEventsRequest(events=[
            event(f"{number}", f"person-{number % 7}", f"made-up-{number}", second=number)
            for number in range(start, start + 100)]) for start in range(0, 1_000, 100))
        assert sum(len(answer.results) for answer in server.stub.ScoreEvents(requests)) == 1_000
        scrape = Scrape(server)
        assert scrape.by("bellwether_events", "outcome", "type") == {("applied", "other"): 1_000}
        unmatched = scrape.by("bellwether_events_unmatched", "type")
        assert len(unmatched) == 101
        assert unmatched["other",] == 900
        for path in ["Nope", "GetProfile2", "x" * 1_000]:
            call = server.channel.unary_unary(f"/{SERVICE}/{path}")
            assert code_of(call, b"") == grpc.StatusCode.UNIMPLEMENTED
        methods = Scrape(server).by("rpc_server_call_duration_seconds", "rpc_method", "error_type")
        assert {method for method, _ in methods} == {f"{SERVICE}/ScoreEvents", "_OTHER"}
        assert methods["_OTHER", "UNIMPLEMENTED"] == 3


def test_a_caller_that_goes_away_is_no_failure(tmp_path):
    with Server(tmp_path / "store") as server:
        for number in range(30):
            channel = grpc.insecure_channel(server.address,
                                            [("grpc.use_local_subchannel_pool", 1)])
            call = channel.stream_stream(
                f"/{SERVICE}/ScoreEvents",
                request_serializer=api.ScoreEventsRequest.SerializeToString,
                response_deserializer=api.ScoreEventsResponse.FromString)
            hold = iter([api.ScoreEventsRequest(events=[event(f"event-{number}")])])
            answers = call(hold)
            if number % 3:
                next(answers)
            if number % 2:
                answers.cancel()
            channel.close()
        assert eventually(lambda: Scrape(server).value("bellwether_streams") == 0)
        codes = Scrape(server).by("rpc_server_call_duration_seconds",
                                  "rpc_response_status_code", "error_type")
        assert {error for _, error in codes} <= {None}
        assert "call failed" not in server.output()


@contextlib.contextmanager
def open_stream(server):
    """A stream that has had an answer and stays open."""
    ended = threading.Event()

    def requests():
        yield api.ScoreEventsRequest(events=[event()])
        ended.wait()

    answers = server.stub.ScoreEvents(requests())
    next(answers)
    try:
        yield
    finally:
        ended.set()
        answers.cancel()


def test_who_is_turned_away_is_counted_by_what_there_was_too_much_of(tmp_path):
    with Server(tmp_path / "store", settings={"BELLWETHER_MAX_STREAMS": "1"}) as server:
        # The one by which the server was awaited.
        assert eventually(lambda: Scrape(server).value("bellwether_streams") == 0)
        with open_stream(server):
            scrape = Scrape(server)
            assert scrape.value("bellwether_streams") == 1
            assert scrape.value("bellwether_connections") == 1
            for _ in range(3):
                answers = server.stub.ScoreEvents(iter([api.ScoreEventsRequest(events=[event()])]))
                assert code_of(next, answers) == grpc.StatusCode.UNAVAILABLE
        scrape = Scrape(server)
        assert scrape.by("bellwether_calls_shed", "reason") == {("streams",): 3}
        failed = scrape.by("rpc_server_call_duration_seconds", "rpc_method", "error_type")
        assert failed[f"{SERVICE}/ScoreEvents", "UNAVAILABLE"] == 3


def test_writers_who_were_too_slow_are_counted(tmp_path):
    with RedisServer(tmp_path / "redis") as redis, Server(redis.url) as one, \
            Server(redis.url) as other, ThreadPoolExecutor(8) as pool:

        def have_met():
            """Whether writers of one person on two servers have been in each other's way."""
            number = next(numbers)
            list(pool.map(lambda n: score([one, other][n % 2].stub, "",
                                          event(f"{number}-{n}", second=number)), range(8)))
            return Scrape(one).value("bellwether_commit_conflicts") > 0

        numbers = itertools.count()
        assert eventually(have_met)
        scrape = Scrape(one)
        [attempts] = [found.value for found in scrape.families["bellwether_commit_attempts"].samples
                      if found.name == "bellwether_commit_attempts_sum"]
        assert attempts > scrape.value("bellwether_commit_attempts")
        applied = sum(scrape.by("bellwether_events", "outcome", "type")["applied", "question"]
                      for scrape in map(Scrape, [one, other]))
        assert applied == 8 * next(numbers)
