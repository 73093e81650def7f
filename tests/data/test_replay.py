"""Real data through a real server, compared with the plain recomputation.

Run by `make test-data DATA=...`: BELLWETHER_DATA names the directory of the data and
BELLWETHER_BINARY the server. Failures name people by number, never by handle, and show no
text, because some of the data may not be shown.
"""

import contextlib
import json
import math
import os
import random
import subprocess
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import airline_regions_rules
import airlines_rules
import forum_rules
import pytest
import snapshot
from bellwether.v1 import scoring_pb2 as api
from recompute import NEAR_SHARE, NOISE_FLOOR, SLACK, Model, World, nanos_of_instant
from replay import (
    read_lines,
    requests_of,
    stream_events,
    stream_requests,
    update_profiles,
)
from server import REPOSITORY, Server, run
from stores import STORES, store_of

SECOND = 10**9
INSTANTS = {
    "at_the_last_event": 0,
    "an_hour_later": 3600 * SECOND,
    "three_days_later": 3 * 86400 * SECOND,
    "a_month_later": 30 * 86400 * SECOND,
    "a_year_later": 365 * 86400 * SECOND,
    "ten_years_later": 3652 * 86400 * SECOND,
}
# Points may differ by this much, as a part of them: rounding, nothing else.
TOLERANCE = 1e-6
# Two ranked values this close, as a part of them, may stand in either order.
NEAR = 1e-9
# How many neighbours of a list, as a part of it, may be that close without being equal in
# every respect. Beyond it the comparison of orders would say too little.
MAX_NEAR_TIES = 0.02
# No bound may be tested closer to its line than this, in log2: rounding could decide it.
MIN_DISTANCE = 1e-9
REMEMBERED_EVENTS = 256
SHUFFLE_SEED = 20150224
MODELS = REPOSITORY / "models"


@dataclass(frozen=True)
class Dataset:
    """What to replay, and into which model."""

    importer: str
    source: str
    model: Path
    rules: ModuleType
    # Only people with at least as many events, with whom there is something to add up.
    least_events: int = 1
    # Over how many parts Redis spreads the people; unless said, as many as are usual.
    partitions: int | None = None


DATASETS = {
    "quantum": Dataset(
        "import_stackexchange.py", "stackexchange_quantum", MODELS / "forum.toml", forum_rules),
    "airlines": Dataset(
        "import_airline_tweets.py", "airline_tweets.csv.gz", MODELS / "airlines.toml",
        airlines_rules, partitions=3),
    # What no shipped model asks of these data: breadth, identity and accounts.
    "regions": Dataset(
        "import_airline_tweets.py", "airline_tweets.csv.gz",
        Path(__file__).parent / "airline_regions.toml", airline_regions_rules, least_events=4),
}


@dataclass
class Replayed:
    """Servers after the replay of a data set, one on each store, and the one recomputation."""

    dataset: Dataset
    path: Path
    lines: list
    # What sends the events of the lines.
    requests: list
    # store -> server
    servers: dict
    world: World
    # store -> [(event number, what differs)]
    differences: dict
    last: int
    # store -> what its server gave, see `snapshot_of`
    snapshots: dict = field(default_factory=dict)

    @property
    def model_path(self):
        return self.dataset.model

    def events(self):
        return [line for line in self.lines if "updateProfile" not in line]

    def number(self, profile_id):
        """Stands for a person in messages."""
        return list(self.world.people).index(profile_id)

    def snapshot(self, stub, at):
        model = self.world.model
        return snapshot.tenant_at(
            stub, list(self.world.people), [segment["name"] for segment in model.segments],
            model.topic_names, at)

    def snapshot_of(self, store):
        """What a server gives at the last event. It is asked once: nothing comes in after the
        replay but a second run, which changes nothing."""
        if store not in self.snapshots:
            self.snapshots[store] = self.snapshot(self.servers[store].stub, self.last)
        return self.snapshots[store]

    def each_profile(self, store, at):
        """Everybody's profile at an instant, in the order of the people of the world."""
        if at == self.last:
            return self.snapshot_of(store)["profiles"].values()
        return snapshot.each_profile(self.servers[store].stub, list(self.world.people), at)


