"""Every RPC, as a first caller in another language uses it, on the built-in model."""

import math
import time

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, as_json, event, get, invalid, score
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from server import SERVICE

FOUR_WEEKS = 28 * 86400


def at(second):
    return Timestamp(seconds=START + second)


def points(profile, name):
    return next(found.points for found in profile.scores if found.name == name)


def test_an_event_is_scored_and_read_back(stub, tenant):
    answer = score(stub, tenant, event(tags=["tools", "undeclared"]))
    assert answer.outcome == api.EVENT_OUTCOME_APPLIED
    assert list(answer.matched_signals) == ["asked", "looks_for_a_tool"]
    assert answer.stage_change.from_stage == "awareness"
    assert answer.stage_change.to_stage == "contributor"
    assert answer.profile.event_count == 1

    profile = get(stub, tenant, "ann", as_of=at(0), view=api.PROFILE_VIEW_FULL)
    assert [found.name for found in profile.scores] == ["engagement", "expertise", "fit"]
    assert points(profile, "engagement") == pytest.approx(8)
    assert points(profile, "fit") == 1
    assert profile.stage == "contributor"
    assert "contact_next" in [member.segment for member in profile.segments]
    assert [topic.topic for topic in profile.interests] == ["tools"]
    assert profile.first_seen_time == profile.last_event_time == at(0)
    assert profile.as_of == at(0)


def test_the_full_view_explains_the_points(stub, tenant):
    score(stub, tenant, event())
    score(stub, tenant, event("answer-1", event_type="answer", attributes={"length": 1000}))
    profile = get(stub, tenant, "ann", as_of=at(0), view=api.PROFILE_VIEW_FULL)
    engagement = profile.scores[0]
    terms = {term.name: (term.count, term.weight, term.points)
             for term in engagement.contributions}
    assert terms == {"asked": (1, 6, 6), "answered": (2, 5, 10)}
    assert engagement.points == pytest.approx(engagement.base + 16)
    assert engagement.percentile == 100


def test_the_full_view_tells_kinds_limits_and_why_the_stage(stub, tenant):
    for number in range(4):  # three steps of a newcomer count, the fourth does not
        score(stub, tenant, event(f"badge-{number}", event_type="badge", attributes={
            "badge": "Supporter", "grade": "bronze"}))
    profile = get(stub, tenant, "ann", as_of=at(0), view=api.PROFILE_VIEW_FULL)
    (term,) = profile.scores[0].contributions
    assert (term.name, term.kind) == ("took_a_first_step", api.CONTRIBUTION_KIND_SIGNAL)
    assert (term.count, term.limit, term.capped_count) == (3, 3, 1)
    assert not term.keys
    update(stub, tenant, {"location": "Oslo"})
    full = get(stub, tenant, "ann", as_of=at(0), view=api.PROFILE_VIEW_FULL)
    (rule,) = full.scores[2].contributions
    assert (rule.name, rule.kind) == ("says_where", api.CONTRIBUTION_KIND_ATTRIBUTE_RULE)
    assert (rule.count, rule.weight, rule.HasField("limit")) == (1, 0.5, False)

    assert profile.stage == "consideration"
    current, following = profile.stage_explanation.current, profile.stage_explanation.next
    assert (current.stage, current.when, current.when_holds) == ("consideration", "", True)
    assert (current.score, current.min, current.points) == ("engagement", 1, pytest.approx(6))
    assert current.missing_points == 0
    assert (following.stage, following.when_holds) == ("contributor", False)
    assert "question" in following.when and following.score == ""
    assert not get(stub, tenant, "ann").HasField("stage_explanation")
    # Neither identity nor calibration is in this model.
    assert not profile.HasField("identity_confidence")
    assert not profile.scores[0].HasField("probability")


