"""Accounts, quarantine and retraction: what they answer, that they can be sent again, and bad
input."""

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, as_json, event, get, invalid, refused, score
from google.protobuf.timestamp_pb2 import Timestamp
from server import Server, run
from stores import STORES, store_of

MODEL = """
[scores.heat]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
points = { heat = 4 }
[[signals]]
name = "colleagues_came"
on = "question"
value = 'account.scores.heat'
points = { heat = 1 }
[[topics]]
name = "price"
[[stages]]
name = "awareness"
[[segments]]
name = "people"
rank_by = "heat"
[[segments]]
name = "companies"
of = "accounts"
rank_by = "heat"
[accounts]
attribute = "company"
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
[[quarantine]]
name = "impossible_speed"
on = "click"
when = 'event.seconds_since_last < 0.5'
[influence]
event_types = { visit = 2 }
half_life = "7d"
attribution_half_life = "7d"
"""


@pytest.fixture(scope="module", params=STORES)
def server(request, tmp_path_factory):
    """A server with this model, on each store."""
    directory = tmp_path_factory.mktemp("effects")
    model = directory / "model.toml"
    model.write_text(MODEL)
    with store_of(request.param, directory / "store") as store:
        with Server(store, model=model) as running:
            yield running


def at(second):
    return Timestamp(seconds=START + second)


def heat(profile):
    return profile.scores[0].points


def retract(stub, tenant, made):
    return stub.RetractEvent(api.RetractEventRequest(tenant=tenant, event=made))


def release(stub, tenant, profile_id="ann", **fields):
    return stub.ReleaseEvents(
        api.ReleaseEventsRequest(tenant=tenant, profile_id=profile_id, **fields))


def quarantine(stub, tenant, rule="robots", **fields):
    return stub.ListQuarantine(api.ListQuarantineRequest(tenant=tenant, rule=rule, **fields))


def segment(stub, tenant, name, **fields):
    request = api.RankSegmentRequest(tenant=tenant, segment=name, as_of=at(1000), **fields)
    return stub.RankSegment(request)


def funnel(stub, tenant):
    return stub.GetFunnel(api.GetFunnelRequest(tenant=tenant)).stages[0].count


def visit(number=1, profile_id="ann", second=0, **fields):
    return event(f"visit-{number}", profile_id, "visit", second, **fields)


def test_a_retraction_takes_back_what_an_event_counted_and_can_be_sent_again(stub, tenant):
    made = visit(account_id="acme", author_id="bob", tags=["price"])
    score(stub, tenant, visit(2, second=10))
    score(stub, tenant, made)
    answer = retract(stub, tenant, made)
    assert answer.outcome == api.RETRACTION_OUTCOME_RETRACTED
    assert answer.profile.event_count == 1
    profile = get(stub, tenant, "ann", as_of=at(10))
    assert heat(profile) == pytest.approx(4)
    assert not profile.interests
    acme = get(stub, tenant, "", account_id="acme")
    assert (acme.event_count, heat(acme)) == (0, 0)
    influencers = stub.TopInfluencers(api.TopInfluencersRequest(tenant=tenant, topic="price"))
    assert not influencers.influencers

    before = as_json(get(stub, tenant, "ann", as_of=at(10)))
    for _ in range(3):
        again = retract(stub, tenant, made)
        assert again.outcome == api.RETRACTION_OUTCOME_DUPLICATE
    assert score(stub, tenant, made).outcome == api.EVENT_OUTCOME_DUPLICATE
    assert as_json(get(stub, tenant, "ann", as_of=at(10))) == before
    assert get(stub, tenant, "", account_id="acme").event_count == 0


def test_an_event_that_is_retracted_before_it_comes_never_counts(stub, tenant):
    assert retract(stub, tenant, visit()).outcome == api.RETRACTION_OUTCOME_RETRACTED_IN_ADVANCE
    assert score(stub, tenant, visit()).outcome == api.EVENT_OUTCOME_DUPLICATE
    assert get(stub, tenant, "ann").event_count == 0
    assert funnel(stub, tenant) == 0