def import_data(dataset, target):
    """Converts a data set with its importer, as a user would; the lines to replay."""
    data = os.environ.get("BELLWETHER_DATA")
    if not data or not (Path(data) / dataset.source).exists():
        pytest.fail(f"BELLWETHER_DATA must name a directory that holds {dataset.source}; "
                    "`make test-data DATA=...` sets it")
    subprocess.run(
        [sys.executable, REPOSITORY / "examples" / dataset.importer,
         Path(data) / dataset.source, "--output", target], check=True)
    lines = read_lines(target)
    if dataset.least_events == 1:
        return lines
    events = Counter(line["profileId"] for line in lines if "updateProfile" not in line)
    kept = [line for line in lines
            if events[line.get("updateProfile", line)["profileId"]] >= dataset.least_events]
    target.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    return kept


@pytest.fixture(scope="module", params=DATASETS)
def replayed(request, tmp_path_factory):
    name = request.param
    dataset = DATASETS[name]
    directory = tmp_path_factory.mktemp(name)
    path = directory / "events.jsonl"
    lines = import_data(dataset, path)
    world = World(Model(dataset.model, dataset.rules))
    for line in lines:
        if "updateProfile" in line:
            world.update_profile(line["updateProfile"]["profileId"],
                                 line["updateProfile"]["attributes"])
    events = [line for line in lines if "updateProfile" not in line]
    last = snapshot.earliest_list(max(nanos_of_instant(line["time"]) for line in events))
    with contextlib.ExitStack() as stack:
        servers = {
            store: stack.enter_context(Server(
                stack.enter_context(store_of(store, directory)), dataset.model,
                settings={} if dataset.partitions is None
                else {"BELLWETHER_REDIS_PARTITIONS": str(dataset.partitions)}))
            for store in STORES
        }
        for server in servers.values():
            update_profiles(server.stub, lines)
        requests = list(requests_of(lines))
        streams = [stream_requests(server.stub, requests) for server in servers.values()]
        differences = {store: [] for store in servers}
        for number, (line, *results) in enumerate(zip(events, *streams, strict=True)):
            expected = world.apply(line)
            for store, result in zip(servers, results, strict=True):
                differences[store] += (
                    (number, what) for what in differing_answer(world, line, expected, result))
        yield Replayed(dataset, path, lines, requests, servers, world, differences, last)


@pytest.fixture(params=STORES)
def store(request):
    return request.param


@pytest.fixture
def stub(replayed, store):
    """The server on one of the stores."""
    return replayed.servers[store].stub


@pytest.fixture(params=INSTANTS)
def instant(request, replayed):
    return replayed.last + INSTANTS[request.param]


def close(actual, expected):
    return math.isclose(actual, expected, rel_tol=TOLERANCE, abs_tol=1e-12)


def differing_answer(world, line, expected, result):
    """Yields in what the answer to one event differs from the expected one, and its points from
    a recomputation just after the event."""
    if result.WhichOneof("result") != "response":
        yield f"refused: {result.error.message}"
        return
    response = result.response
    outcome = api.EventOutcome.Name(response.outcome).removeprefix("EVENT_OUTCOME_")
    if outcome != expected.outcome:
        yield f"outcome {outcome}, not {expected.outcome}"
    if list(response.matched_signals) != expected.matched:
        yield f"matched {list(response.matched_signals)}, not {expected.matched}"
    # `from` is a keyword of Python.
    change = (response.stage_change.from_stage, response.stage_change.to_stage)
    moved = expected.stage_before != expected.stage_after
    if response.HasField("stage_change") != moved:
        yield f"stage change {change}, where none is {not moved}"
    elif moved and change != (expected.stage_before, expected.stage_after):
        yield f"stage change {change}, not {expected.stage_before} to {expected.stage_after}"
    person = world.people[line["profileId"]]
    at = snapshot.nanos(response.profile.as_of)
    if at < person.last_event_time:
        yield "answered for an instant before the last event"
    for score in response.profile.scores:
        points = world.points(person, score.name, at)
        if not close(score.points, points):
            yield f"{score.name} {score.points}, not {points}"