def test_the_basic_view_holds_points_only(stub, tenant):
    score(stub, tenant, event())
    for view in (api.PROFILE_VIEW_UNSPECIFIED, api.PROFILE_VIEW_BASIC):
        for found in get(stub, tenant, "ann", view=view).scores:
            assert not found.contributions
            assert not found.HasField("percentile")


def test_points_halve_with_each_half_life_without_a_write(stub, tenant):
    score(stub, tenant, event())
    for half_lives in range(5):
        profile = get(stub, tenant, "ann", as_of=at(half_lives * FOUR_WEEKS))
        assert points(profile, "engagement") == pytest.approx(6 / 2**half_lives, rel=1e-9)
    assert points(get(stub, tenant, "ann", as_of=at(100 * FOUR_WEEKS)), "engagement") == 0


def test_an_event_without_time_takes_its_arrival(stub, tenant):
    made = event()
    made.ClearField("time")
    before = time.time()
    answer = score(stub, tenant, made)
    arrived = answer.profile.last_event_time.ToNanoseconds() / 1e9
    assert before - 1 <= arrived <= time.time() + 1


def test_an_event_slightly_ahead_takes_its_arrival(stub, tenant):
    made = event()
    made.time.seconds = int(time.time()) + 60
    answer = score(stub, tenant, made)
    assert answer.outcome == api.EVENT_OUTCOME_APPLIED
    assert answer.profile.last_event_time.seconds <= time.time() + 1


def test_a_repeat_is_answered_and_not_counted(stub, tenant):
    first = score(stub, tenant, event())
    before = get(stub, tenant, "ann", as_of=at(100), view=api.PROFILE_VIEW_FULL)
    for _ in range(3):
        repeat = score(stub, tenant, event())
        assert repeat.outcome == api.EVENT_OUTCOME_DUPLICATE
        assert repeat.profile.event_count == 1
        assert repeat.matched_signals == first.matched_signals != []
        assert repeat.HasField("stage_change") == first.HasField("stage_change")
        assert repeat.stage_change == first.stage_change
    assert get(stub, tenant, "ann", as_of=at(100), view=api.PROFILE_VIEW_FULL) == before


def test_an_event_that_is_sent_again_without_time_counts_once(stub, tenant):
    timeless = event()
    timeless.ClearField("time")
    assert score(stub, tenant, timeless).outcome == api.EVENT_OUTCOME_APPLIED
    for _ in range(3):
        assert score(stub, tenant, timeless).outcome == api.EVENT_OUTCOME_DUPLICATE
    other = event("event-2")
    other.ClearField("time")
    assert score(stub, tenant, other).outcome == api.EVENT_OUTCOME_APPLIED
    assert get(stub, tenant, "ann").event_count == 2


def test_a_profile_says_since_when_it_stands_at_its_stage(stub, tenant):
    change = score(stub, tenant, event(second=7)).stage_change
    assert (change.to_stage, change.time.seconds) == ("contributor", START + 7)
    profile = get(stub, tenant, "ann", view=api.PROFILE_VIEW_FULL)
    assert profile.stage == "contributor"
    assert profile.stage_entered_time.seconds == START + 7
    assert profile.stage_changes[-1] == change
    basic = get(stub, tenant, "ann")
    assert basic.stage_entered_time == profile.stage_entered_time
    assert not basic.stage_changes


def test_the_same_event_id_of_another_person_counts(stub, tenant):
    score(stub, tenant, event())
    assert score(stub, tenant, event(profile_id="bob")).outcome == api.EVENT_OUTCOME_APPLIED


def test_what_is_older_than_the_memory_is_ignored_and_said_so(stub, tenant):
    requests = [api.ScoreEventsRequest(tenant=tenant, events=[
        event(f"event-{number}", second=10 + number) for number in range(300)])]
    for response in stub.ScoreEvents(iter(requests)):
        assert len(response.results) == 300
    answer = score(stub, tenant, event("late", second=0))
    assert answer.outcome == api.EVENT_OUTCOME_IGNORED
    assert answer.ignored_reason == api.IGNORED_REASON_TOO_OLD
    assert answer.profile.event_count == 300


