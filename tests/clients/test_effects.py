"""Subjects, quarantine and retraction: what they answer, that they can be sent again, and bad
input."""

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import (
    START, as_json, event, get, get_subject, invalid, refused, score, subjects,
)
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
value = 'subjects.account.scores.heat'
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
of = "account"
rank_by = "heat"
[[segments]]
name = "best_content"
of = "content"
rank_by = "heat"
[subjects.account]
key = 'profile.attributes.company'
[subjects.content]
key = 'event.content_id'
[subjects.brand]
key = 'lower(event.attributes.brand)'
[[signals]]
name = "large_company_asked"
on = "inquiry"
when = 'subjects.account.attributes.staff > 100'
points = { heat = 1 }
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


def update_subject(stub, tenant, subject_id, attributes, kind="account", **fields):
    request = api.UpdateSubjectRequest(tenant=tenant, kind=kind, subject_id=subject_id, **fields)
    request.attributes.update(attributes)
    return stub.UpdateSubject(request).subject


def funnel(stub, tenant):
    return stub.GetFunnel(api.GetFunnelRequest(tenant=tenant)).stages[0].count


def visit(number=1, profile_id="ann", second=0, **fields):
    return event(f"visit-{number}", profile_id, "visit", second, **fields)


def test_a_retraction_takes_back_what_an_event_counted_and_can_be_sent_again(stub, tenant):
    made = visit(subjects=subjects("acme"), author_id="bob", tags=["price"])
    score(stub, tenant, visit(2, second=10))
    score(stub, tenant, made)
    answer = retract(stub, tenant, made)
    assert answer.outcome == api.RETRACTION_OUTCOME_RETRACTED
    assert answer.profile.event_count == 1
    profile = get(stub, tenant, "ann", as_of=at(10))
    assert heat(profile) == pytest.approx(4)
    assert not profile.interests
    acme = get_subject(stub, tenant, "acme")
    assert (acme.event_count, heat(acme)) == (0, 0)
    influencers = stub.TopInfluencers(api.TopInfluencersRequest(tenant=tenant, topic="price"))
    assert not influencers.influencers

    before = as_json(get(stub, tenant, "ann", as_of=at(10)))
    for _ in range(3):
        again = retract(stub, tenant, made)
        assert again.outcome == api.RETRACTION_OUTCOME_DUPLICATE
    assert score(stub, tenant, made).outcome == api.EVENT_OUTCOME_DUPLICATE
    assert as_json(get(stub, tenant, "ann", as_of=at(10))) == before
    assert get_subject(stub, tenant, "acme").event_count == 0


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
    held = visit(channel="robot", subjects=subjects("acme"))
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
    assert heat(get_subject(stub, tenant, "acme", as_of=at(0))) == 4
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
        score(stub, tenant, visit(number, second=number, channel="robot", subjects=subjects("acme"),
                                  author_id="bob", tags=["price"]))
    profile = get(stub, tenant, "ann")
    assert profile.quarantined[0].count == 64
    answer = release(stub, tenant)
    assert answer.released_count == 64
    assert answer.profile.event_count == 64
    assert get_subject(stub, tenant, "acme").event_count == 64
    # The first six were dropped for good: there is nothing to take back.
    dropped = visit(0, second=0, channel="robot", subjects=subjects("acme"))
    assert retract(stub, tenant, dropped).outcome == api.RETRACTION_OUTCOME_DUPLICATE
    assert get(stub, tenant, "ann").event_count == 64


def test_a_held_event_that_is_retracted_is_dropped(stub, tenant):
    held = visit(channel="robot")
    score(stub, tenant, held)
    assert retract(stub, tenant, held).outcome == api.RETRACTION_OUTCOME_RETRACTED
    assert release(stub, tenant).released_count == 0
    assert quarantine(stub, tenant).total_size == 0


def test_an_account_counts_what_its_people_count_and_is_ranked_apart(stub, tenant):
    score(stub, tenant, visit(1, "ann", 0, subjects=subjects("acme")))
    score(stub, tenant, visit(2, "bob", 5, subjects=subjects("acme")))
    score(stub, tenant, visit(3, "cid", 9, subjects=subjects("home")))
    score(stub, tenant, visit(3, "cid", 9, subjects=subjects("home")))
    acme = get_subject(stub, tenant, "acme", as_of=at(1000), view=api.PROFILE_VIEW_FULL)
    assert (acme.kind, acme.subject_id) == ("account", "acme")
    assert acme.event_count == 2
    people = [get(stub, tenant, person, as_of=at(1000)) for person in ("ann", "bob")]
    assert heat(acme) == pytest.approx(sum(map(heat, people)), rel=1e-12)
    assert acme.scores[0].percentile == 100
    assert [member.segment for member in acme.segments] == ["companies"]

    companies = segment(stub, tenant, "companies")
    ranked = [(found.rank, found.subject.kind, found.subject.subject_id)
              for found in companies.members]
    assert ranked == [(1, "account", "acme"), (2, "account", "home")]
    assert not companies.members[0].HasField("profile")
    everybody = segment(stub, tenant, "people")
    assert {found.profile.profile_id for found in everybody.members} == {"ann", "bob", "cid"}
    assert everybody.segment_size == 3
    assert funnel(stub, tenant) == 3
    first = segment(stub, tenant, "companies", page_size=1)
    second = segment(stub, tenant, "companies", page_size=1, page_token=first.next_page_token)
    assert second.members[0].subject.subject_id == "home"