def first_few(differences):
    return f"{len(differences)} differ: {differences[:5]}"


def test_the_answer_to_every_event_is_as_recomputed(replayed, store):
    assert not replayed.differences[store], first_few(replayed.differences[store])


def test_every_line_is_far_enough_from_every_value_to_be_judged(replayed):
    world = replayed.world
    for offset in INSTANTS.values():
        at = replayed.last + offset
        world.funnel(at)
        for person in world.people.values():
            world.segments(person, at)
        for account in world.accounts().values():
            world.segments(account, at, "account")
        for topic in world.model.topic_names:
            world.influencers(topic, None, at)
    assert world.closest_to_bound > MIN_DISTANCE
    # Below the noise floor a score is zero; the slack of bounds does not matter to it.
    assert world.closest_to_noise > 2 * SLACK
    # A term that far below its share still counts.
    assert world.closest_to_share > 2 * NEAR_SHARE
    assert world.simultaneous_touches == 0


class Ranked:
    """The points of all people, or of all accounts, on one score at one instant."""

    def __init__(self, world, parties, score, at):
        points = (world.points(party, score, at) for party in parties.values())
        self.points = sorted(points for points in points if points > 0)

    def percentiles(self, points):
        """The lowest and the highest percentile that rounding allows. Whoever has more points
        within the slack of bounds counts as having as many."""
        line = points * 2**SLACK
        certain = bisect_right(self.points, line * (1 - NEAR))
        possible = bisect_right(self.points, line * (1 + NEAR))
        return 100 * certain / len(self.points), 100 * possible / len(self.points)


def differing_profile(world, ranked, person, profile, at):
    """Yields in what a person in the full view differs from the recomputation."""
    yield from differing_party(world, ranked, person, profile, at)
    identity = world.identity(person)
    if profile.HasField("identity_confidence") != bool(world.model.identity) \
            or not close(profile.identity_confidence, identity):
        yield f"identity {profile.identity_confidence}, not {identity}"
    stage = world.stage(person, at) if person.times or person.attributes else ""
    if profile.stage != stage:
        yield f"stage {profile.stage!r}, not {stage!r}"
    yield from differing_segments(world, person, profile, at)


def differing_segments(world, party, profile, at, of=None):
    """Yields in what the segments of a person or of an account differ."""
    given = [member.segment for member in profile.segments]
    segments = world.segments(party, at, of)
    if given != segments:
        yield f"segments {given}, not {segments}"
    by_name = {segment["name"]: segment for segment in world.model.segments}
    for member in profile.segments:
        points = world.rank_points(party, by_name[member.segment], at)
        if not close(member.points, points):
            yield f"points in {member.segment} {member.points}, not {points}"


def differing_party(world, ranked, person, profile, at):
    """Yields in what a person or an account differs, but for stages and segments."""
    model = world.model
    # An author who has done and stated nothing stands in no rank of people.
    is_ranked = bool(person.times or person.attributes)
    if [score.name for score in profile.scores] != list(model.half_lives):
        yield "the scores are not those of the model, in its order"
    for score in profile.scores:
        points = world.points(person, score.name, at)
        if not close(score.points, points):
            yield f"{score.name} {score.points}, not {points}"
        if score.base != model.bases[score.name]:
            yield f"base of {score.name}"
        yield from differing_contributions(world, person, score, at)
        yield from differing_breadth(world, person, score)
        if score.HasField("percentile") != (is_ranked and points > 0):
            yield f"percentile of {score.name} where points are {points}"
        elif is_ranked and points > 0:
            lowest, highest = ranked[score.name].percentiles(points)
            if not lowest - 1e-9 <= score.percentile <= highest + 1e-9:
                yield f"percentile of {score.name} {score.percentile}, not {highest}"
    yield from differing_interests(world, person, profile, at)
    if profile.event_count != len(person.times):
        yield f"event_count {profile.event_count}, not {len(person.times)}"
    times = [snapshot.nanos(stamp) for stamp in
             (profile.first_seen_time, profile.last_event_time)]
    expected = [min(person.times), max(person.times)] if person.times else [0, 0]
    if times != expected or profile.HasField("first_seen_time") != bool(person.times):
        yield f"first and last event {times}, not {expected}"
    if set(profile.attributes) != set(person.attributes):
        yield "attributes"