def test_a_late_event_counts_as_if_it_had_come_in_its_time(stub, tenant):
    score(stub, tenant, event("new", second=FOUR_WEEKS))
    score(stub, tenant, event("old", second=0))
    profile = get(stub, tenant, "ann", as_of=at(FOUR_WEEKS))
    assert points(profile, "engagement") == pytest.approx(6 + 3)


def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(stub, tenant):
    bad = event("bad")
    bad.type = ""
    requests = [
        api.ScoreEventsRequest(tenant=tenant, events=[event("a"), bad, event("b")]),
        api.ScoreEventsRequest(tenant=tenant, events=[event("a"), event("c", "bob")]),
    ]
    first, second = stub.ScoreEvents(iter(requests))
    assert [result.WhichOneof("result") for result in first.results] == [
        "response", "error", "response"]
    assert first.results[1].error.code == 3  # INVALID_ARGUMENT
    assert "type" in first.results[1].error.message
    assert [result.response.profile.event_count for result in first.results] == [1, 0, 2]
    assert second.results[0].response.outcome == api.EVENT_OUTCOME_DUPLICATE
    assert second.results[1].response.profile.profile_id == "bob"


def test_many_requests_of_a_stream_are_in_flight(stub, tenant):
    count = 200
    requests = (
        api.ScoreEventsRequest(tenant=tenant, events=[
            event(f"{number}-{person}", f"person-{person}", second=number)
            for person in range(5)])
        for number in range(count))
    seen = [result.response.profile.profile_id
            for response in stub.ScoreEvents(requests) for result in response.results]
    assert seen == [f"person-{person}" for person in range(5)] * count
    assert get(stub, tenant, "person-0").event_count == count


def test_a_stream_of_small_requests_is_slowed_down_and_not_cut(stub, tenant):
    requests = [api.ScoreEventsRequest(tenant=tenant, events=[event(str(number), second=number)])
                for number in range(3000)]
    assert sum(len(response.results) for response in stub.ScoreEvents(iter(requests))) == 3000


def test_profiles_are_read_in_the_order_asked_for(stub, tenant):
    for second, name in enumerate(("ann", "bob", "late")):
        score(stub, tenant, event(profile_id=name, second=second))
    ids = ["nobody", "bob", "late", "ann", "bob"]

    def codes(**fields):
        answer = stub.BatchGetProfiles(api.BatchGetProfilesRequest(
            tenant=tenant, profile_ids=ids, **fields))
        return answer.results, [
            result.error.code if result.HasField("error") else result.profile.profile_id
            for result in answer.results]

    not_found = grpc.StatusCode.NOT_FOUND.value[0]
    too_early = grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert codes()[1] == [not_found, "bob", "late", "ann", "bob"]
    results, found = codes(as_of=at(1))
    assert found == [not_found, "bob", too_early, "ann", "bob"]
    assert '"nobody"' in results[0].error.message and '"late"' in results[2].error.message
    assert results[2].error.details
    assert not results[1].profile.scores[0].contributions
    results, found = codes(as_of=at(2), view=api.PROFILE_VIEW_FULL)
    for result in results[1:]:
        assert result.profile == get(stub, tenant, result.profile.profile_id, as_of=at(2),
                                     view=api.PROFILE_VIEW_FULL)
        assert result.profile.scores[0].HasField("percentile")


def update(stub, tenant, attributes, remove=()):
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
    request.attributes.update(attributes)
    request.remove_attributes.extend(remove)
    return stub.UpdateProfile(request).profile


