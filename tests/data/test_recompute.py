"""Small cases computed by hand, so that the recomputation itself can be trusted."""

import math
from types import SimpleNamespace

import pytest
from recompute import DUPLICATE, Model, World, meets, nanos_of_duration, nanos_of_instant

DAY = nanos_of_duration("1d")
START = nanos_of_instant("2020-01-01T00:00:00Z")

MODEL = """
[scores.interest]
half_life = "1d"
[scores.trust]
half_life = "2d"
[scores.fit]
base = 1

[[signals]]
name = "read"
on = "read"
points = { interest = 4, trust = 1 }
[[signals]]
name = "liked"
on = "like"
limit = 2
points = { interest = 1 }
[[signals]]
name = "shared"
on = ["share", "forward"]
cooldown = "1h"
points = { interest = 1 }
[[signals]]
name = "left"
on = "leave"
points = { interest = -100 }
[[signals]]
name = "returned"
on = "read"
when = 'seen("read")'
points = { fit = 0.5 }

[[attributes]]
name = "local"
when = 'profile.attributes.near'
points = { fit = 2 }

[[stages]]
name = "known"
[[stages]]
name = "warm"
min = { interest = 6 }
keep = { interest = 3 }
[[stages]]
name = "bought"
when = 'seen("buy")'
[[stages]]
name = "comes_back"
when = 'scores.fit >= 1.5'
min = { trust = 4 }

[[segments]]
name = "hot"
rank_by = ["interest", "fit"]
min = 4
max = 8
[[segments]]
name = "new"
when = 'scores.fit < 1.5'
rank_by = "interest"

[[segments]]
name = "quiet"
when = 'scores.fit >= 1.5'
rank_by = "interest / trust"
min = 0.0000001
max = 0.5

[[topics]]
name = "tea"
keywords = ["green tea"]
[[topics]]
name = "coffee"

[interests]
half_life = "1d"

[influence]
event_types = { read = 2 }
half_life = "1d"
attribution_half_life = "1d"
advance = 3
"""

RULES = SimpleNamespace(
    SIGNALS={"returned": lambda moment: moment.seen("read")},
    ATTRIBUTES={"local": lambda profile: profile["near"]},
    STAGES={
        "bought": lambda profile, seen, score: seen("buy"),
        "comes_back": lambda profile, seen, score: score("fit") >= 1.5,
    },
    SEGMENTS={
        "new": lambda profile, seen, score: score("fit") < 1.5,
        "quiet": lambda profile, seen, score: score("fit") >= 1.5,
    },
)


# What needs several signs, says how sure it is who somebody is, and counts for households.
HOUSEHOLDS = """
[scores.need]
half_life = "1d"
breadth = 2
breadth_share = 0.3

[[signals]]
name = "read"
on = "read"
limit = 2
points = { need = 1 }
[[signals]]
name = "called"
on = "call"
points = { need = 4 }
[[signals]]
name = "complained"
on = "complaint"
points = { need = -1 }

[[identity]]
name = "has_card"
when = 'has(profile.attributes.card)'
confidence = 0.5
[[identity]]
name = "matched"
confidence = 'profile.attributes.match'
when = 'has(profile.attributes.match)'
[[identity]]
name = "has_called"
when = 'seen("call")'
confidence = 0.8

[[segments]]
name = "sure"
min_confidence = 0.7
rank_by = "need"
[[segments]]
name = "needy_households"
of = "account"
rank_by = "need"
min = 6

[subjects.account]
key = 'profile.attributes.household'
"""

HOUSEHOLD_RULES = SimpleNamespace(
    SIGNALS={}, ATTRIBUTES={}, STAGES={}, SEGMENTS={},
    IDENTITY={
        "has_card": lambda profile, seen: "card" in profile,
        "matched": lambda profile, seen: profile.get("match", 0.0),
        "has_called": lambda profile, seen: seen("call"),
    },
)