def test_a_retraction_of_another_type_changes_nothing(stub, tenant):
    score(stub, tenant, visit())
    before = as_json(get(stub, tenant, "ann", as_of=at(10)))
    answer = retract(stub, tenant, event("visit-1", "ann", "unheard_of"))
    assert answer.outcome == api.RETRACTION_OUTCOME_OTHER_TYPE
    assert as_json(get(stub, tenant, "ann", as_of=at(10))) == before
    assert retract(stub, tenant, visit()).outcome == api.RETRACTION_OUTCOME_RETRACTED


def test_a_retraction_that_comes_too_late_is_told(stub, tenant):
    events = [visit(number, second=10 + number) for number in range(300)]
    request = api.ScoreEventsRequest(tenant=tenant, events=events)
    for _ in stub.ScoreEvents(iter([request])):
        pass
    answer = retract(stub, tenant, visit(0, second=10))
    assert answer.outcome == api.RETRACTION_OUTCOME_TOO_OLD
    assert answer.profile.event_count == 300


def test_a_held_event_counts_nowhere_until_it_is_released(stub, tenant):
    score(stub, tenant, visit(0, "bob"))
    held = visit(channel="robot", account_id="acme")
    answer = score(stub, tenant, held)
    assert answer.outcome == api.EVENT_OUTCOME_QUARANTINED
    assert answer.quarantine_rule == "robots"
    assert not answer.matched_signals
    assert [(found.rule, found.count) for found in answer.profile.quarantined] == [("robots", 1)]
    assert answer.profile.event_count == 0
    assert not answer.profile.HasField("last_event_time")
    assert score(stub, tenant, held).outcome == api.EVENT_OUTCOME_DUPLICATE
    assert funnel(stub, tenant) == 1
    assert segment(stub, tenant, "people").segment_size == 1
    assert segment(stub, tenant, "companies").segment_size == 0

    for expected in (1, 0, 0):
        answer = release(stub, tenant)
        assert answer.released_count == expected
        assert answer.profile.event_count == 1
    assert funnel(stub, tenant) == 2
    assert heat(get(stub, tenant, "ann", as_of=at(0))) == 4
    assert heat(get(stub, tenant, "", account_id="acme", as_of=at(0))) == 4
    assert quarantine(stub, tenant).total_size == 0


def test_the_quarantine_is_listed_page_by_page_most_first(stub, tenant):
    for position, person in enumerate(["ann", "bob", "cid", "dan", "eve"]):
        for number in range(position + 1):
            score(stub, tenant, visit(number, person, second=100 - number, channel="robot"))
    pages, token = [], ""
    while True:
        page = quarantine(stub, tenant, page_size=2, page_token=token)
        assert page.total_size == 5
        pages.append([found.profile_id for found in page.profiles])
        for found in page.profiles:
            times = [held.time.seconds for held in found.events]
            assert times == sorted(times)
            assert {held.type for held in found.events} == {"visit"}
            assert list(found.events[0].matched_signals) == ["visited"]
        token = page.next_page_token
        if not token:
            break
    assert pages == [["eve", "dan"], ["cid", "bob"], ["ann"]]
    assert quarantine(stub, tenant, rule="impossible_speed").total_size == 0


def test_a_release_may_choose_a_rule_and_an_event(stub, tenant):
    for number in range(3):
        score(stub, tenant, visit(number, channel="robot"))
    assert release(stub, tenant, rule="impossible_speed").released_count == 0
    assert release(stub, tenant, rule="robots", event_id="visit-1").released_count == 1
    assert release(stub, tenant, event_id="visit-1").released_count == 0
    assert release(stub, tenant, rule="robots").released_count == 2


def test_more_held_events_than_are_kept_and_than_one_write_counts_are_released_as_they_are(
        stub, tenant):
    for number in range(70):
        score(stub, tenant, visit(number, second=number, channel="robot", account_id="acme",
                                  author_id="bob", tags=["price"]))
    profile = get(stub, tenant, "ann")
    assert profile.quarantined[0].count == 64
    answer = release(stub, tenant)
    assert answer.released_count == 64
    assert answer.profile.event_count == 64
    assert get(stub, tenant, "", account_id="acme").event_count == 64
    # The first six were dropped for good: there is nothing to take back.
    dropped = visit(0, second=0, channel="robot", account_id="acme")
    assert retract(stub, tenant, dropped).outcome == api.RETRACTION_OUTCOME_DUPLICATE
    assert get(stub, tenant, "ann").event_count == 64