def test_attributes_create_merge_and_remove(stub, tenant):
    assert points(update(stub, tenant, {"location": "Oslo", "nick": None}), "fit") == 1.5
    assert as_json(update(stub, tenant, {"joined_week": 1}))["attributes"] == {
        "location": "Oslo", "joined_week": 1}
    # A name that JSON would fold (`crmId`, `crm_id`) is taken as it is.
    update(stub, tenant, {"crmId": 1, "crm_id": 2})
    assert "crmId" not in update(stub, tenant, {}, ["crmId"]).attributes
    profile = update(stub, tenant, {"joined_week": 5}, ["location", "crm_id", "never_stated"])
    assert as_json(profile)["attributes"] == {"joined_week": 5}
    assert points(profile, "fit") == 1
    assert profile.event_count == 0
    assert not profile.HasField("first_seen_time")
    assert profile.stage == "awareness"


def test_who_states_nothing_any_more_is_found_and_stands_nowhere(stub, tenant):
    update(stub, tenant, {"location": "Oslo"})
    update(stub, tenant, {}, ["location"])
    profile = get(stub, tenant, "ann")
    assert profile.exists
    assert (profile.stage, profile.event_count) == ("", 0)
    funnel = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant))
    assert sum(stage.count for stage in funnel.stages) + funnel.unstaged_count == 0


def fill(stub, tenant, people=7):
    """People with one question each, the later the more points."""
    for number in range(people):
        score(stub, tenant, event(profile_id=f"person-{number}", second=number * 86400))


def rank(stub, tenant, **fields):
    return stub.RankSegment(api.RankSegmentRequest(
        tenant=tenant, segment="contact_next", as_of=at(10 * 86400), **fields))


def test_a_segment_is_read_in_pages(stub, tenant):
    fill(stub, tenant)
    members, token = [], ""
    for expected in (3, 3, 1):
        page = rank(stub, tenant, page_size=3, page_token=token)
        assert len(page.members) == expected
        assert page.segment_size == 7
        members += [(member.rank, member.profile.profile_id) for member in page.members]
        token = page.next_page_token
    assert token == ""
    assert members == [(1 + number, f"person-{6 - number}") for number in range(7)]


def test_a_share_of_a_segment_is_read_in_pages_of_any_size(stub, tenant):
    fill(stub, tenant)
    for fraction, expected in ((0.01, 1), (0.5, 4), (1.0, 7)):
        read, token, page_size = [], "", 2
        while True:
            page = rank(stub, tenant, fraction=fraction, page_size=page_size, page_token=token)
            assert page.segment_size == 7
            read += [member.profile.profile_id for member in page.members]
            token, page_size = page.next_page_token, page_size + 1
            if not token:
                break
        assert read == [f"person-{6 - number}" for number in range(expected)], fraction
    first = rank(stub, tenant, fraction=0.5, page_size=1)
    refusal = invalid(stub.RankSegment, api.RankSegmentRequest(
        tenant=tenant, segment="contact_next", as_of=at(10 * 86400),
        page_token=first.next_page_token))
    assert refusal.reason == "FOREIGN_PAGE_TOKEN"


def test_a_member_has_the_points_that_its_segment_ranks_by(stub, tenant):
    update(stub, tenant, {"location": "Oslo"})
    score(stub, tenant, event())
    (member,) = stub.RankSegment(api.RankSegmentRequest(
        tenant=tenant, segment="contact_next", as_of=at(0))).members
    assert member.points == pytest.approx(6 * 1.5)
    assert not member.HasField("probability")


def test_the_topics_of_a_segment_are_added_up_over_its_highest_members(stub, tenant):
    for number, topics in enumerate((["tools"], ["tools", "tags"], ["tags", "scope"])):
        score(stub, tenant, event(profile_id=f"person-{number}", second=number * 86400,
                                  tags=topics))
    def ask(**fields):
        return stub.GetSegmentTopics(api.GetSegmentTopicsRequest(
            tenant=tenant, segment="contact_next", as_of=at(2 * 86400), **fields))
    answer = ask()
    assert (answer.members, answer.segment_size) == (3, 3)
    day = math.exp2(-1 / 30)
    assert [(topic.topic, topic.members, topic.points) for topic in answer.topics] == [
        ("tags", 2, pytest.approx(1 + day)),
        ("tools", 2, pytest.approx(day + day**2)),
        ("scope", 1, pytest.approx(1)),
    ]
    # The one who asked about a tool ranks above the one who asked a day later about none.
    answer = ask(members=1)
    assert (answer.members, answer.segment_size) == (1, 3)
    assert [topic.topic for topic in answer.topics] == ["tags", "tools"]


