"""Who may switch: `models/switchers.toml` on the real tweets, against a recount of the table.

The recount reads the table itself, neither the importer's events nor the model file: a person
is unhappy by their latest complaint, and credible by what else is known of them.
"""

import csv
import gzip
import itertools
import math
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
import snapshot
from replay import replay
from server import REPOSITORY, Server
from stores import STORES, store_of
from test_replay import DATASETS, assert_descending, close, import_data

AIRLINE = "US Airways"
REASON = "Customer Service Issue"
TIME_ZONE = "Eastern Time (US & Canada)"

HOUR = 3600 * 10**9
HALF_LIFE = 12 * HOUR
NOISE_FLOOR = 2.0**-20
LEAST_POINTS = 0.001
MAY_SWITCH = 1.0
STILL_MAY_SWITCH = 0.5
INSTANTS = {"at_the_last_tweet": 0, "an_hour_later": HOUR, "a_day_later": 24 * HOUR,
            "a_week_later": 168 * HOUR, "ten_days_later": 240 * HOUR}


@dataclass
class Customer:
    """What the table says of one person."""

    # (time, value) of each complaint about the airline, for the reason.
    complaints: list = field(default_factory=list)
    retweets: int = 0
    unhappy: bool = False
    praises: bool = False
    location: str = ""
    time_zone: str = ""
    last: int = 0
    # Whether they may have switched just after their last tweet.
    might_switch: bool = False
    # (points, line) of each time that was decided.
    judged: list = field(default_factory=list)

    def complaint(self, at):
        """The latest complaint, faded."""
        if not self.complaints:
            return 0.0
        time, value = max(self.complaints)
        points = 10 * value * 2 ** (-(at - time) / HALF_LIFE)
        return points if points >= NOISE_FLOOR else 0.0

    def credibility(self):
        return (1 + (0.5 if self.location else 0) + 0.2 * min(5, self.retweets)
                + (0.25 if self.praises else 0))

    def rank(self, at):
        return self.complaint(at) * self.credibility()

    def stage(self, at):
        if not self.unhappy:
            return "heard"
        return "may_switch" if self.complaint(at) >= self.line() else "unhappy"

    def line(self):
        """From which points on they may switch: it is easier to go on than to begin."""
        return STILL_MAY_SWITCH if self.might_switch else MAY_SWITCH

    def judge(self, at):
        """At a tweet."""
        self.judged.append((self.complaint(at), self.line()))
        self.might_switch = self.complaint(at) >= self.line()