def differing_contributions(world, person, score, at):
    expected = world.contributions(person, score.name, at)
    given = {term.name: term for term in score.contributions}
    if len(given) != len(score.contributions):
        yield f"{score.name} names a signal twice"
    for name, term in given.items():
        count, weight = expected.get(name, (0.0, term.weight))
        if not (close(term.count, count) and close(term.points, count * weight)
                and term.weight == weight):
            yield f"{name} of {score.name}: {term.count} x {term.weight}, not {count} x {weight}"
    for name, (count, weight) in expected.items():
        if abs(count * weight) >= NOISE_FLOOR and name not in given:
            yield f"{name} of {score.name} is missing"
    if score.HasField("breadth") and score.breadth.present < score.breadth.required:
        return
    total = max(0.0, score.base + math.fsum(term.points for term in given.values()))
    if total >= NOISE_FLOOR and not math.isclose(total, score.points, rel_tol=1e-9, abs_tol=1e-9):
        yield f"{score.name} is {score.points} and its terms add up to {total}"


def differing_breadth(world, person, score):
    required, _ = world.model.breadths.get(score.name, (0, 0.0))
    present = world.breadth(person, score.name) if required else 0
    if (score.breadth.present, score.breadth.required) != (present, required):
        yield (f"breadth of {score.name} {score.breadth.present} of {score.breadth.required}, "
               f"not {present} of {required}")


def differing_interests(world, person, profile, at):
    expected = world.interests(person, at)
    points = [interest.points for interest in profile.interests]
    if any(later > earlier * (1 + NEAR) for earlier, later in zip(points, points[1:])):
        yield "interests are not in order"
    given = {interest.topic: interest.points for interest in profile.interests}
    for topic in given.keys() | {t for t, p in expected.items() if p >= NOISE_FLOOR * 1.00001}:
        if not close(given.get(topic, 0.0), expected.get(topic, 0.0)):
            yield f"interest in {topic} {given.get(topic)}, not {expected.get(topic)}"


def test_every_profile_is_as_recomputed(replayed, store, instant):
    world = replayed.world
    ranked = {
        score: Ranked(world, world.ranked_people(), score, instant) for score in world.model.half_lives}
    pairs = zip(world.people.values(), replayed.each_profile(store, instant), strict=True)
    differences = [
        (number, what)
        for number, (person, profile) in enumerate(pairs)
        for what in differing_profile(world, ranked, person, profile, instant)
    ]
    assert not differences, first_few(differences)


def test_every_account_is_as_recomputed(replayed, stub, instant):
    world, accounts = replayed.world, replayed.world.accounts()
    assert bool(accounts) == (world.model.account_attribute is not None)
    ranked = {score: Ranked(world, accounts, score, instant) for score in world.model.half_lives}
    differences = []
    for number, (name, account) in enumerate(accounts.items()):
        profile = stub.GetSubject(api.GetSubjectRequest(
            kind="account", subject_id=name, view=api.PROFILE_VIEW_FULL,
            as_of=snapshot.timestamp(instant))).subject
        differences += (
            (number, what) for what in differing_party(world, ranked, account, profile, instant))
        differences += (
            (number, what)
            for what in differing_segments(world, account, profile, instant, "account"))
        if (profile.kind, profile.subject_id) != ("account", name):
            differences.append((number, f"{profile.kind} {profile.subject_id}"))
    assert not differences, first_few(differences)