def test_a_held_event_that_is_retracted_is_dropped(stub, tenant):
    held = visit(channel="robot")
    score(stub, tenant, held)
    assert retract(stub, tenant, held).outcome == api.RETRACTION_OUTCOME_RETRACTED
    assert release(stub, tenant).released_count == 0
    assert quarantine(stub, tenant).total_size == 0


def test_an_account_counts_what_its_people_count_and_is_ranked_apart(stub, tenant):
    score(stub, tenant, visit(1, "ann", 0, account_id="acme"))
    score(stub, tenant, visit(2, "bob", 5, account_id="acme"))
    score(stub, tenant, visit(3, "cid", 9, account_id="home"))
    score(stub, tenant, visit(3, "cid", 9, account_id="home"))
    acme = get(stub, tenant, "", account_id="acme", as_of=at(1000), view=api.PROFILE_VIEW_FULL)
    assert (acme.account_id, acme.profile_id, acme.stage) == ("acme", "", "")
    assert acme.event_count == 2
    people = [get(stub, tenant, person, as_of=at(1000)) for person in ("ann", "bob")]
    assert heat(acme) == pytest.approx(sum(map(heat, people)), rel=1e-12)
    assert acme.scores[0].percentile == 100
    assert [member.segment for member in acme.segments] == ["companies"]

    companies = segment(stub, tenant, "companies")
    ranked = [(found.rank, found.profile.account_id, found.profile.profile_id)
              for found in companies.members]
    assert ranked == [(1, "acme", ""), (2, "home", "")]
    everybody = segment(stub, tenant, "people")
    assert {found.profile.profile_id for found in everybody.members} == {"ann", "bob", "cid"}
    assert everybody.segment_size == 3
    assert funnel(stub, tenant) == 3
    first = segment(stub, tenant, "companies", page_size=1)
    second = segment(stub, tenant, "companies", page_size=1, page_token=first.next_page_token)
    assert second.members[0].profile.account_id == "home"


def test_a_profile_may_state_its_account_and_an_account_what_it_is(stub, tenant):
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
    request.attributes.update({"company": "acme"})
    stub.UpdateProfile(request)
    score(stub, tenant, visit())
    update = api.UpdateProfileRequest(tenant=tenant, account_id="acme")
    update.attributes.update({"industry": "retail"})
    acme = stub.UpdateProfile(update).profile
    assert (acme.account_id, acme.event_count) == ("acme", 1)
    assert acme.attributes["industry"] == "retail"
    # A person of the same name is somebody else.
    assert refused(get, stub, tenant, "acme").code == grpc.StatusCode.NOT_FOUND


def test_a_signal_reads_the_scores_of_the_account(stub, tenant):
    score(stub, tenant, visit(1, "bob", account_id="acme"))
    answer = score(stub, tenant, event("asks", "ann", "question", account_id="acme"))
    assert list(answer.matched_signals) == ["colleagues_came"]
    assert heat(get(stub, tenant, "ann", as_of=at(0))) == pytest.approx(4)
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="cid")
    request.attributes.update({"company": "acme"})
    stub.UpdateProfile(request)
    score(stub, tenant, event("asks", "cid", "question"))
    assert heat(get(stub, tenant, "cid", as_of=at(0))) == pytest.approx(8)


@pytest.mark.parametrize("change", [
    {"event_id": ""}, {"profile_id": ""}, {"type": ""}, {"account_id": "a\x01"},
    {"account_id": "x" * 257}, {"profile_id": "\x01acme"}, {"tags": ["t"] * 65},
])
def test_bad_retractions_are_refused(stub, tenant, change):
    made = visit()
    for name, value in change.items():
        made.ClearField(name)
        made.MergeFrom(api.Event(**{name: value}))
        invalid(retract, stub, tenant, made, field=f"event.{name}")


def test_a_retraction_needs_an_event_with_its_time(stub, tenant):
    made = visit()
    made.ClearField("time")
    invalid(retract, stub, tenant, made, field="event.time")
    invalid(stub.RetractEvent, api.RetractEventRequest(tenant=tenant), field="event")
    far = visit()
    far.time.seconds = 4_000_000_000
    invalid(retract, stub, tenant, far, field="event.time")
    assert refused(get, stub, tenant, "ann").code == grpc.StatusCode.NOT_FOUND


