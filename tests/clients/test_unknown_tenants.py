"""Whoever reads a tenant that nobody knows is told so, and no read makes one."""

import grpc
import pytest
from bellwether.v1 import (model_pb2, model_pb2_grpc, scoring_pb2, scoring_pb2_grpc, store_pb2,
                           store_pb2_grpc)
from calls import event, refused, score
from google.protobuf import descriptor_pb2
from server import Server
from stores import STORES, store_of

MODEL = """[scores.interest]
[[signals]]
name = "asked"
on = "question"
points = { interest = 3 }
[[stages]]
name = "lead"
min = { interest = 5 }
[[segments]]
name = "everyone"
rank_by = "interest"
[[topics]]
name = "tools"
[subjects.content]
key = 'event.content_id'
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"""

# What each read is asked beside the tenant, such that a tenant without data answers it. A new
# method that reads belongs here.
READS = {
    "GetProfile": {"profile_id": "nobody", "or_default": True},
    "BatchGetProfiles": {"profile_ids": ["nobody"]},
    "GetSubject": {"kind": "content", "subject_id": "post-1", "or_default": True},
    "RankSegment": {"segment": "everyone"},
    "GetSegmentTopics": {"segment": "everyone"},
    "GetFunnel": {},
    "TopInfluencers": {"topic": "tools"},
    "GetCatalog": {},
    "GetAudit": {},
    "ListQuarantine": {"rule": "robots"},
    "GetModels": {},
    "CompareModels": {"new_source": MODEL},
    "Backup": {},
}

MODULES = {
    "ScoringService": (scoring_pb2, scoring_pb2_grpc.ScoringServiceStub),
    "ModelService": (model_pb2, model_pb2_grpc.ModelServiceStub),
    "StoreService": (store_pb2, store_pb2_grpc.StoreServiceStub),
}


def methods():
    """Every method of the API, with the module that has its messages."""
    for module, _ in MODULES.values():
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def reads():
    """The methods that change nothing, as the proto says."""
    no_side_effects = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    return {method.name: method for method in methods()
            if method.GetOptions().idempotency_level == no_side_effects}


def call(channel, method, **fields):
    """Calls a read and takes all of its answer."""
    module, stub = MODULES[method.containing_service.name]
    request = getattr(module, method.input_type.name)(**fields)
    answer = getattr(stub(channel), method.name)(request)
    return list(answer) if method.server_streaming else [answer]


def test_every_method_that_reads_is_tried_here():
    assert READS.keys() == reads().keys()


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    with store_of(request.param, tmp_path / "store") as store:
        yield store


@pytest.fixture(params=["each_tenant_has_a_model", "callers_make_no_tenants"])
def server(request, place, tmp_path):
    """A server where no caller makes a tenant, and where `shop` is one."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "shop.toml").write_text(MODEL, encoding="utf-8")
    if request.param == "each_tenant_has_a_model":
        with Server(place, models) as running:
            score(running.stub, "shop", event())
            yield running
        return
    with Server(place, models / "shop.toml") as running:
        score(running.stub, "shop", event())
    with Server(place, models / "shop.toml",
                settings={"BELLWETHER_AUTO_CREATE_TENANTS": "false"}) as running:
        yield running


def test_an_unknown_tenant_is_not_found_and_named_by_every_read(server):
    for name, method in reads().items():
        refusal = refused(call, server.channel, method, tenant="club", **READS[name])
        assert refusal.code == grpc.StatusCode.NOT_FOUND, (name, refusal.message)
        assert refusal.reason == "UNKNOWN_TENANT", name
        assert refusal.metadata == {"tenant": "club"}, name
        assert '"club"' in refusal.message, name
        assert call(server.channel, method, tenant="shop", **READS[name]), name


def test_no_read_makes_a_tenant(place, tmp_path):
    model = tmp_path / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    with Server(place, model, settings={"BELLWETHER_MAX_TENANTS": "1"}) as running:
        for name, method in reads().items():
            assert call(running.channel, method, tenant="club", **READS[name]), name
        # Had one been made, there would be no room for this one.
        score(running.stub, "shop", event())
        refusal = refused(score, running.stub, "club", event())
        assert refusal.reason == "TOO_MANY_TENANTS"