def test_equals_of_a_segment_stand_in_the_order_of_their_ids(stub, tenant):
    for name in ("cid", "ann", "bob"):
        score(stub, tenant, event(profile_id=name))
    page = rank(stub, tenant, page_size=1)
    names = [page.members[0].profile.profile_id]
    while page.next_page_token:
        page = rank(stub, tenant, page_size=1, page_token=page.next_page_token)
        names += [member.profile.profile_id for member in page.members]
    assert names == ["ann", "bob", "cid"]


def test_members_of_a_segment_are_listed_by_stage(stub, tenant):
    fill(stub, tenant, 2)
    score(stub, tenant, event("badge", "newcomer", "badge", second=8 * 86400, attributes={
        "badge": "Supporter", "grade": "bronze"}))
    score(stub, tenant, event("badge-2", "newcomer", "badge", second=8 * 86400, attributes={
        "badge": "Autobiographer", "grade": "bronze"}))
    page = rank(stub, tenant, condition='stage == "consideration"', view=api.PROFILE_VIEW_FULL)
    assert [(member.rank, member.profile.profile_id) for member in page.members] == [
        (3, "newcomer")]
    assert page.segment_size == 3
    assert page.members[0].profile.scores[0].contributions


def test_the_funnel_counts_everybody_once(stub, tenant):
    fill(stub, tenant, 3)
    update(stub, tenant, {"location": "Oslo"})
    answer = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant, as_of=at(86400 * 3)))
    assert [(stage.stage, stage.count) for stage in answer.stages] == [
        ("awareness", 1), ("consideration", 0), ("contributor", 3), ("advocate", 0)]
    assert answer.unstaged_count == 0


def test_an_empty_tenant_has_an_empty_funnel(stub, tenant):
    answer = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant))
    assert [stage.count for stage in answer.stages] == [0, 0, 0, 0]


def influencers(stub, tenant, **fields):
    return stub.TopInfluencers(api.TopInfluencersRequest(
        tenant=tenant, topic="tools", as_of=at(100), **fields))


def test_influence_is_credited_by_evidence(stub, tenant):
    request = api.UpdateProfileRequest(tenant=tenant, profile_id="author")
    request.attributes.update({"profile_views": 40})
    stub.UpdateProfile(request)
    # Two comments touch ann; a question makes her a contributor, so both share an advance.
    for number, author in enumerate(("author", "other")):
        score(stub, tenant, event(f"comment-{number}", event_type="comment", second=0,
                                  author_id=author, tags=["tools"], attributes={"length": 5}))
    score(stub, tenant, event("own", event_type="comment", second=0, author_id="ann",
                              tags=["tools"], attributes={"length": 5}))
    score(stub, tenant, event("question", second=100))
    answer = influencers(stub, tenant)
    found = {author.profile.profile_id: author for author in answer.influencers}
    assert found.keys() == {"author", "other"}
    author = found["author"]
    assert author.touches == 1
    assert author.advances == pytest.approx(0.5)
    assert author.reach == 40
    assert found["other"].reach == 0
    mean = 1 / 2
    assert author.influence_probability == pytest.approx((0.5 + 10 * mean) / 11)
    faded = math.exp2(-100 / (30 * 86400))
    assert author.influence == pytest.approx(faded * 1 + 10 * 0.5)
    # She stood in awareness when she was touched, or higher once her points allowed it.
    assert [a.profile.profile_id for a in influencers(
        stub, tenant, stage="awareness", page_size=1).influencers]
    assert not influencers(stub, tenant, stage="advocate").influencers


