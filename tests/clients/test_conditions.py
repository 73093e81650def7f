"""Conditions on a call: some members of a segment, on each store, without a segment of their own."""

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, event, invalid, refused, score, subjects
from google.protobuf.timestamp_pb2 import Timestamp
from server import Server
from stores import STORES, store_of

MODEL = """
[scores.interest]
half_life = "7d"
[scores.worth]
[[signals]]
name = "visited"
on = "visit"
points = { interest = 8 }
[[attributes]]
name = "stated"
value = 'profile.attributes.worth'
points = { worth = 1 }
[[topics]]
name = "price"
[[stages]]
name = "awareness"
[[stages]]
name = "decision"
min = { interest = 10 }
[[segments]]
name = "warm"
rank_by = "interest"
[[segments]]
name = "worthy"
rank_by = "worth"
[[segments]]
name = "companies"
of = "account"
rank_by = "interest"
[subjects.account]
key = 'profile.attributes.company'
"""
DAY = 86_400


@pytest.fixture(scope="module", params=STORES)
def server(request, tmp_path_factory):
    """A server with this model, on each store."""
    directory = tmp_path_factory.mktemp("conditions")
    model = directory / "model.toml"
    model.write_text(MODEL)
    with store_of(request.param, directory / "store") as store:
        with Server(store, model=model) as running:
            yield running


def at(day):
    return Timestamp(seconds=START + day * DAY)


def request_of(tenant, condition, segment="warm", day=10, **fields):
    return api.RankSegmentRequest(
        tenant=tenant, segment=segment, condition=condition, as_of=at(day), **fields)


def pages(stub, tenant, condition, **fields):
    request, found = request_of(tenant, condition, **fields), []
    while True:
        page = stub.RankSegment(request)
        found.append(page)
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


def ids(stub, tenant, condition, **fields):
    return [member.profile.profile_id
            for page in pages(stub, tenant, condition, **fields) for member in page.members]


def state(stub, tenant, profile_id, **attributes):
    update = api.UpdateProfileRequest(tenant=tenant, profile_id=profile_id)
    update.attributes.update(attributes)
    stub.UpdateProfile(update)


@pytest.fixture
def people(stub, tenant):
    """Three people who came one day after the other, the last one twice and for the price."""
    for number, (name, region, contacted) in enumerate((
        ("ann", "north", "2020-09-22T12:26:40Z"),
        ("bob", "north", "2020-09-14T12:26:40+02:00"),
        ("cid", "south", None),
    )):
        stated = {"region": region} | ({"contacted_at": contacted} if contacted else {})
        state(stub, tenant, name, **stated)
        score(stub, tenant, event(f"{name}-1", name, "visit", number * DAY))
    score(stub, tenant, event("cid-2", "cid", "visit", 9 * DAY, tags=["price"]))


def test_members_are_listed_by_region(stub, tenant, people):
    assert ids(stub, tenant, "") == ["cid", "bob", "ann"]
    assert ids(stub, tenant, 'profile.attributes.region == "north"') == ["bob", "ann"]
    (page,) = pages(stub, tenant, 'profile.attributes.region == "north"')
    assert [member.rank for member in page.members] == [2, 3]
    assert (page.segment_size, page.condition_failed_count) == (3, 0)


def test_members_are_listed_who_were_not_contacted_this_week(stub, tenant, people):
    contacted = 'timestamp(profile.attributes.contacted_at) < as_of - duration("7d")'
    (page,) = pages(stub, tenant, contacted)
    assert [member.profile.profile_id for member in page.members] == ["bob"]
    assert page.condition_failed_count == 1
    never = "!has(profile.attributes.contacted_at)"
    assert ids(stub, tenant, f"{never} || {contacted}") == ["cid", "bob"]


def test_members_are_listed_by_stage_points_interests_and_last_event(stub, tenant, people):
    assert ids(stub, tenant, 'stage == "decision"') == ["cid"]
    assert ids(stub, tenant, 'stage == "decision"', day=40) == []
    assert ids(stub, tenant, "scores.interest < 3.5") == ["bob", "ann"]
    assert ids(stub, tenant, 'interest("price") > 0.5 && seen("visit")') == ["cid"]
    assert ids(stub, tenant, 'as_of - profile.last_event_time > duration("9d")') == ["ann"]
    assert ids(stub, tenant, 'profile.first_seen_time > timestamp("2020-09-14T00:00:00Z")') == [
        "cid", "bob"]