def test_bad_questions_about_the_quarantine_are_refused(stub, tenant):
    invalid(stub.ListQuarantine, api.ListQuarantineRequest(tenant=tenant), field="rule")
    for page_size in (-1, -1001):
        request = api.ListQuarantineRequest(tenant=tenant, rule="robots", page_size=page_size)
        invalid(stub.ListQuarantine, request, field="page_size")
    request = api.ListQuarantineRequest(tenant=tenant, rule="robots", page_token="nonsense")
    invalid(stub.ListQuarantine, request, field="page_token")
    for person in ("ann", "bob"):
        score(stub, tenant, visit(profile_id=person, channel="robot"))
    token = quarantine(stub, tenant, page_size=1).next_page_token
    refusal = refused(quarantine, stub, tenant, rule="impossible_speed", page_token=token)
    assert refusal.reason == "FOREIGN_PAGE_TOKEN"
    refusal = refused(quarantine, stub, tenant, rule="scanners")
    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "UNKNOWN_QUARANTINE_RULE"
    assert "robots, impossible_speed" in refusal.message


def test_bad_releases_are_refused(stub, tenant):
    invalid(stub.ReleaseEvents, api.ReleaseEventsRequest(tenant=tenant), field="profile_id")
    request = api.ReleaseEventsRequest(tenant=tenant, profile_id="a", event_id="x" * 257)
    invalid(stub.ReleaseEvents, request, field="event_id")
    request = api.ReleaseEventsRequest(tenant=tenant, profile_id="\x01acme")
    invalid(stub.ReleaseEvents, request, field="profile_id")
    score(stub, tenant, visit())
    refusal = refused(release, stub, tenant, rule="scanners")
    assert refusal.reason == "UNKNOWN_QUARANTINE_RULE"
    refusal = refused(release, stub, tenant, profile_id="nobody")
    assert refusal.reason == "UNKNOWN_PROFILE"


def test_an_account_and_a_profile_are_not_asked_for_together(stub, tenant):
    request = api.GetProfileRequest(tenant=tenant, profile_id="ann", account_id="acme")
    invalid(stub.GetProfile, request, field="account_id")
    invalid(stub.GetProfile, api.GetProfileRequest(tenant=tenant), field="profile_id")
    update = api.UpdateProfileRequest(tenant=tenant, profile_id="ann", account_id="acme")
    invalid(stub.UpdateProfile, update, field="account_id")
    refusal = refused(get, stub, tenant, "", account_id="nobody")
    assert (refusal.reason, refusal.message) == (
        "UNKNOWN_ACCOUNT", 'there is no account "nobody"')
    score(stub, tenant, visit(account_id="acme"))
    refusal = refused(get, stub, tenant, "", account_id="acme", as_of=at(-5))
    assert refusal.reason == "AS_OF_BEFORE_LAST_EVENT" and "\\u" not in refusal.message
    refusal = refused(segment, stub, tenant, "companies", stages=["awareness"])
    assert refusal.reason == "NO_STAGES"
    refusal = refused(get, stub, tenant, "\x01acme")
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


def test_accounts_and_held_events_outlive_a_restart_and_a_move(tmp_path):
    model = tmp_path / "model.toml"
    model.write_text(MODEL)
    one, two = (tmp_path / name for name in ("one", "two"))
    with Server(one, model=model) as server:
        score(server.stub, "", visit(account_id="acme"))
        score(server.stub, "", visit(2, channel="robot"))
    exported = tmp_path / "export.ndjson"
    assert run("export", "--store", one, "--output", exported).returncode == 0
    with Server(one, model=model) as server:
        check_what_outlives(server.stub)
    imported = run("import", exported, "--store", two)
    assert imported.returncode == 0, imported.stderr
    with Server(two, model=model) as server:
        check_what_outlives(server.stub)


def check_what_outlives(stub):
    assert heat(get(stub, "", "", account_id="acme", as_of=at(0))) == 4
    assert segment(stub, "", "companies").members[0].profile.account_id == "acme"
    assert segment(stub, "", "people").segment_size == 1
    assert quarantine(stub, "").profiles[0].profile_id == "ann"
    assert score(stub, "", visit(2, channel="robot")).outcome == api.EVENT_OUTCOME_DUPLICATE