def test_only_the_latest_32_touches_share_an_advance(stub, tenant):
    requests = [api.ScoreEventsRequest(tenant=tenant, events=[
        event(f"comment-{number}", event_type="comment", second=number, tags=["tools"],
              author_id=f"author-{number:02}", attributes={"length": 5})
        for number in range(40)])]
    assert len(list(stub.ScoreEvents(iter(requests)))) == 1
    score(stub, tenant, event("question", second=100))
    found = {author.profile.profile_id: author for author in influencers(stub, tenant).influencers}
    assert len(found) == 40
    assert all(author.touches == 1 for author in found.values())
    advanced = {name for name, author in found.items() if author.advances > 0}
    assert advanced == {f"author-{number:02}" for number in range(8, 40)}
    assert sum(author.advances for author in found.values()) == pytest.approx(1, abs=32e-6)


def test_an_advance_is_shared_once(stub, tenant):
    score(stub, tenant, event("comment", event_type="comment", author_id="author",
                              tags=["tools"], attributes={"length": 5}))
    for number in range(3):  # the first makes her a contributor, the third an advocate at most
        score(stub, tenant, event(f"question-{number}", second=1 + number))
    (author,) = influencers(stub, tenant).influencers
    assert (author.touches, author.advances) == (1, 1)
    assert author.influence_probability == 1


def test_tenants_do_not_see_each_other(stub, tenant):
    score(stub, tenant, event())
    answer = stub.BatchGetProfiles(api.BatchGetProfilesRequest(
        tenant=f"{tenant}-other", profile_ids=["ann"]))
    (result,) = answer.results
    assert result.error.code == grpc.StatusCode.NOT_FOUND.value[0]


def test_an_empty_tenant_is_the_default_one(stub):
    score(stub, "", event(profile_id="somebody of the default tenant"))
    assert get(stub, "default", "somebody of the default tenant").event_count == 1


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_serving(server, service):
    answer = server.health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_and_describes_the_service(server):
    database = ProtoReflectionDescriptorDatabase(server.channel)
    services = database.get_services()
    assert SERVICE in services
    assert "grpc.health.v1.Health" in services
    # How a record is stored is nobody else's business.
    with pytest.raises((KeyError, grpc.RpcError)) as unknown:
        database.FindFileContainingSymbol("bellwether.record.v1.Record")
    assert "not found" in str(unknown.value)
    described = DescriptorPool(database).FindServiceByName(SERVICE)
    assert {method.name for method in described.methods} == {
        method.name for method in api.DESCRIPTOR.services_by_name["ScoringService"].methods}


def test_a_write_answers_as_much_of_the_profile_as_is_asked_for(stub, tenant):
    def answers(number, view):
        """What each kind of write answers."""
        made = event(f"single-{number}", second=number)
        yield stub.ScoreEvent(api.ScoreEventRequest(
            tenant=tenant, event=made, response_view=view))
        request = api.ScoreEventsRequest(tenant=tenant, response_view=view, events=[
            event(f"stream-{number}", second=number)])
        ((result,),) = [answer.results for answer in stub.ScoreEvents(iter([request]))]
        yield result.response
        yield stub.UpdateProfile(api.UpdateProfileRequest(
            tenant=tenant, profile_id="ann", response_view=view))
        yield stub.RetractEvent(api.RetractEventRequest(
            tenant=tenant, event=made, response_view=view))

    for number, view in enumerate([
            api.RESPONSE_VIEW_UNSPECIFIED, api.RESPONSE_VIEW_NONE, api.RESPONSE_VIEW_BASIC,
            api.RESPONSE_VIEW_FULL]):
        for answer in answers(number, view):
            assert answer.HasField("profile") == (view != api.RESPONSE_VIEW_NONE)
            if answer.HasField("profile"):
                engagement, _, fit = answer.profile.scores
                is_full = view == api.RESPONSE_VIEW_FULL
                assert fit.HasField("percentile") == is_full
                assert bool(engagement.contributions) == is_full
    full = get(stub, tenant, "ann", view=api.PROFILE_VIEW_FULL).scores[0]
    assert [term.name for term in full.contributions] == [
        term.name for term in engagement.contributions]
    refusal = invalid(stub.ScoreEvent, api.ScoreEventRequest(
        tenant=tenant, event=event(), response_view=9))
    assert list(refusal.bad_fields) == ["response_view"]