def test_a_profile_may_state_its_account_and_an_account_what_it_is(stub, tenant):
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
    request.attributes.update({"company": "acme"})
    stub.UpdateProfile(request)
    score(stub, tenant, visit())
    acme = update_subject(stub, tenant, "acme", {"industry": "retail"})
    assert (acme.subject_id, acme.event_count) == ("acme", 1)
    assert acme.attributes["industry"] == "retail"
    # A person of the same name is somebody else.
    assert refused(get, stub, tenant, "acme").code == grpc.StatusCode.NOT_FOUND


def test_a_signal_reads_the_scores_of_the_account(stub, tenant):
    score(stub, tenant, visit(1, "bob", subjects=subjects("acme")))
    answer = score(stub, tenant, event("asks", "ann", "question", subjects=subjects("acme")))
    assert list(answer.matched_signals) == ["colleagues_came"]
    assert heat(get(stub, tenant, "ann", as_of=at(0))) == pytest.approx(4)
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="cid")
    request.attributes.update({"company": "acme"})
    stub.UpdateProfile(request)
    score(stub, tenant, event("asks", "cid", "question"))
    assert heat(get(stub, tenant, "cid", as_of=at(0))) == pytest.approx(8)


@pytest.mark.parametrize("change", [
    {"event_id": ""}, {"profile_id": ""}, {"type": ""}, {"profile_id": "\x01acme"},
    {"tags": ["t"] * 65}, {"subjects": subjects(*map(str, range(9)))},
])
def test_bad_retractions_are_refused(stub, tenant, change):
    made = visit()
    for name, value in change.items():
        made.ClearField(name)
        made.MergeFrom(api.Event(**{name: value}))
        invalid(retract, stub, tenant, made, field=f"event.{name}")


@pytest.mark.parametrize(("kind", "subject_id", "field"), [
    ("account", "a\x01", "subject_id"), ("account", "x" * 257, "subject_id"),
    ("account", "", "subject_id"), ("", "acme", "kind"), ("Account", "acme", "kind"),
    ("k" * 33, "acme", "kind"), ("1st", "acme", "kind"),
])
def test_a_malformed_subject_is_refused_wherever_it_is_named(
        stub, tenant, kind, subject_id, field):
    named = subjects("acme") + subjects(subject_id, kind=kind)
    for call in (score, retract):
        invalid(call, stub, tenant, visit(subjects=named), field=f"event.subjects[1].{field}")
    invalid(get_subject, stub, tenant, subject_id, kind, field=field)
    invalid(update_subject, stub, tenant, subject_id, {}, kind, field=field)
    assert refused(get, stub, tenant, "ann").code == grpc.StatusCode.NOT_FOUND


def test_an_unknown_subject_is_not_found_and_an_unknown_kind_names_the_known_ones(stub, tenant):
    score(stub, tenant, visit())
    refusal = refused(get_subject, stub, tenant, "acme")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_SUBJECT")
    stranger = get_subject(stub, tenant, "acme", or_default=True)
    assert (stranger.subject_id, stranger.exists, stranger.event_count) == ("acme", False, 0)
    for call in (lambda: get_subject(stub, tenant, "acme", "campaign"),
                 lambda: get_subject(stub, tenant, "acme", "campaign", or_default=True),
                 lambda: update_subject(stub, tenant, "acme", {"a": 1}, "campaign")):
        refusal = refused(call)
        assert refusal.code == grpc.StatusCode.NOT_FOUND
        assert refusal.reason == "UNKNOWN_KIND_OF_SUBJECTS"
        assert "account, content, brand" in refusal.message


def test_an_event_counts_for_the_subjects_of_every_kind(stub, tenant):
    named = subjects("zeta", "alpha", kind="brand")
    score(stub, tenant, visit(1, content_id="post-1", attributes={"brand": "Nike"}))
    score(stub, tenant, visit(2, content_id="post-1", attributes={"brand": "NIKE"}))
    answer = score(stub, tenant, visit(3, content_id="post-2", attributes={"brand": "Nike"},
                                       subjects=named))
    assert not answer.warnings

    def count(kind, subject_id):
        return get_subject(stub, tenant, subject_id, kind, or_default=True).event_count

    assert [count("content", "post-1"), count("content", "post-2")] == [2, 1]
    # Who names subjects of a kind is not asked for its key.
    assert [count("brand", name) for name in ("nike", "zeta", "alpha", "Nike")] == [2, 1, 1, 0]
    best = segment(stub, tenant, "best_content").members
    assert [found.subject.subject_id for found in best] == ["post-1", "post-2"]
    assert best[0].points == pytest.approx(2 * best[1].points)