def test_members_are_listed_by_what_their_company_did(stub, tenant, people):
    state(stub, tenant, "bob", company="acme")
    score(stub, tenant, event("dan-1", "dan", "visit", 9 * DAY, subjects=subjects("acme")))
    assert ids(stub, tenant, "subjects.account.scores.interest > 5.0") == ["bob"]
    (page,) = pages(stub, tenant, "scores.interest > 5.0", segment="companies")
    assert [member.subject.subject_id for member in page.members] == ["acme"]
    refusal = invalid(stub.RankSegment, request_of(
        tenant, 'stage == "decision"', segment="companies"), field="condition")
    assert "of a subject only" in refusal.message


def test_thousands_of_members_are_asked_over_pages_and_nobody_twice(stub, tenant):
    count = 4_000
    updates = []
    for number in range(1, count + 1):
        update = api.ProfileUpdate(profile_id=f"person-{number}")
        update.attributes.update({"worth": number, "region": "north" if number % 250 == 7 else ""})
        updates.append(update)
    for start in range(0, count, 1_000):
        stub.BatchUpdateProfiles(api.BatchUpdateProfilesRequest(
            tenant=tenant, updates=updates[start:start + 1_000],
            response_view=api.RESPONSE_VIEW_NONE))
    expected = [number for number in range(count, 0, -1) if number % 250 == 7]
    for page_size in (1, 5, 1_000):
        found = pages(stub, tenant, 'profile.attributes.region == "north"', segment="worthy",
                      page_size=page_size)
        members = [member for page in found for member in page.members]
        assert [int(member.points) for member in members] == expected
        assert [member.rank for member in members] == [count + 1 - worth for worth in expected]
        assert all(len(page.members) <= page_size for page in found)
        assert all(page.segment_size == count for page in found)
    nobody = pages(stub, tenant, "scores.worth < 0", segment="worthy", page_size=10)
    assert len(nobody) >= 4 and not any(page.members for page in nobody)
    share = pages(stub, tenant, "scores.worth < 3996", segment="worthy", fraction=0.002)
    assert [int(member.points) for page in share for member in page.members] == [
        3_995, 3_994, 3_993]


@pytest.mark.parametrize("condition, place, words", [
    ("scores.interst > 1", "at 1:1", 'did you mean "interest"?'),
    ("scores.heat > 1", "at 1:1", "known: interest, worth"),
    ('true && stage == "decison"', "at 1:18", 'did you mean "decision"?'),
    ("region == 1", "at 1:1", "known: profile.attributes"),
    ("event.type == 'visit'", "at 1:1", "reads an event"),
    ("as_of > 1", "at 1:7", "timestamp(x) makes"),
    ("scores.interest", "at 1:7", "where a condition is needed"),
    ("1 +", "at 1:", "is no CEL expression"),
    ("(" * 2_000, "at 1:", "nested"),
    ("x" * 5_000, "", "send at most 4096"),
])
def test_a_condition_that_cannot_be_asked_is_refused_with_its_place(
        stub, tenant, people, condition, place, words):
    refusal = invalid(stub.RankSegment, request_of(tenant, condition), field="condition")
    assert place in refusal.message and words in refusal.message, refusal.message
    assert refusal.reason in ("INVALID_CONDITION", "INVALID_FIELD")


def test_every_mistake_of_a_condition_is_told(stub, tenant, people):
    refusal = invalid(stub.RankSegment, request_of(tenant, "scores.a > 1 && scores.b > 1"))
    assert "(and 1 more)" in refusal.message
    assert refusal.reason == "INVALID_CONDITION"


def test_a_page_token_is_good_for_its_condition_alone(stub, tenant, people):
    first = stub.RankSegment(request_of(tenant, "scores.interest > 0.1", page_size=1))
    token = first.next_page_token
    assert token
    for condition in ("", "scores.interest > 0.2"):
        refusal = refused(stub.RankSegment, request_of(tenant, condition, page_token=token))
        assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "FOREIGN_PAGE_TOKEN"
    second = request_of(tenant, "scores.interest > 0.1", page_token=token, page_size=9)
    assert len(stub.RankSegment(second).members) == 2