def test_a_batch_of_updates_is_answered_one_by_one(stub, tenant):
    def made(profile_id, attributes, remove=()):
        update = api.ProfileUpdate(profile_id=profile_id, remove_attributes=remove)
        update.attributes.update(attributes)
        return update

    request = api.BatchUpdateProfilesRequest(tenant=tenant, updates=[
        made("ann", {"location": "Oslo", "nick": "a"}),
        made("bob", {"crmId": 7}, ["crmId"]),
        made("", {"location": "Rome"}),
        made("ann", {"joined_week": 1}, ["nick"]),
        made("cid", {}),
    ])
    first, refused, nobody, second, cid = stub.BatchUpdateProfiles(request).results
    assert as_json(first.response.profile)["attributes"] == {"location": "Oslo", "nick": "a"}
    assert as_json(second.response.profile)["attributes"] == {
        "location": "Oslo", "joined_week": 1}
    assert cid.response.profile.profile_id == "cid"
    for result, code in ((refused, grpc.StatusCode.INVALID_ARGUMENT),
                         (nobody, grpc.StatusCode.INVALID_ARGUMENT)):
        assert result.error.code == code.value[0]
        assert result.error.details
    assert "updates[1].remove_attributes[0]" in refused.error.message
    assert "updates[2].profile_id" in nobody.error.message

    request.response_view = api.RESPONSE_VIEW_NONE
    results = stub.BatchUpdateProfiles(request).results
    assert [result.WhichOneof("result") for result in results] == [
        "response", "error", "error", "response", "response"]
    assert not any(result.response.HasField("profile") for result in results)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_holds_1_to_1000_updates(stub, tenant, count):
    updates = [api.ProfileUpdate(profile_id=f"person-{number}") for number in range(count)]
    refusal = invalid(stub.BatchUpdateProfiles, api.BatchUpdateProfilesRequest(
        tenant=tenant, updates=updates))
    assert list(refusal.bad_fields) == ["updates"]


def test_a_stranger_is_answered_as_everybody_starts_when_asked_for(stub, tenant):
    assert score(stub, tenant, event()).profile.exists
    assert get(stub, tenant, "ann").exists
    stranger = get(stub, tenant, "nobody", as_of=at(7), or_default=True)
    assert (stranger.profile_id, stranger.exists, stranger.as_of) == ("nobody", False, at(7))
    assert (points(stranger, "engagement"), points(stranger, "fit")) == (0, 1)
    assert not stranger.stage and not stranger.segments
    full = get(stub, tenant, "nobody", view=api.PROFILE_VIEW_FULL, or_default=True)
    assert full.scores[2].base == 1 and not full.scores[2].HasField("percentile")
    answer = stub.BatchGetProfiles(api.BatchGetProfilesRequest(
        tenant=tenant, profile_ids=["nobody", "ann"], or_default=True))
    assert [result.profile.exists for result in answer.results] == [False, True]
    # Nothing was made of it.
    answer = stub.BatchGetProfiles(api.BatchGetProfilesRequest(
        tenant=tenant, profile_ids=["nobody"]))
    assert answer.results[0].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    funnel = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant))
    assert sum(stage.count for stage in funnel.stages) + funnel.unstaged_count == 1