def test_the_basic_view_has_the_same_points(replayed, stub, instant):
    people = list(replayed.world.people)[:1000]
    answer = stub.BatchGetProfiles(api.BatchGetProfilesRequest(
        profile_ids=people, as_of=snapshot.timestamp(instant)))
    assert [result.profile.profile_id for result in answer.results] == people
    for profile in (result.profile for result in answer.results):
        for score in profile.scores:
            expected = replayed.world.points(
                replayed.world.people[profile.profile_id], score.name, instant)
            assert close(score.points, expected)
            assert not score.contributions and not score.HasField("percentile")


def test_the_funnel_is_as_recounted(replayed, stub, instant):
    assert snapshot.funnel(stub, instant) == replayed.world.funnel(instant)


def assert_descending(values, identical, what):
    """Checks the order of a list of `(value, profile id)`, and that near ties are few.

    Neighbours that are `identical` in every respect that rounding can see go by id.
    """
    near_ties = 0
    for number, ((above, above_id), (below, below_id)) in enumerate(zip(values, values[1:])):
        if above == below and identical(above_id, below_id):
            assert above_id < below_id, f"{what}: equals at {number} are not in order of id"
        elif math.isclose(above, below, rel_tol=NEAR):
            near_ties += 1
        else:
            assert above > below, f"{what}: {below} stands below {above} at {number}"
    assert near_ties <= max(2, MAX_NEAR_TIES * len(values)), f"{what}: {near_ties} near ties"


def test_every_segment_is_as_recounted_and_in_order(replayed, stub, instant):
    world = replayed.world
    for segment in world.model.segments:
        name = segment["name"]
        members, totals = snapshot.segment(stub, name, instant)
        expected = world.members(segment, instant)
        parties = world.parties(segment)
        ids = [snapshot.id_of(member) for member in members]
        assert len(ids) == len(set(ids)), f"{name} lists somebody twice"
        assert set(ids) == expected.keys(), name
        assert set(totals) == {len(expected)}, name
        assert [member.rank for member in members] == list(range(1, len(ids) + 1)), name

        def identical(one, other, segment=segment, parties=parties):
            one, other = parties[one], parties[other]
            return one.last_event_time == other.last_event_time and all(
                world.exact_points(one, score, instant) == world.exact_points(other, score, instant)
                for score in segment["above"] + segment["below"])

        assert_descending([(expected[id_], id_) for id_ in ids], identical, name)


def test_the_members_of_a_segment_at_a_stage_keep_their_ranks(replayed, stub):
    world, at = replayed.world, replayed.last
    # Subjects stand at no stage.
    for segment in (segment for segment in world.model.segments if "of" not in segment):
        everybody, totals = snapshot.segment(stub, segment["name"], at)
        for stage in world.model.stages:
            some, totals_of_some = snapshot.segment(
                stub, segment["name"], at, condition=f'stage == "{stage["name"]}"')
            expected = [(member.rank, member.profile.profile_id) for member in everybody
                        if member.profile.stage == stage["name"]]
            assert [(member.rank, member.profile.profile_id) for member in some] == expected
            assert set(totals_of_some) == set(totals)


def test_every_influencer_is_as_recomputed(replayed, stub, instant):
    world = replayed.world
    stages = ["", *(stage["name"] for stage in world.model.stages)]
    for topic in world.model.topic_names:
        for stage in stages:
            what = f"{topic} at {stage or 'all stages'}"
            found = snapshot.influencers(stub, topic, instant, stage)
            expected = world.influencers(topic, stage or None, instant)
            ids = [author.profile.profile_id for author in found]
            assert len(ids) == len(set(ids)), what
            assert set(ids) == expected.keys(), what
            for author in found:
                influence, touches, advances, probability = expected[author.profile.profile_id]
                assert author.touches == touches, what
                assert math.isclose(author.advances, advances, abs_tol=1e-9), what
                assert close(author.influence, influence), what
                assert math.isclose(
                    author.influence_probability, probability, rel_tol=1e-9, abs_tol=1e-12), what
                stated = world.people[author.profile.profile_id].attributes
                reach = stated.get(world.model.influence["reach"], 0) \
                    if "reach" in world.model.influence else 0
                assert author.reach == reach, what
            assert_descending(
                [(expected[id_][0], id_) for id_ in ids], lambda one, other: False, what)


