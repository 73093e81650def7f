"""Everything malformed is refused with its own clear error, and nothing is written."""

import math
import threading
import time

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, Refusal, event, get, invalid, refused, score
from google.protobuf.timestamp_pb2 import Timestamp
from server import SERVICE

MAX_ID = 256
FUTURE = 4_102_444_800  # 2100-01-01


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def with_time(seconds, nanos=0):
    made = event()
    made.time.CopyFrom(Timestamp(seconds=seconds, nanos=nanos))
    return made


def without(field):
    made = event()
    made.ClearField(field)
    return made


# name: (the field that must be named, the event)
BAD_EVENTS = {
    "no event id": ("event_id", lambda: without("event_id")),
    "no profile id": ("profile_id", lambda: without("profile_id")),
    "no type": ("type", lambda: without("type")),
    "an event id over the limit": ("event_id", lambda: event("x" * (MAX_ID + 1))),
    "a profile id over the limit": ("profile_id", lambda: event(profile_id="x" * (MAX_ID + 1))),
    "a profile id over the limit in bytes": (
        "profile_id", lambda: event(profile_id="é" * (MAX_ID // 2 + 1))),
    "a profile id with a line break": ("profile_id", lambda: event(profile_id="an\nn")),
    "an event id with a zero": ("event_id", lambda: event("a\0b")),
    "a type over the limit": ("type", lambda: event(event_type="x" * 65)),
    "a channel over the limit": ("channel", lambda: event(channel="x" * 65)),
    "a text over the limit": ("text", lambda: event(text="x" * (64 * 1024 + 1))),
    "too many tags": ("tags", lambda: event(tags=["tools"] * 65)),
    "a tag over the limit": ("tags", lambda: event(tags=["x" * 129])),
    "an author id over the limit": ("author_id", lambda: event(author_id="x" * (MAX_ID + 1))),
    "a content id over the limit": ("content_id", lambda: event(content_id="x" * (MAX_ID + 1))),
    "a campaign id over the limit": ("campaign_id", lambda: event(campaign_id="x" * (MAX_ID + 1))),
    "a sentiment above 1": ("sentiment", lambda: event(sentiment=1.01)),
    "a sentiment below -1": ("sentiment", lambda: event(sentiment=-1.01)),
    "a sentiment that is no number": ("sentiment", lambda: event(sentiment=math.nan)),
    "an infinite sentiment": ("sentiment", lambda: event(sentiment=math.inf)),
    "a time before 1970": ("time", lambda: with_time(-1)),
    "negative nanos": ("time", lambda: with_time(START, -1)),
    "nanos of a whole second": ("time", lambda: with_time(START, 1_000_000_000)),
    "a time beyond the skew": ("time", lambda: with_time(int(time.time()) + 3600)),
    "a time in the year 2100": ("time", lambda: with_time(FUTURE)),
    "a time beyond what nanoseconds hold": ("time", lambda: with_time(253_402_300_799)),
    "an attribute that is no number": ("attributes", lambda: event(attributes={"x": math.nan})),
    "an infinite attribute": ("attributes", lambda: event(attributes={"x": {"y": [math.inf]}})),
    "too many attributes": (
        "attributes", lambda: event(attributes={f"a{n}": n for n in range(65)})),
    "attributes nested too deep": ("attributes", lambda: event(attributes={"x": nested(9)})),
    "attributes that are too large": (
        "attributes", lambda: event(attributes={"x": "y" * 16 * 1024})),
    "an attribute without a name": ("attributes", lambda: event(attributes={"": 1})),
}


def names(refusal, field):
    """Whether an error names a field, alone or within a path such as `event.time.nanos`."""
    return any(field in path.replace("[", ".").split(".") for path in refusal.bad_fields)


def assert_nothing_written(stub, tenant):
    funnel = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant))
    assert sum(stage.count for stage in funnel.stages) + funnel.unstaged_count == 0


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_an_event_is_refused_with(stub, tenant, what):
    field, make = BAD_EVENTS[what]
    refusal = invalid(score, stub, tenant, make())
    assert names(refusal, field), refusal.bad_fields
    assert_nothing_written(stub, tenant)


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_a_stream_refuses_and_goes_on_after(stub, tenant, what):
    field, make = BAD_EVENTS[what]
    request = api.ScoreEventsRequest(tenant=tenant, events=[make(), event(profile_id="good")])
    (response,) = stub.ScoreEvents(iter([request]))
    bad, good = response.results
    assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert bad.error.details, "without details"
    assert field in bad.error.message or any(
        field.encode() in detail.value for detail in bad.error.details)
    assert good.response.outcome == api.EVENT_OUTCOME_APPLIED
    funnel = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant))
    assert sum(stage.count for stage in funnel.stages) == 1