def test_subjects_beyond_what_is_counted_are_told(stub, tenant):
    named = subjects(*[f"b{number}" for number in range(7)], kind="brand")
    made = visit(1, content_id="post-1", subjects=named + subjects("x", kind="campaign"))
    answer = score(stub, tenant, made)
    assert [warning.code for warning in answer.warnings] == ["UNDECLARED_SUBJECT_KIND"]
    assert "[subjects.campaign]" in answer.warnings[0].message
    assert get_subject(stub, tenant, "post-1", "content").event_count == 1
    named = subjects(*[f"b{number}" for number in range(8)], kind="brand")
    answer = score(stub, tenant, visit(2, content_id="post-1", subjects=named))
    assert [warning.code for warning in answer.warnings] == ["SUBJECTS_LEFT_OUT"]
    assert get_subject(stub, tenant, "b7", "brand").event_count == 1
    assert get_subject(stub, tenant, "post-1", "content").event_count == 1
    # The same subject twice is one.
    score(stub, tenant, visit(3, subjects=subjects("b7", "b7", kind="brand")))
    assert get_subject(stub, tenant, "b7", "brand").event_count == 2


def test_a_retraction_takes_from_the_subject_that_the_event_counted_for(stub, tenant):
    def works_for(company):
        request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
        request.attributes.update({"company": company})
        stub.UpdateProfile(request)

    def counts():
        return [get_subject(stub, tenant, company, or_default=True).event_count
                for company in ("acme", "home")]

    works_for("acme")
    score(stub, tenant, visit(1))
    works_for("home")
    score(stub, tenant, visit(2, second=1))
    held = visit(3, second=2, channel="robot")
    score(stub, tenant, held)
    assert counts() == [1, 1]
    works_for("elsewhere")
    assert score(stub, tenant, visit(1)).outcome == api.EVENT_OUTCOME_DUPLICATE
    release(stub, tenant)
    assert counts() == [1, 2]
    for made, expected in ((visit(1), [0, 2]), (held, [0, 1]), (visit(2, second=1), [0, 0])):
        assert retract(stub, tenant, made).outcome == api.RETRACTION_OUTCOME_RETRACTED
        assert counts() == expected
    assert not get_subject(stub, tenant, "elsewhere", or_default=True).exists


def test_a_signal_reads_what_its_subject_states(stub, tenant):
    inquiry = event("asks", "ann", "inquiry", subjects=subjects("acme"))
    assert not score(stub, tenant, inquiry).matched_signals
    update_subject(stub, tenant, "acme", {"staff": 500})
    inquiry.event_id = "asks again"
    assert list(score(stub, tenant, inquiry).matched_signals) == ["large_company_asked"]


def test_attributes_of_a_subject_are_removed_by_name(stub, tenant):
    update_subject(stub, tenant, "acme", {"industry": "retail", "staff": 5})
    changed = update_subject(stub, tenant, "acme", {"staff": 6}, remove_attributes=["industry"])
    assert as_json(changed)["attributes"] == {"staff": 6.0}
    silent = update_subject(stub, tenant, "acme", {}, response_view=api.RESPONSE_VIEW_NONE)
    assert silent == api.Subject()
    both = api.UpdateSubjectRequest(
        tenant=tenant, kind="account", subject_id="acme", remove_attributes=["staff"])
    both.attributes.update({"staff": 7})
    invalid(stub.UpdateSubject, both, field="remove_attributes[0]")


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


def test_errors_of_a_subject_name_it_as_its_caller_does(stub, tenant):
    refusal = refused(get_subject, stub, tenant, "nobody")
    assert refusal.message == 'there is no account "nobody"'
    score(stub, tenant, visit(subjects=subjects("acme")))
    refusal = refused(get_subject, stub, tenant, "acme", as_of=at(-5))
    assert refusal.reason == "AS_OF_BEFORE_LAST_EVENT" and "\\u" not in refusal.message
    refusal = refused(segment, stub, tenant, "companies", condition='stage == "awareness"')
    assert refusal.reason == "INVALID_CONDITION"
    refusal = refused(get, stub, tenant, "\x01account:acme")
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


def test_subjects_and_held_events_outlive_a_restart_and_a_move(tmp_path):
    model = tmp_path / "model.toml"
    model.write_text(MODEL)
    one, two = (tmp_path / name for name in ("one", "two"))
    with Server(one, model=model) as server:
        score(server.stub, "", visit(subjects=subjects("acme")))
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
    assert heat(get_subject(stub, "", "acme", as_of=at(0))) == 4
    assert segment(stub, "", "companies").members[0].subject.subject_id == "acme"
    assert segment(stub, "", "people").segment_size == 1
    assert quarantine(stub, "").profiles[0].profile_id == "ann"
    assert score(stub, "", visit(2, channel="robot")).outcome == api.EVENT_OUTCOME_DUPLICATE