@pytest.fixture
def world(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(MODEL)
    return World(Model(path, RULES))


@pytest.fixture
def households(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(HOUSEHOLDS)
    return World(Model(path, HOUSEHOLD_RULES))


def send(world, event_type, day, who="ann", **fields):
    """Applies one event, `day` days after the start."""
    hours = round(day * 24)
    time = f"2020-01-{1 + hours // 24:02}T{hours % 24:02}:00:00Z"
    event_id = fields.pop("eventId", f"{event_type}-{day}-{fields}")
    return world.apply(
        {"eventId": event_id, "profileId": who, "type": event_type, "time": time, **fields})


def points(world, score, day, who="ann"):
    return world.points(world.people[who], score, START + int(day * DAY))


def test_points_halve_with_each_half_life(world):
    send(world, "read", 0)
    assert points(world, "interest", 0) == 4
    assert points(world, "interest", 1) == 2
    assert points(world, "trust", 2) == 0.5
    assert points(world, "interest", 30) == 0  # 4 * 2^-30 is below the noise floor


def test_terms_of_different_times_add_up(world):
    send(world, "read", 0)
    send(world, "read", 1)
    assert points(world, "interest", 1) == 2 + 4
    assert points(world, "fit", 1) == 1.5  # the second one is a return
    assert points(world, "fit", 4000) == 1.5


def test_a_limit_saturates_the_faded_count(world):
    for index in range(3):
        send(world, "like", 0, eventId=f"like-{index}")
    assert points(world, "interest", 0) == 2
    send(world, "like", 1)  # 1 is left, and 1 more is within the limit
    assert points(world, "interest", 1) == 2
    send(world, "like", 1, eventId="another")
    assert points(world, "interest", 1) == 2


def test_a_cooldown_starts_again_only_at_what_counted(world):
    assert send(world, "share", 0).matched == ["shared"]
    assert send(world, "forward", 0, eventId="other").matched == []
    assert send(world, "share", 1 / 24).matched == ["shared"]


def test_points_stop_at_zero_and_the_debt_remains(world):
    send(world, "read", 0)
    send(world, "leave", 0)
    assert points(world, "interest", 0) == 0
    assert world.contributions(world.people["ann"], "interest", START)["left"] == (1, -100)


def test_a_repeat_changes_nothing(world):
    send(world, "read", 0, eventId="same")
    assert send(world, "read", 0, eventId="same").outcome == DUPLICATE
    assert points(world, "interest", 0) == 4


def test_stages_follow_points_and_history(world):
    assert send(world, "read", 0).stage_after == "known"
    answer = send(world, "read", 0, eventId="second")
    assert (answer.stage_before, answer.stage_after) == ("known", "warm")
    assert send(world, "other", 3).stage_before == "known"
    assert send(world, "buy", 3).stage_after == "bought"
    world.update_profile("bob", {"near": False})
    assert world.funnel(START + 3 * DAY) == {
        "known": 1, "warm": 0, "bought": 1, "comes_back": 0, "": 0}


def test_a_condition_may_read_a_score_that_does_not_fade_and_no_other(world):
    send(world, "read", 0)
    assert world.members(world.model.segments[1], START) == {"ann": 4}
    for number in range(3):
        send(world, "read", 0, eventId=f"again-{number}")
    assert points(world, "fit", 0) == 2.5
    assert world.members(world.model.segments[1], START) == {}
    ann = world.people["ann"]
    assert world.stage(ann, START) == "comes_back"
    assert world.stage(ann, START + DAY) == "warm"  # 4 of trust have faded
    fades = {"new": lambda profile, seen, score: score("interest") < 1.5}
    with pytest.raises(AssertionError):
        world.belongs(fades, world.model.segments[1], ann)


def test_a_stage_is_kept_until_its_keep_and_then_reached_again(world):
    send(world, "read", 0)
    send(world, "read", 0, eventId="second")
    assert send(world, "other", 1).stage_before == "warm"  # 4 of 8 points are left
    ann = world.people["ann"]
    assert world.stage(ann, START + round(1.4 * DAY)) == "warm"
    assert world.stage(ann, START + round(1.5 * DAY)) == "known"  # 2.83 are
    answer = send(world, "read", 2.5)  # 1.41 are left, and 4 come; that alone is not warm
    assert (answer.stage_before, answer.stage_after) == ("known", "known")
    assert send(world, "read", 2.5, eventId="fourth").stage_after == "warm"
    times = [time for time, _ in ann.path]
    assert len(times) == 4  # known, warm, known by fading, warm
    assert times[2] == pytest.approx(START + math.log2(8 / 3) * DAY, abs=DAY / 1000)


def test_what_is_stated_reaches_and_keeps_a_stage(tmp_path):
    path = tmp_path / "model.toml"
    stage = '[[stages]]\nname = "near"\nmin = { fit = 3 }\nkeep = { fit = 1.5 }\n[[segments]]'
    path.write_text(MODEL.replace("[[segments]]", stage))
    world = World(Model(path, RULES))
    send(world, "read", 0)
    send(world, "read", 0, eventId="second")  # returned: 1.5
    ann = world.people["ann"]
    assert world.stage(ann, START) == "warm"
    world.update_profile("ann", {"near": True})
    assert world.stage(ann, START) == "near"
    world.update_profile("ann", {"near": False})
    assert world.stage(ann, START) == "near"
    world.update_profile("bob", {"near": False})  # 1
    assert world.stage(world.people["bob"], START) == "known"


@pytest.mark.parametrize("key", ["keep", "once"])
def test_what_is_not_recomputed_is_refused(tmp_path, key):
    path = tmp_path / "model.toml"
    path.write_text(MODEL.replace('on = "like"', f'on = "like"\n{key} = true'))
    with pytest.raises(AssertionError, match=f"signals.{key}"):
        Model(path, RULES)
    path.write_text(MODEL + "[quarantine]")
    with pytest.raises(AssertionError, match="quarantine"):
        Model(path, RULES)


def test_a_segment_is_a_range_of_a_product(world):
    send(world, "read", 0)
    segment = world.model.segments[0]
    assert world.members(segment, START) == {"ann": 4}
    world.update_profile("ann", {"near": True})
    assert world.members(segment, START) == {}  # 12 is above the range
    assert world.members(segment, START + DAY) == {"ann": 6}


def test_a_ratio_falls_with_silence_also_below_the_noise_floor(world):
    quiet = world.model.segments[2]
    send(world, "read", 0)
    send(world, "read", 0, eventId="again")
    assert world.members(quiet, START) == {}  # 8 / 2
    assert world.members(quiet, START + 8 * DAY) == {"ann": (8 / 2**8) / (2 / 2**4)}
    assert points(world, "interest", 30) == 0
    assert world.members(quiet, START + 30 * DAY) == {"ann": (8 / 2**30) / (2 / 2**15)}
    send(world, "leave", 30)
    assert world.members(quiet, START + 30 * DAY) == {}  # nothing of `interest` is left


def test_a_bound_is_met_a_little_below_it():
    assert meets(4 * 2**-0.9e-6, 4)[0]
    assert not meets(4 * 2**-1.1e-6, 4)[0]
    assert meets(0.0, 4) == (False, math.inf)


def test_topics_are_found_by_tag_and_by_whole_words(world):
    topics_of = world.model.topics_of
    assert topics_of(["coffee", "other"], "") == ["coffee"]
    assert topics_of([], "I like GREEN TEA.") == ["tea"]
    assert topics_of([], "green\u00a0\n tea") == ["tea"]
    assert topics_of([], "green teapots, evergreen tea, green-tea") == []


def test_interest_fades_and_adds_up(world):
    send(world, "read", 0, tags=["tea"])
    send(world, "read", 1, tags=["tea"])
    assert world.interests(world.people["ann"], START + DAY) == {"tea": 1.5}


def test_an_arrival_shares_one_advance_over_the_touches_before_it(world):
    send(world, "read", 0, tags=["tea"], authorId="bob")
    send(world, "other", 0, tags=["tea"], authorId="cid")  # not a touch
    send(world, "read", 0, tags=["tea"], authorId="ann", eventId="own")  # not a touch: her own
    # Two reads made her warm; the second led there, and only bob touched her before.
    people = world.people
    assert people["bob"].advance_millionths == {("tea", "known"): 1_000_000}
    at = START + DAY
    found = world.influencers("tea", None, at)
    assert found == {"bob": ((2 + 3) / 2, 1, 1.0, (1 + 10 * 1) / (1 + 10))}
    assert world.influencers("tea", "known", at) == found
    assert world.influencers("tea", "warm", at) == {}


def test_shares_go_by_recency_in_millionths(world):
    # In two days the first read has faded to 1, so that the second does not make her warm.
    send(world, "read", 0, tags=["tea"], authorId="bob")
    send(world, "read", 2, tags=["tea", "coffee"], authorId="cid")
    send(world, "buy", 2)
    people = world.people
    assert people["bob"].advance_millionths == {("tea", "known"): 200_000}
    assert people["cid"].advance_millionths == {
        ("tea", "known"): 800_000, ("coffee", "known"): 800_000}
    assert people["ann"].touches == []


def test_only_the_latest_32_touches_are_remembered(world):
    for hour in range(40):
        send(world, "read", hour / 2, tags=["tea"], authorId=f"author-{hour}", who="dan")
    assert len(world.people["dan"].touches) == 32
    assert world.people["dan"].touches[0][1] == "author-8"


def test_a_score_that_asks_for_breadth_is_nothing_before_so_many_signs_give_their_share(households):
    send(households, "call", 0)
    send(households, "complaint", 0)  # takes points away: no sign
    assert points(households, "need", 0) == 0
    send(households, "read", 0)  # 1 is less than 0.3 * 4
    assert points(households, "need", 0) == 0
    send(households, "read", 0, eventId="second")
    assert points(households, "need", 0) == 4 + 2 - 1
    assert points(households, "need", 1) == (4 + 2 - 1) / 2
    ann = households.people["ann"]
    assert households.breadth(ann, "need") == 2
    # What is there without the breadth is told all the same.
    assert households.contributions(ann, "need", START)["complained"] == (1, -1)


def test_evidence_of_who_somebody_is_adds_up_to_less_than_certainty(households):
    households.update_profile("ann", {"card": 7})
    ann = households.people["ann"]
    assert households.identity(ann) == 0.5
    households.update_profile("ann", {"match": 0.2})
    assert households.identity(ann) == 0.6
    send(households, "call", 0)
    assert households.identity(ann) == 0.92
    households.update_profile("ann", {"match": 7})
    assert households.identity(ann) == 1
    assert households.identity(households.people["bob"]) == 0


def test_a_segment_may_ask_how_sure_it_is_who_its_members_are(households):
    for who in ("ann", "bob"):
        for number, event_type in enumerate(("call", "read", "read")):
            send(households, event_type, 0, who, eventId=f"{number}")
    segment = households.model.segments[0]
    assert households.members(segment, START) == {"ann": 4 + 2, "bob": 4 + 2}
    households.update_profile("bob", {"card": 7})
    more = segment | {"min_confidence": 0.9}
    assert households.members(more, START) == {"bob": 4 + 2}


def test_an_account_counts_what_its_people_count_limits_kept(households):
    for who in ("ann", "bob"):
        households.update_profile(who, {"household": "elm street"})
        for number in range(3):
            send(households, "read", 0, who, eventId=f"read-{number}")
    send(households, "call", 0, "bob")
    send(households, "call", 0, "cid")  # of no household
    accounts = households.accounts()
    assert list(accounts) == ["elm street"]
    household = accounts["elm street"]
    assert households.points(household, "need", START) == 2 + 2 + 4
    assert len(household.times) == 7
    assert households.identity(household) == 0.8
    segment = households.model.segments[1]
    assert households.members(segment, START) == {"elm street": 8}
    assert households.members(segment, START + DAY) == {}