def test_what_is_just_within_the_limits_is_taken(stub, tenant):
    made = event(
        "é" * (MAX_ID // 2), "x" * MAX_ID, "question", channel="x" * 64, text="x" * 64 * 1024,
        tags=["x" * 128] * 64, author_id="y" * MAX_ID, content_id="z" * MAX_ID, campaign_id="c" * MAX_ID,
        sentiment=-1.0,
        attributes={f"a{n}": n for n in range(63)} | {"nested": nested(7)})
    made.time.nanos = 999_999_999
    assert score(stub, tenant, made).outcome == api.EVENT_OUTCOME_APPLIED


def test_several_mistakes_of_an_event_are_named_at_once(stub, tenant):
    made = event(sentiment=2.0)
    made.event_id = made.type = ""
    refusal = invalid(score, stub, tenant, made)
    for field in ("event_id", "type", "sentiment"):
        assert names(refusal, field), refusal.bad_fields


def test_a_request_without_an_event_is_refused(stub, tenant):
    refusal = invalid(stub.ScoreEvent, api.ScoreEventRequest(tenant=tenant))
    assert names(refusal, "event")


BAD_TENANTS = ["a{b}", "{", "Upper", "with space", "line\nbreak", "zero\0", "a/b", "a:b", "ü",
               "x" * 65]


@pytest.mark.parametrize("tenant", BAD_TENANTS)
def test_every_call_refuses_the_tenant(stub, tenant):
    for call, request in (
        (stub.ScoreEvent, api.ScoreEventRequest(event=event())),
        (stub.GetProfile, api.GetProfileRequest(profile_id="ann")),
        (stub.BatchGetProfiles, api.BatchGetProfilesRequest(profile_ids=["ann"])),
        (stub.UpdateProfile, api.UpdateProfileRequest(profile_id="ann")),
        (stub.BatchUpdateProfiles, api.BatchUpdateProfilesRequest(
            updates=[api.ProfileUpdate(profile_id="ann")])),
        (stub.RankSegment, api.RankSegmentRequest(segment="experts")),
        (stub.GetFunnel, api.GetFunnelRequest()),
        (stub.TopInfluencers, api.TopInfluencersRequest(topic="tools")),
        (stub.GetCatalog, api.GetCatalogRequest()),
    ):
        request.tenant = tenant
        refusal = invalid(call, request)
        assert names(refusal, "tenant"), (call, refusal.bad_fields)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_request_of_a_stream_holds_1_to_1000_events(stub, tenant, count):
    request = api.ScoreEventsRequest(
        tenant=tenant, events=[event(f"event-{number}") for number in range(count)])
    refusal = invalid(lambda: list(stub.ScoreEvents(iter([request]))))
    assert names(refusal, "events")
    assert_nothing_written(stub, tenant)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_holds_1_to_1000_ids(stub, tenant, count):
    refusal = invalid(stub.BatchGetProfiles, api.BatchGetProfilesRequest(
        tenant=tenant, profile_ids=[f"person-{number}" for number in range(count)]))
    assert names(refusal, "profile_ids")


def test_ids_of_reads_are_checked(stub, tenant):
    assert names(invalid(stub.GetProfile, api.GetProfileRequest(tenant=tenant)), "profile_id")
    assert names(invalid(stub.GetProfile, api.GetProfileRequest(
        tenant=tenant, profile_id="x" * (MAX_ID + 1))), "profile_id")
    assert names(invalid(stub.BatchGetProfiles, api.BatchGetProfilesRequest(
        tenant=tenant, profile_ids=["ann", ""])), "profile_ids")


BAD_UPDATES = {
    "no profile id": ("profile_id", "", {"x": 1}, []),
    "a profile id over the limit": ("profile_id", "x" * (MAX_ID + 1), {"x": 1}, []),
    "too many attributes": ("attributes", "ann", {f"a{n}": n for n in range(65)}, []),
    "attributes nested too deep": ("attributes", "ann", {"x": nested(9)}, []),
    "attributes that are too large": ("attributes", "ann", {"x": "y" * 16 * 1024}, []),
    "an attribute that is no number": ("attributes", "ann", {"x": math.nan}, []),
    "an empty name to remove": ("remove_attributes", "ann", {"x": 1}, [""]),
    "too many names to remove": ("remove_attributes", "ann", {"x": 1}, ["y"] * 65),
    "a name that is set and removed": ("remove_attributes", "ann", {"x": 1, "y": 2}, ["z", "x"]),
}


@pytest.mark.parametrize("what", BAD_UPDATES)
def test_an_update_is_refused_with(stub, tenant, what):
    field, profile_id, attributes, removed = BAD_UPDATES[what]
    request = api.UpdateProfileRequest(tenant=tenant, profile_id=profile_id)
    request.attributes.update(attributes)
    request.remove_attributes.extend(removed)
    refusal = invalid(stub.UpdateProfile, request)
    assert names(refusal, field), refusal.bad_fields
    assert_nothing_written(stub, tenant)


def test_attributes_may_not_outgrow_the_limits_by_merging(stub, tenant):
    def update(start):
        request = api.UpdateProfileRequest(tenant=tenant, profile_id="ann")
        request.attributes.update({f"a{n}": n for n in range(start, start + 40)})
        return stub.UpdateProfile(request)

    update(0)
    refusal = invalid(update, 40)
    assert names(refusal, "attributes")
    assert len(get(stub, tenant, "ann").attributes) == 40


def test_a_page_size_below_0_is_refused_and_above_1000_is_1000(stub, tenant):
    segment = api.RankSegmentRequest(tenant=tenant, segment="experts")
    topic = api.TopInfluencersRequest(tenant=tenant, topic="tools")
    for call, request in [(stub.RankSegment, segment), (stub.TopInfluencers, topic)]:
        request.page_size = -1
        assert names(invalid(call, request), "page_size")
        request.page_size = 1_001
        call(request)


@pytest.mark.parametrize("view", [3, 77, -1])
def test_an_unknown_view_is_refused(stub, tenant, view):
    score(stub, tenant, event())
    assert names(invalid(stub.GetProfile, api.GetProfileRequest(
        tenant=tenant, profile_id="ann", view=view)), "view")
    assert names(invalid(stub.RankSegment, api.RankSegmentRequest(
        tenant=tenant, segment="experts", view=view)), "view")


@pytest.mark.parametrize("stamp", [
    Timestamp(seconds=-1), Timestamp(seconds=START, nanos=-1),
    Timestamp(seconds=START, nanos=1_000_000_000)], ids=str)
def test_a_malformed_instant_is_refused(stub, tenant, stamp):
    score(stub, tenant, event())
    for call, request in (
        (stub.GetProfile, api.GetProfileRequest(profile_id="ann")),
        (stub.BatchGetProfiles, api.BatchGetProfilesRequest(profile_ids=["ann"])),
        (stub.RankSegment, api.RankSegmentRequest(segment="experts")),
        (stub.GetSegmentTopics, api.GetSegmentTopicsRequest(segment="experts")),
        (stub.GetFunnel, api.GetFunnelRequest()),
        (stub.TopInfluencers, api.TopInfluencersRequest(topic="tools")),
    ):
        request.tenant = tenant
        request.as_of.CopyFrom(stamp)
        assert names(invalid(call, request), "as_of"), call


def test_an_instant_before_the_last_event_is_a_failed_precondition(stub, tenant):
    score(stub, tenant, event(second=100))
    request = api.GetProfileRequest(tenant=tenant, profile_id="ann")
    request.as_of.seconds = START + 99
    refusal = refused(stub.GetProfile, request)
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "AS_OF_BEFORE_LAST_EVENT"
    assert refusal.metadata == {"earliest_as_of": "2020-09-13T12:28:20.000000000Z"}


def test_a_list_for_an_instant_before_the_latest_event_is_a_failed_precondition(stub, tenant):
    # Whoever it was, and whenever the others came.
    for name, second in (("ann", 0), ("bob", 7 * 86400), ("cid", 86400)):
        score(stub, tenant, event(profile_id=name, second=second))
    latest = START + 7 * 86400
    for call, request in (
        (stub.RankSegment, api.RankSegmentRequest(segment="contact_next", page_size=1)),
        (stub.GetSegmentTopics, api.GetSegmentTopicsRequest(segment="contact_next")),
        (stub.GetFunnel, api.GetFunnelRequest()),
        (stub.TopInfluencers, api.TopInfluencersRequest(topic="tools")),
    ):
        request.tenant = tenant
        before = time.time()
        answer = call(request)
        assert before <= answer.as_of.seconds <= time.time() + 1, call
        for early in (0, START, latest - 301):
            request.as_of.seconds = early
            refusal = refused(call, request)
            assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION, call
            assert refusal.reason == "AS_OF_BEFORE_LAST_EVENT", call
            assert refusal.metadata == {"earliest_as_of": "2020-09-20T12:26:40.000000000Z"}, call
            assert "2020-09-20T12:26:40" in refusal.message, call
        for near in (latest - 300, latest - 1, latest, latest + 5):
            request.as_of.seconds = near
            assert call(request).as_of.seconds == max(near, latest), call


def test_pages_are_of_the_instant_of_the_first_whatever_has_come_since(stub, tenant):
    for name in ("ann", "bob"):
        score(stub, tenant, event(profile_id=name, second=60))
    # A little before the last event: answered for that.
    asked = Timestamp(seconds=START)
    first = stub.RankSegment(page_request(tenant, as_of=asked))
    score(stub, tenant, event("late", profile_id="cid", second=30 * 86400))
    assert refused(stub.RankSegment, page_request(tenant, as_of=asked)).reason == \
        "AS_OF_BEFORE_LAST_EVENT"
    for as_of in (asked, first.as_of):
        page = stub.RankSegment(page_request(tenant, first.next_page_token, as_of=as_of))
        (member,) = page.members
        # Who came since stands in front, by the same formula.
        assert (member.rank, member.profile.profile_id) == (3, "bob")
        assert page.as_of == first.as_of == member.profile.as_of == Timestamp(seconds=START + 60)


@pytest.mark.parametrize("fraction", [-0.1, 1.001, math.nan, math.inf, -math.inf])
def test_a_fraction_outside_of_its_range_is_refused(stub, tenant, fraction):
    assert names(invalid(stub.RankSegment, api.RankSegmentRequest(
        tenant=tenant, segment="experts", fraction=fraction)), "fraction")


def test_a_number_of_members_below_0_is_refused_and_above_1000_is_1000(stub, tenant):
    request = api.GetSegmentTopicsRequest(tenant=tenant, segment="experts", members=-1)
    assert names(invalid(stub.GetSegmentTopics, request), "members")
    request.members = 1_001
    stub.GetSegmentTopics(request)


def test_unknown_names_are_not_found_and_the_known_ones_are_listed(stub, tenant):
    for call, request, known in (
        (stub.RankSegment, api.RankSegmentRequest(segment="exprets"), "experts"),
        (stub.GetSegmentTopics, api.GetSegmentTopicsRequest(segment="exprets"), "experts"),
        (stub.TopInfluencers, api.TopInfluencersRequest(topic="tool"), "tools"),
        (stub.TopInfluencers, api.TopInfluencersRequest(topic="tools", stage="advocat"),
         "advocate"),
    ):
        request.tenant = tenant
        refusal = refused(call, request)
        assert refusal.code == grpc.StatusCode.NOT_FOUND, refusal.message
        assert known in refusal.message, refusal.message
        assert refusal.domain == "bellwether.dev" and refusal.reason, refusal.message


def test_an_empty_name_is_refused(stub, tenant):
    assert names(invalid(stub.RankSegment, api.RankSegmentRequest(tenant=tenant)), "segment")
    assert names(invalid(stub.GetSegmentTopics, api.GetSegmentTopicsRequest(tenant=tenant)),
                 "segment")
    assert names(invalid(stub.TopInfluencers, api.TopInfluencersRequest(tenant=tenant)), "topic")


def test_an_unknown_profile_is_not_found(stub, tenant):
    refusal = refused(get, stub, tenant, "nobody")
    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.domain == "bellwether.dev" and refusal.reason


@pytest.fixture
def page_token(stub, tenant):
    """The token of a first page of two members."""
    for name in ("ann", "bob"):
        score(stub, tenant, event(profile_id=name))
    page = stub.RankSegment(page_request(tenant))
    assert page.next_page_token
    return page.next_page_token


def page_request(tenant, token="", **fields):
    request = api.RankSegmentRequest(
        tenant=tenant, segment="contact_next", page_size=1, page_token=token,
        as_of=Timestamp(seconds=START))
    request.MergeFrom(api.RankSegmentRequest(**fields))
    return request


def test_a_page_token_works_where_it_is_from(stub, tenant, page_token):
    page = stub.RankSegment(page_request(tenant, page_token))
    assert [member.profile.profile_id for member in page.members] == ["bob"]


@pytest.mark.parametrize("token", ["x", "AAAA", "not base64 !", "=" * 8, "A" * 5000, "Zm9v"])
def test_a_made_up_page_token_is_refused(stub, tenant, token):
    assert names(invalid(stub.RankSegment, page_request(tenant, token)), "page_token")
    assert names(invalid(stub.TopInfluencers, api.TopInfluencersRequest(
        tenant=tenant, topic="tools", page_token=token)), "page_token")


def test_a_page_token_with_one_other_character_is_refused(stub, tenant, page_token):
    # The last characters may hold padding bits that mean nothing.
    for position in range(len(page_token) - 2):
        other = "B" if page_token[position] != "B" else "C"
        forged = page_token[:position] + other + page_token[position + 1:]
        refusal = invalid(stub.RankSegment, page_request(tenant, forged))
        assert names(refusal, "page_token"), position


def test_a_page_token_of_another_query_is_refused(stub, tenant, page_token):
    score(stub, f"{tenant}-b", event())
    for request in (
        page_request(f"{tenant}-b", page_token),
        page_request(tenant, page_token, segment="unknown_place"),
        page_request(tenant, page_token, condition='stage == "contributor"'),
        page_request(tenant, page_token, as_of=Timestamp(seconds=5)),
    ):
        assert names(invalid(stub.RankSegment, request), "page_token")
    assert names(invalid(stub.TopInfluencers, api.TopInfluencersRequest(
        tenant=tenant, topic="tools", page_token=page_token)), "page_token")


def test_a_message_over_the_size_limit_is_refused(stub, tenant):
    request = api.ScoreEventsRequest(tenant=tenant, events=[
        event(f"event-{number}", text="x" * 64 * 1024) for number in range(1000)])
    refusal = refused(lambda: list(stub.ScoreEvents(iter([request]))))
    # RESOURCE_EXHAUSTED by the gRPC guide; some servers say OUT_OF_RANGE.
    assert refusal.code in (
        grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE), refusal.message
    assert refusal.message
    assert_nothing_written(stub, tenant)


def test_a_small_message_of_very_many_events_is_refused_before_it_is_unpacked(stub, tenant):
    request = api.ScoreEventsRequest(tenant=tenant, events=[api.Event()] * 1_000_000)
    refusal = refused(lambda: list(stub.ScoreEvents(iter([request]))))
    assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.message
    assert_nothing_written(stub, tenant)


def raw_call(server, body):
    call = server.channel.unary_unary(f"/{SERVICE}/ScoreEvent")
    with pytest.raises(grpc.RpcError) as caught:
        call(body)
    return Refusal(caught.value)


def test_invalid_utf8_is_the_callers_mistake(server):
    body = api.ScoreEventRequest(event=event(profile_id="ann")).SerializeToString()
    refusal = raw_call(server, body.replace(b"ann", b"a\xffn"))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT, refusal.message


def test_bytes_that_are_no_message_are_the_callers_mistake(server):
    refusal = raw_call(server, b"\xff\xff\xff")
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT, refusal.message


def test_an_unknown_method_is_unimplemented(server):
    call = server.channel.unary_unary(f"/{SERVICE}/Forget")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_that_passes_is_deadline_exceeded(stub, tenant):
    def never():
        yield api.ScoreEventsRequest(tenant=tenant, events=[event()])
        stream_ended.wait(60)

    stream_ended = threading.Event()
    stream = stub.ScoreEvents(never(), timeout=0.5)
    with pytest.raises(grpc.RpcError) as caught:
        for _ in stream:
            pass
    stream_ended.set()
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_deadline_is_never_answered_as_a_cancellation(stub, tenant):
    score(stub, tenant, event())
    request = api.RankSegmentRequest(tenant=tenant, segment="contact_next")
    codes = set()
    for microseconds in range(0, 4000, 40):
        call = stub.RankSegment.future(request, timeout=microseconds / 1e6)
        codes.add(call.code())
    # A server this fast may answer all of them in time.
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
