"""What a model of its own can make the service answer: breadth, identity and probability."""

import math

import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, event, get, score
from google.protobuf.timestamp_pb2 import Timestamp
from server import Server
from stores import STORES, store_of

MODEL = """
[scores.seeking]
half_life = "7d"
breadth = 2
breadth_share = 0.2
[scores.seeking.calibration]
table = [[0, 0.1], [10, 0.5]]
outcome = "changes the job"
[scores.fit]
base = 1
[[signals]]
name = "read"
on = "read"
points = { seeking = 1 }
[[signals]]
name = "applied"
on = "apply"
points = { seeking = 4 }
[[attributes]]
name = "has_worked"
when = 'has(profile.attributes.years)'
value = 'profile.attributes.years'
points = { fit = 2 }
[[identity]]
name = "matched"
when = 'has(profile.attributes.match)'
confidence = 'profile.attributes.match'
[[identity]]
name = "applied_once"
when = 'seen("apply")'
confidence = 0.5
[[segments]]
name = "seekers"
rank_by = ["seeking", "fit"]
calibration = { logistic = { midpoint = 5, slope = 1 }, outcome = "is hired" }
[[segments]]
name = "known_seekers"
rank_by = "seeking"
min_confidence = 0.75
"""


@pytest.fixture(scope="module", params=STORES)
def stub(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("answers")
    model = directory / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    with store_of(request.param, directory) as store, Server(store, model) as running:
        yield running.stub


def full(stub, tenant, days=0):
    return get(stub, tenant, "ann", view=api.PROFILE_VIEW_FULL,
               as_of=Timestamp(seconds=START + days * 86400))


def members(stub, tenant, segment):
    return stub.RankSegment(api.RankSegmentRequest(
        tenant=tenant, segment=segment, as_of=Timestamp(seconds=START))).members


def state(stub, tenant, attributes):
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
    request.attributes.update(attributes)
    return stub.UpdateProfile(request).profile


def test_points_come_with_breadth_and_a_probability_with_points(stub, tenant):
    score(stub, tenant, event("1", event_type="apply"))
    seeking = full(stub, tenant).scores[0]
    assert (seeking.points, seeking.breadth.present, seeking.breadth.required) == (0, 1, 2)
    assert [term.points for term in seeking.contributions] == [4]
    assert (seeking.probability, seeking.outcome) == (pytest.approx(0.1), "changes the job")
    assert not seeking.HasField("percentile")
    assert not members(stub, tenant, "seekers")

    score(stub, tenant, event("2", event_type="read"))
    for days in (0, 7, 70):
        seeking = full(stub, tenant, days).scores[0]
        points = 5 * 2 ** (-days / 7)
        assert seeking.points == pytest.approx(points)
        assert seeking.breadth.present == 2
        assert seeking.probability == pytest.approx(0.1 + 0.04 * points)
    basic = get(stub, tenant, "ann").scores[0]
    assert basic.HasField("probability") and not basic.HasField("breadth")


def test_a_rule_counts_its_value_and_a_segment_ranks_by_the_product(stub, tenant):
    for kind in ("apply", "read"):
        score(stub, tenant, event(kind, event_type=kind))
    state(stub, tenant, {"years": 3})
    (term,) = full(stub, tenant).scores[1].contributions
    assert (term.name, term.count, term.weight, term.points) == ("has_worked", 3, 2, 6)
    (member,) = members(stub, tenant, "seekers")
    assert member.points == pytest.approx(5 * 7)
    assert member.probability == pytest.approx(1 / (1 + math.exp(5 - 35)))
    assert member.outcome == "is hired"
    # The profile itself says the same, whoever asks for it.
    basic = get(stub, tenant, "ann", as_of=Timestamp(seconds=START))
    for profile in (full(stub, tenant), basic):
        own = next(own for own in profile.segments if own.segment == "seekers")
        assert (own.points, own.probability, own.outcome) == (
            member.points, member.probability, member.outcome)


def test_a_segment_may_ask_how_sure_it_is_who_somebody_is(stub, tenant):
    for kind in ("apply", "read"):
        score(stub, tenant, event(kind, event_type=kind))
    assert full(stub, tenant).identity_confidence == 0.5
    assert not members(stub, tenant, "known_seekers")
    assert state(stub, tenant, {"match": 0.5}).identity_confidence == 0.75
    assert [member.profile.profile_id for member in members(stub, tenant, "known_seekers")] == [
        "ann"]
    assert "known_seekers" in [member.segment for member in full(stub, tenant).segments]


def test_a_type_that_the_model_names_nowhere_is_warned_of(stub, tenant):
    slip = score(stub, tenant, event("slip", event_type="raed"))
    assert slip.outcome == api.EVENT_OUTCOME_APPLIED
    [warning] = slip.warnings
    assert (warning.code, warning.field) == ("UNMATCHED_EVENT_TYPE", "event.type")
    assert '"raed"' in warning.message
    assert not score(stub, tenant, event("read", event_type="read")).warnings
    request = api.ScoreEventsRequest(tenant=tenant, events=[
        event("read-2", event_type="read"), event("slip-2", event_type="raed")])
    [answer] = stub.ScoreEvents(iter([request]))
    assert not answer.results[0].response.warnings
    assert answer.results[1].response.warnings[0].field == "events[1].type"