def test_a_second_run_changes_nothing(replayed, store, stub):
    before = replayed.snapshot_of(store)
    outcomes = defaultdict(int)
    update_profiles(stub, replayed.lines)
    for result in stream_requests(stub, replayed.requests):
        assert result.WhichOneof("result") == "response"
        outcomes[result.response.outcome, result.response.ignored_reason] += 1
    allowed = {
        (api.EVENT_OUTCOME_DUPLICATE, api.IGNORED_REASON_UNSPECIFIED),
        (api.EVENT_OUTCOME_IGNORED, api.IGNORED_REASON_TOO_OLD),
    }
    assert outcomes.keys() <= allowed
    assert replayed.snapshot(stub, replayed.last) == before


def order_free_signals(model):
    """The signals whose counts are the same for every order of arrival."""
    def depends_on_order(signal):
        conditions = f"{signal.get('when', '')} {signal.get('value', '')}"
        return "limit" in signal or "cooldown" in signal or any(
            name in conditions for name in ("seen(", "scores.", "stage", "identity."))

    return [signal["name"] for signal in model.signals if not depends_on_order(signal)]


def test_a_shuffled_replay_counts_the_same(replayed, tmp_path):
    """Left out, because they follow the order of arrival: signals with limits, cooldowns or
    conditions on history; people with more events than a profile remembers; of an event
    that is in the data twice, the second."""
    world = replayed.world
    events = {}
    for line in replayed.events():
        events.setdefault((line["profileId"], line["eventId"]), line)
    people = [profile_id for profile_id, person in world.people.items()
              if 0 < len(person.times) <= REMEMBERED_EVENTS]
    assert len(people) > 0.9 * sum(bool(person.times) for person in world.people.values())
    compared = set(people)
    shuffled = [line for line in events.values() if line["profileId"] in compared]
    random.Random(SHUFFLE_SEED).shuffle(shuffled)

    at = replayed.last + INSTANTS["an_hour_later"]
    free = order_free_signals(world.model)
    assert free
    with Server(tmp_path / "store", replayed.model_path) as server:
        for result in stream_events(server.stub, shuffled):
            assert result.response.outcome == api.EVENT_OUTCOME_APPLIED
        profiles = snapshot.profiles(server.stub, people, at)
    for number, profile_id in enumerate(people):
        person, profile = world.people[profile_id], profiles[profile_id]
        assert profile.event_count == len(person.times), number
        assert snapshot.nanos(profile.last_event_time) == max(person.times), number
        assert snapshot.nanos(profile.first_seen_time) == min(person.times), number
        assert not list(differing_interests(world, person, profile, at)), number
        for score in profile.scores:
            given = {term.name: term.count for term in score.contributions}
            expected = world.contributions(person, score.name, at)
            for name in free:
                count = expected.get(name, (0.0, 0.0))[0]
                if name in given or count >= NOISE_FLOOR:
                    assert close(given.get(name, 0.0), count), (number, score.name, name)


@pytest.fixture(scope="module")
def given_by_the_replay_command(replayed, tmp_path_factory):
    """What a server gives that was filled by the command."""
    with Server(tmp_path_factory.mktemp("command") / "store", replayed.model_path) as server:
        finished = run("replay", replayed.path, "--server", f"http://{server.address}")
        assert finished.returncode == 0, finished.stderr[-2000:]
        return replayed.snapshot(server.stub, replayed.last)


def test_the_replay_command_gives_the_same_as_a_client_in_python(
        replayed, store, given_by_the_replay_command):
    snapshot.assert_same(given_by_the_replay_command, replayed.snapshot_of(store))