def recount():
    """name -> customer, from the table; a tweet that is in it twice counts once."""
    source = Path(os.environ["BELLWETHER_DATA"]) / DATASETS["airlines"].source
    with gzip.open(source, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    customers = defaultdict(Customer)
    for row in rows:  # The latest comes first, and says where somebody is.
        customer = customers[row["name"]]
        customer.location = customer.location or row["tweet_location"]
        customer.time_zone = customer.time_zone or row["user_timezone"]
    known = set()
    for row in sorted(rows, key=instant_of):  # sorted() keeps the order of equals
        if row["tweet_id"] in known:
            continue
        known.add(row["tweet_id"])
        customer = customers[row["name"]]
        customer.last = instant_of(row)
        customer.judge(customer.last)
        customer.praises |= row["airline_sentiment"] == "positive"
        if row["airline_sentiment"] != "negative":
            continue
        customer.unhappy = True
        if row["airline"] != AIRLINE:
            continue
        customer.retweets += int(row["retweet_count"])
        if row["negativereason"] == REASON:
            value = (float(row["airline_sentiment_confidence"])
                     * float(row["negativereason_confidence"]))
            customer.complaints.append((instant_of(row), value))
            customer.judge(customer.last)
    return customers


def instant_of(row):
    moment = datetime.strptime(row["tweet_created"], "%Y-%m-%d %H:%M:%S %z")
    return int(moment.timestamp()) * 10**9


@pytest.fixture(scope="module")
def customers():
    """The recount."""
    return recount()


@pytest.fixture(scope="module")
def tweets(tmp_path_factory):
    return import_data(DATASETS["airlines"], tmp_path_factory.mktemp("tweets") / "events.jsonl")


@pytest.fixture(scope="module", params=STORES)
def stub(request, tweets, tmp_path_factory):
    """A server that has heard every tweet."""
    directory = tmp_path_factory.mktemp("switchers")
    model = REPOSITORY / "models" / "switchers.toml"
    with store_of(request.param, directory) as store, Server(store, model) as server:
        for result in replay(server.stub, tweets):
            assert result.WhichOneof("result") == "response"
        yield server.stub


@pytest.fixture(params=INSTANTS)
def instant(request, customers):
    return max(customer.last for customer in customers.values()) + INSTANTS[request.param]


def in_region(customer):
    return customer.time_zone == TIME_ZONE


SEGMENTS = {"switchers": in_region, "switchers_elsewhere": lambda who: not in_region(who)}


@pytest.mark.parametrize("segment", SEGMENTS)
def test_the_people_are_those_of_the_recount_most_recent_and_credible_first(
        stub, customers, instant, segment):
    members, totals = snapshot.segment(stub, segment, instant)
    ids = [member.profile.profile_id for member in members]
    assert len(ids) == len(set(ids)), "somebody is listed twice"
    expected = {name: customer.rank(instant) for name, customer in customers.items()
                if SEGMENTS[segment](customer) and customer.rank(instant) >= LEAST_POINTS}
    assert set(ids) == expected.keys()
    assert set(totals) == {len(expected)}
    for number, member in enumerate(members):
        assert member.rank == number + 1
        assert close(member.points, expected[ids[number]]), number

    def identical(one, other):
        one, other = customers[one], customers[other]
        return (max(one.complaints) == max(other.complaints)
                and one.credibility() == other.credibility())

    assert_descending([(expected[name], name) for name in ids], identical, segment)


def test_what_each_of_them_is_ranked_by_is_explained(stub, customers, instant):
    names = [name for name, customer in customers.items() if customer.complaints]
    profiles = snapshot.each_profile(stub, names, instant)
    for number, (name, profile) in enumerate(zip(names, profiles, strict=True)):
        customer = customers[name]
        complaint, credibility = profile.scores
        assert close(complaint.points, customer.complaint(instant)), number
        assert close(credibility.points, customer.credibility()), number
        terms = {term.name: term.points for term in credibility.contributions}
        assert close(credibility.base + math.fsum(terms.values()), credibility.points), number
        assert ("says_where" in terms) == bool(customer.location), number
        assert ("praised_somebody" in terms) == customer.praises, number
        assert ("was_passed_on" in terms) == (customer.retweets > 0), number
        if complaint.points:
            assert [term.name for term in complaint.contributions] == ["complained_of_them"]
        assert profile.stage == customer.stage(instant), number


def test_the_funnel_is_as_recounted(stub, customers, instant):
    expected = {"heard": 0, "unhappy": 0, "may_switch": 0, "": 0}
    for customer in customers.values():
        expected[customer.stage(instant)] += 1
    assert snapshot.funnel(stub, instant) == expected


def test_they_are_people_and_not_mentions(stub, customers):
    last = max(customer.last for customer in customers.values())
    members, _ = snapshot.segment(stub, "switchers", last)
    mentions = sum(len(customers[member.profile.profile_id].complaints) for member in members)
    assert 100 < len(members) < mentions


def test_no_value_is_so_close_to_a_line_that_rounding_decides(customers):
    last = max(customer.last for customer in customers.values())
    for offset, customer in itertools.product(INSTANTS.values(), customers.values()):
        at = last + offset
        evaluated = [(customer.rank(at), LEAST_POINTS), (customer.complaint(at), customer.line())]
        for points, line in evaluated + customer.judged:
            if points:
                # A bound is met from 1e-6 below it on.
                assert abs(math.log2(points / line) + 1e-6) > 2e-6
