"""Models that change while the server runs: ModelService, SIGHUP, and a file that is watched."""

import signal
from pathlib import Path

import grpc
import pytest
from bellwether.v1 import model_pb2 as api
from bellwether.v1 import model_pb2_grpc, scoring_pb2
from calls import event, get, invalid, refused, score
from server import Server, eventually
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
"""
GENEROUS = MODEL.replace("interest = 3", "interest = 6")


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    with store_of(request.param, tmp_path / "store") as place:
        yield place


@pytest.fixture
def model_file(tmp_path):
    file = tmp_path / "model.toml"
    file.write_text(MODEL, encoding="utf-8")
    return file


@pytest.fixture
def server(store, model_file):
    with Server(store, model_file) as running:
        yield running


def models_of(server):
    return model_pb2_grpc.ModelServiceStub(server.channel)


def apply(server, source, tenant=""):
    return models_of(server).ApplyModel(api.ApplyModelRequest(tenant=tenant, source=source))


def points(server, tenant=""):
    [interest] = get(server.stub, tenant, "ann").scores
    return interest.points


def answers_with(server, expected):
    return eventually(lambda: points(server) == expected)


def test_an_applied_model_answers_for_what_was_counted(server):
    score(server.stub, "", event())
    assert points(server) == 3
    applied = apply(server, GENEROUS)
    assert applied.changed
    assert answers_with(server, 6)
    models = models_of(server).GetModels(api.GetModelsRequest())
    assert models.active.source == GENEROUS
    assert models.latest.fingerprint == models.active.fingerprint == applied.fingerprint
    assert models.revision == applied.revision

    again = apply(server, GENEROUS + "# a comment changes nothing\n")
    assert (again.changed, again.revision) == (False, applied.revision)
    back = apply(server, MODEL)
    assert back.revision > applied.revision
    assert answers_with(server, 3)


def test_an_applied_model_outlives_a_restart_with_the_old_file_on_a_shared_store(store, model_file):
    with Server(store, model_file) as server:
        score(server.stub, "", event())
        apply(server, GENEROUS)
        assert answers_with(server, 6)
    # On a store of its own the file that is named wins.
    is_shared = not isinstance(store, Path)
    with Server(store, model_file) as server:
        assert answers_with(server, 6 if is_shared else 3)
    with Server(store) as server:
        assert answers_with(server, 6 if is_shared else 3)


def test_every_mistake_of_a_model_is_named_and_the_old_one_keeps_serving(server):
    score(server.stub, "", event())
    wrong = MODEL.replace("points = { interest = 3 }", "points = { intrest = 3 }\nlimit = -1")
    refusal = invalid(models_of(server).ApplyModel, api.ApplyModelRequest(source=wrong),
                      field="source")
    assert "5:12" in refusal.message or "6:" in refusal.message, refusal.message
    assert "and 1 more" in refusal.message, refusal.message
    invalid(models_of(server).ApplyModel, api.ApplyModelRequest(), field="source")
    assert points(server) == 3
    assert models_of(server).GetModels(api.GetModelsRequest()).latest.source == MODEL


def test_a_model_is_for_all_tenants_or_for_one(server, tmp_path):
    refusal = invalid(models_of(server).ApplyModel,
                      api.ApplyModelRequest(tenant="shop", source=GENEROUS), field="tenant")
    assert refusal.reason == "TENANT_SHARES_MODEL"

    directory = tmp_path / "models"
    directory.mkdir()
    for tenant in ["shop", "club"]:
        (directory / f"{tenant}.toml").write_text(MODEL, encoding="utf-8")
    with Server(tmp_path / "own", directory) as own:
        refusal = invalid(models_of(own).ApplyModel, api.ApplyModelRequest(source=GENEROUS),
                          field="tenant")
        assert refusal.reason == "TENANT_REQUIRED"
        refusal = refused(models_of(own).ApplyModel,
                          api.ApplyModelRequest(tenant="zoo", source=GENEROUS))
        assert refusal.code == grpc.StatusCode.NOT_FOUND
        for tenant in ["shop", "club"]:
            score(own.stub, tenant, event())
        apply(own, GENEROUS, "shop")
        assert eventually(lambda: points(own, "shop") == 6)
        assert points(own, "club") == 3


def test_a_comparison_reports_progress_and_then_who_moves(server):
    for number in range(3):
        score(server.stub, "", event(f"event-{number}", f"person-{number}"))
    *steps, last = models_of(server).CompareModels(
        api.CompareModelsRequest(new_source=GENEROUS, movers=2))
    assert all(step.HasField("progress") for step in steps)
    report = last.report
    [interest] = report.scores
    assert (report.profiles, interest.rising, interest.falling) == (3, 3, 0)
    assert [(mover.before, mover.after) for mover in interest.movers] == [(3, 6), (3, 6)]
    assert [(flow.from_stage, flow.to_stage, flow.profiles) for flow in report.flows] == [
        ("", "lead", 3)]
    [segment] = report.segments
    assert (segment.before, segment.after, segment.entering) == (3, 3, 0)
    [change] = report.changes
    assert change.place == "signals.asked.points.interest"
    assert change.acts_on == api.ACTS_ON_HISTORY
    models = models_of(server).GetModels(api.GetModelsRequest())
    assert models.active.source == MODEL
    assert not models.HasField("candidate")

    invalid(lambda request: list(models_of(server).CompareModels(request)),
            api.CompareModelsRequest(new_source=GENEROUS, movers=101), field="movers")


def test_sighup_reads_the_file_again(server, model_file):
    score(server.stub, "", event())
    model_file.write_text(GENEROUS, encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    assert answers_with(server, 6)

    model_file.write_text("nonsense", encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "is refused" in server.output())
    assert "model.toml:1:" in server.output()
    model_file.unlink()
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "cannot be read" in server.output())
    assert points(server) == 6
    model_file.write_text(MODEL, encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    assert answers_with(server, 3)


def test_a_file_behind_swapped_symlinks_is_watched(store, tmp_path):
    # As a kubelet mounts a ConfigMap: the file is a link into a directory that is a link.
    mount = tmp_path / "mount"
    for name, text in [("..first", MODEL), ("..second", GENEROUS)]:
        (mount / name).mkdir(parents=True)
        (mount / name / "model.toml").write_text(text, encoding="utf-8")
    (mount / "..data").symlink_to("..first")
    (mount / "model.toml").symlink_to("..data/model.toml")
    with Server(store, mount / "model.toml") as server:
        score(server.stub, "", event())
        assert points(server) == 3
        (mount / "..new").symlink_to("..second")
        (mount / "..new").rename(mount / "..data")
        assert answers_with(server, 6)


def test_a_server_may_do_without(store, tmp_path):
    settings = tmp_path / "bellwether.toml"
    settings.write_text("model_service = false\n", encoding="utf-8")
    with Server(store, arguments=["--config", str(settings)]) as server:
        refusal = refused(models_of(server).GetModels, api.GetModelsRequest())
        assert refusal.code == grpc.StatusCode.UNIMPLEMENTED
        profile = scoring_pb2.ScoreEventRequest(event=event())
        assert server.stub.ScoreEvent(profile).profile.profile_id == "ann"


def test_a_model_follows_the_revision_that_was_looked_at_or_is_refused(server):
    stub = models_of(server)
    seen = stub.GetModels(api.GetModelsRequest()).revision
    other = MODEL.replace("interest = 3", "interest = 4")
    applied = stub.ApplyModel(api.ApplyModelRequest(source=other, expected_revision=seen))
    assert applied.changed
    late = api.ApplyModelRequest(source=GENEROUS, expected_revision=seen)
    refusal = refused(stub.ApplyModel, late)
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "REVISION_CHANGED"
    assert refusal.metadata == {"revision": str(applied.revision)}
    late.expected_revision = applied.revision
    assert stub.ApplyModel(late).changed
    assert not stub.ApplyModel(late).changed, "it may be sent again"
    late.expected_revision = -1
    invalid(stub.ApplyModel, late, field="expected_revision")


def test_a_model_is_validated_and_not_applied(server):
    stub = models_of(server)
    before = stub.GetModels(api.GetModelsRequest())
    source = GENEROUS + """[[signals]]
