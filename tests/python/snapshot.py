"""Everything that can be read of a tenant at one instant, in a form that compares."""

import math

from bellwether.v1 import scoring_pb2 as api
from google.protobuf.timestamp_pb2 import Timestamp

from replay import batches

PAGE_SIZE = 200
# As many as a server lets in however busy it is.
CALLS_IN_FLIGHT = 64


def timestamp(nanos):
    """A protobuf `Timestamp` of nanoseconds since 1970."""
    return Timestamp(seconds=nanos // 10**9, nanos=nanos % 10**9)


def nanos(stamp):
    """Nanoseconds since 1970 of a protobuf `Timestamp`."""
    return stamp.seconds * 10**9 + stamp.nanos


def earliest_list(last):
    """The earliest instant that lists are answered for, when the last event was at `last`."""
    return -(-last // 10**9) * 10**9


def id_of(member):
    """The id of a person, or of a subject."""
    return member.subject.subject_id or member.profile.profile_id


def each_profile(stub, profile_ids, at, view=api.PROFILE_VIEW_FULL, tenant=""):
    """Yields each profile, in the order asked for. While the caller looks at some of them, the
    server reads the next ones."""
    received = []
    for batch in batches(profile_ids, CALLS_IN_FLIGHT):
        calls = [
            stub.GetProfile.future(api.GetProfileRequest(
                tenant=tenant, profile_id=profile_id, view=view, as_of=timestamp(at)))
            for profile_id in batch
        ]
        yield from received
        received = [call.result().profile for call in calls]
        if [profile.profile_id for profile in received] != batch:
            raise AssertionError("other profiles were answered than asked for")
    yield from received


def profiles(stub, profile_ids, at, view=api.PROFILE_VIEW_FULL, tenant=""):
    """profile id -> profile."""
    return {profile.profile_id: profile
            for profile in each_profile(stub, profile_ids, at, view, tenant)}


def funnel(stub, at, tenant=""):
    """stage -> count, `""` for none."""
    answer = stub.GetFunnel(api.GetFunnelRequest(tenant=tenant, as_of=timestamp(at)))
    assert nanos(answer.as_of) == at
    return {stage.stage: stage.count for stage in answer.stages} | {"": answer.unstaged_count}


def segment(stub, name, at, tenant="", page_size=PAGE_SIZE, **fields):
    """All members with their ranks, page by page, and the total of each page."""
    members, totals, token = [], [], ""
    while True:
        answer = stub.RankSegment(api.RankSegmentRequest(
            tenant=tenant, segment=name, page_size=page_size, page_token=token,
            as_of=timestamp(at), **fields))
        assert len(answer.members) <= page_size
        assert nanos(answer.as_of) == at
        members += answer.members
        totals.append(answer.segment_size)
        token = answer.next_page_token
        if not token:
            return members, totals


def influencers(stub, topic, at, stage="", tenant="", page_size=PAGE_SIZE):
    """All influencers on a topic, page by page."""
    found, token = [], ""
    while True:
        answer = stub.TopInfluencers(api.TopInfluencersRequest(
            tenant=tenant, topic=topic, stage=stage, page_size=page_size, page_token=token,
            as_of=timestamp(at)))
        assert len(answer.influencers) <= page_size
        assert nanos(answer.as_of) == at
        found += answer.influencers
        token = answer.next_page_token
        if not token:
            return found


def tenant_at(stub, profile_ids, segments, topics, at, tenant=""):
    """All of it, for comparing one server with another or with itself."""
    return {
        "profiles": profiles(stub, profile_ids, at, tenant=tenant),
        "funnel": funnel(stub, at, tenant),
        "segments": {
            name: [(member.rank, id_of(member))
                   for member in segment(stub, name, at, tenant)[0]] for name in segments},
        "influencers": {topic: influencers(stub, topic, at, tenant=tenant) for topic in topics},
    }


def assert_same(given, expected):
    """Compares two tenants. Credits of an author come from many people, whose order among
    each other may differ from run to run: their sums are equal up to rounding."""
    for part in ("funnel", "segments", "profiles"):
        assert given[part] == expected[part], part
    for topic, authors in expected["influencers"].items():
        others = {author.profile.profile_id: author for author in given["influencers"][topic]}
        assert others.keys() == {author.profile.profile_id for author in authors}, topic
        for author in authors:
            other = others[author.profile.profile_id]
            assert (author.touches, author.reach) == (other.touches, other.reach), topic
            for field in ("influence", "advances", "influence_probability"):
                assert math.isclose(
                    getattr(author, field), getattr(other, field), rel_tol=1e-9), (topic, field)
