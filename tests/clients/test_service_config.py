"""The service config of examples/clients, as a client in Python takes it. That reads are hedged by
clients that can do so is tried by the programs of test_examples.py."""

import json

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import scoring_pb2_grpc
from fronts import Front, refuse, wait_for_another
from server import REPOSITORY, eventually
from test_keys import call, methods, requests

CONFIG = REPOSITORY / "examples" / "clients" / "service_config.json"
TEXT = CONFIG.read_text(encoding="utf-8")
HEDGED = CONFIG.with_name("service_config_hedged.json")
# Whoever changes a model decides themselves; a comparison and a backup read every profile.
SENT_ONCE = {"ApplyModel", "CompareModels", "Backup"}
ATTEMPTS = 4


@pytest.fixture
def front():
    """A server that does what a test wants."""
    with Front() as running:
        yield running


def channel(address, config=TEXT):
    return grpc.insecure_channel(address, [("grpc.service_config", config)])


@pytest.mark.parametrize(("service", "method"), list(methods()),
                         ids=lambda each: getattr(each, "name", each))
def test_what_is_unavailable_is_sent_again_where_that_is_safe(front, service, method):
    front.faults[method.name].append(refuse(grpc.StatusCode.UNAVAILABLE))
    with channel(front.address) as to:
        answer = call(to, service, method, requests("acme")[method.name], None)
    is_answered = isinstance(answer, list)
    assert is_answered == (method.name not in SENT_ONCE)
    assert len(front.attempts[method.name]) == 1 + is_answered


@pytest.mark.parametrize("code", [
    code for code in grpc.StatusCode
    if code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)], ids=lambda code: code.name)
def test_no_other_error_is_sent_again(front, code):
    front.faults["ScoreEvent"].append(refuse(code, retry_seconds=0.01))
    with channel(front.address) as to, pytest.raises(grpc.RpcError) as caught:
        scoring_pb2_grpc.ScoringServiceStub(to).ScoreEvent(api.ScoreEventRequest())
    assert caught.value.code() is code
    assert len(front.attempts["ScoreEvent"]) == 1


def test_attempts_have_an_end(front):
    front.faults["ScoreEvent"].extend([refuse(grpc.StatusCode.UNAVAILABLE)] * (ATTEMPTS + 1))
    with channel(front.address) as to, pytest.raises(grpc.RpcError) as caught:
        scoring_pb2_grpc.ScoringServiceStub(to).ScoreEvent(api.ScoreEventRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(front.attempts["ScoreEvent"]) == ATTEMPTS


def test_a_call_without_a_deadline_gets_one(front):
    front.faults["GetProfile"].append(wait_for_another)
    config = TEXT.replace('"timeout": "10s"', '"timeout": "0.2s"')
    with channel(front.address, config) as to, pytest.raises(grpc.RpcError) as caught:
        scoring_pb2_grpc.ScoringServiceStub(to).GetProfile(api.GetProfileRequest())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_calls_are_spread_over_all_servers(front):
    with Front() as other, channel(f"ipv4:{front.address},{other.address}") as to:
        stub = scoring_pb2_grpc.ScoringServiceStub(to)

        def is_spread():
            stub.GetProfile(api.GetProfileRequest())
            return front.attempts and other.attempts

        assert eventually(is_spread)


def test_a_client_that_cannot_hedge_does_not_retry_what_is_hedged(front):
    """Why there are two files."""
    front.faults["GetProfile"].append(refuse(grpc.StatusCode.UNAVAILABLE))
    hedged = HEDGED.read_text(encoding="utf-8")
    with channel(front.address, hedged) as to, pytest.raises(grpc.RpcError) as caught:
        scoring_pb2_grpc.ScoringServiceStub(to).GetProfile(api.GetProfileRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(front.attempts["GetProfile"]) == 1


def test_hedging_is_all_that_the_other_config_adds():
    plain, hedged = (json.loads(path.read_text(encoding="utf-8")) for path in (CONFIG, HEDGED))
    added = hedged["methodConfig"].pop()
    assert plain == hedged
    assert {name["method"] for name in added["name"]} == {"GetProfile", "GetSubject"}
    assert added["hedgingPolicy"]["nonFatalStatusCodes"] == ["UNAVAILABLE"]