name = "asked_again"
on = "question"
when = 'seen("questoin")'
points = { interest = 1 }
"""
    validated = stub.ApplyModel(api.ApplyModelRequest(source=source, validate_only=True))
    assert (validated.changed, validated.revision) == (True, before.revision)
    assert validated.state == api.MODEL_STATE_UNSPECIFIED
    assert validated.fingerprint != before.latest.fingerprint
    [warning] = validated.warnings
    assert warning.line == 15 and "questoin" in warning.message
    invalid(stub.ApplyModel, api.ApplyModelRequest(source="[scores", validate_only=True),
            field="source")
    assert stub.GetModels(api.GetModelsRequest()) == before
    applied = stub.ApplyModel(api.ApplyModelRequest(source=source))
    assert applied.fingerprint == validated.fingerprint
    assert applied.warnings == validated.warnings


def test_the_catalog_is_that_of_the_model_that_answers(server):
    def catalog(tenant=""):
        return server.stub.GetCatalog(scoring_pb2.GetCatalogRequest(tenant=tenant))

    before = catalog()
    assert [entry.name for entry in before.scores] == ["interest"]
    assert [entry.name for entry in before.stages] == ["lead"]
    assert not before.stages[0].description and not before.subject_kinds
    described = "[subjects.account]\ndescription = \"Buys.\"\n" + MODEL.replace(
        'name = "lead"', 'name = "lead"\ndescription = "May buy."') + """[[segments]]
name = "companies"
description = "Who to visit."
of = "account"
rank_by = "interest"
[[attributes]]
name = "staffed"
when = 'has(profile.attributes.staff)'
points = { interest = 1 }
[[topics]]
name = "Our price"
"""
    applied = apply(server, described)
    assert eventually(lambda: catalog().fingerprint == applied.fingerprint)
    after = catalog("somebody-new")
    assert after == catalog()
    [stage] = after.stages
    assert (stage.name, stage.description) == ("lead", "May buy.")
    [signal] = after.signals
    assert (signal.name, list(signal.event_types)) == ("asked", ["question"])
    assert [(segment.name, segment.description, segment.of)
            for segment in after.segments] == [
        ("everyone", "", "people"), ("companies", "Who to visit.", "account")]
    assert [list(segment.rank_by) for segment in after.segments] == [["interest"]] * 2
    assert [rule.name for rule in after.attribute_rules] == ["staffed"]
    assert [topic.name for topic in after.topics] == ["Our price"]
    [kind] = after.subject_kinds
    assert (kind.name, kind.description) == ("account", "Buys.")
