"""An independent, plain recomputation of what Bellwether should say.

Everything is a sum over all events, as docs/model.md defines it: no faded state is kept, no
rank keys, no code of the crate. Only what the definitions make depend on the order of
arrival (limits, cooldowns, histories, stages, which of them are kept, and advances) is followed
in that order. What is asked again before anything else came in is not added up again.

Weights, half-lives and bounds come from the model file. Conditions and values do not: each
is written again by hand, as a Python function, in a module `*_rules.py`. What is not recomputed
is refused where a model file has it.
"""

import bisect
import functools
import math
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import regex

NOISE_FLOOR = 2.0**-20
# A bound is met from this far below it on, in log2.
SLACK = 1e-6
# How near its share a term counts for the breadth, as a part of the share.
NEAR_SHARE = 1e-6
DEFAULT_SHARE = 0.05
REMEMBERED_TOUCHES = 32
PRIOR_TOUCHES = 10
MAX_VALUE = 1e6
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

APPLIED, DUPLICATE = "APPLIED", "DUPLICATE"
# What is recomputed of a model file: the keys of each table.
KNOWN_KEYS = {
    "scores": {"half_life", "base", "breadth", "breadth_share"},
    "signals": {"name", "on", "when", "value", "points", "limit", "cooldown"},
    "attributes": {"name", "when", "points"},
    "identity": {"name", "when", "confidence"},
    "stages": {"name", "when", "min", "keep"},
    "segments": {"name", "of", "when", "min_confidence", "rank_by", "min", "max"},
    "topics": {"name", "keywords"},
    "interests": {"half_life"},
    "influence": {"event_types", "half_life", "attribution_half_life", "advance", "reach"},
    "subjects": {"key"},
}
# What a profile remembers for the answer to an event that is sent again.
REMEMBERED_STAGE_CHANGES, REMEMBERED_MATCHES = 16, 8


def nanos_of_duration(text):
    """`7d` in nanoseconds."""
    return int(text[:-1]) * UNIT_SECONDS[text[-1]] * 1_000_000_000


def nanos_of_instant(text):
    """An RFC 3339 instant in nanoseconds since 1970; the data is exact to the millisecond."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1_000


def remaining(half_life, time, at):
    """What is left at `at` of 1 that came at `time`; all of it without a half-life."""
    return 1.0 if half_life is None else 2.0 ** (-(at - time) / half_life)


def faded_sum(terms, half_life, at):
    """The sum of `(time, value)` terms, each faded by its age."""
    return math.fsum(value * remaining(half_life, time, at) for time, value in terms)


def meets(points, bound):
    """Whether points are at least a bound, and how far from the line they are in log2."""
    if points <= 0.0:
        return False, math.inf
    distance = math.log2(points) - (math.log2(bound) - SLACK)
    return distance >= 0.0, abs(distance)


def rounded(value):
    """To the nearest whole number, halves away from zero."""
    return math.floor(value + 0.5)


def account_attribute(kinds):
    """The attribute that the key of accounts reads, the only kind that is recomputed."""
    if not kinds:
        return None
    [(name, kind)] = kinds.items()
    found = regex.fullmatch(r"profile\.attributes\.(\w+)", kind["key"])
    if name != "account" or not found:
        raise ValueError(f"[subjects.{name}] with {kind} is not recomputed")
    return found[1]


class Model:
    """A model file beside its conditions, written by hand in `rules`."""

    def __init__(self, path, rules):
        text = tomllib.loads(path.read_text(encoding="utf-8"))
        self.check_that_all_is_recomputed(text)
        self.rules = rules
        self.half_lives = {
            name: nanos_of_duration(score["half_life"]) if "half_life" in score else None
            for name, score in text["scores"].items()
        }
        self.bases = {name: score.get("base", 0.0) for name, score in text["scores"].items()}
        # Score -> how many terms must give points, and what share of the greatest each.
        self.breadths = {
            name: (score["breadth"], score.get("breadth_share", DEFAULT_SHARE))
            for name, score in text["scores"].items() if "breadth" in score
        }
        self.identity = text.get("identity", [])
        # The attribute of a person that names the account.
        self.account_attribute = account_attribute(text.get("subjects", {}))
        self.signals = text.get("signals", [])
        self.attribute_rules = text.get("attributes", [])
        self.stages = text.get("stages", [])
        # Score -> the stages that are bounded on it, of scores with one that is easier to keep
        # than to reach.
        self.kept_on = {
            score: [index for index, stage in enumerate(self.stages)
                    if score in stage.get("min", {})]
            for stage in self.stages for score in stage.get("keep", {})
        }
        self.segments = text.get("segments", [])
        for segment in self.segments:
            if isinstance(segment["rank_by"], str):
                segment["rank_by"] = [segment["rank_by"]]
            # Scores above the line and below it, of ratios such as "lately / habit".
            ranked = [name.split("/") for name in segment["rank_by"]]
            segment["above"] = [parts[0].strip() for parts in ranked]
            segment["below"] = [part.strip() for parts in ranked for part in parts[1:]]
        self.topics = text.get("topics", [])
        self.topic_names = [topic["name"] for topic in self.topics]
        interests = text.get("interests", {})
        self.interest_half_life = nanos_of_duration(interests.get("half_life", "30d"))
        self.influence = text.get("influence", {"event_types": {}})
        self.credit_half_life = nanos_of_duration(self.influence.get("half_life", "30d"))
        self.attribution_half_life = nanos_of_duration(
            self.influence.get("attribution_half_life", "30d"))
        # Whole words by Unicode's default boundaries (UAX 29), which `(?w)` selects.
        self.keywords = {
            topic["name"]: regex.compile(
                "(?wi)" + "|".join(rf"\b{self.pattern(word)}\b" for word in topic["keywords"]))
            for topic in self.topics if topic.get("keywords")
        }
        self.check_that_rules_are_complete()

    @staticmethod
    def check_that_all_is_recomputed(text):
        """A key that nothing here reads would go untested. `description` is for people."""
        unknown = [name for name in text if name not in KNOWN_KEYS]
        for name, known in KNOWN_KEYS.items():
            tables = text.get(name, {})
            if name in ("scores", "subjects"):
                tables = list(tables.values())
            elif isinstance(tables, dict):
                tables = [tables]
            unknown += [f"{name}.{key}" for table in tables
                        for key in table if key not in known | {"description"}]
        if unknown:
            raise AssertionError(f"nothing here recomputes {', '.join(unknown)}")

    @staticmethod
    def pattern(keyword):
        """A keyword with any white space between its words, and any apostrophe."""
        words = [regex.escape(word) for word in keyword.split()]
        return r"\s+".join(words).replace("'", "['\u2019\u02bc]")

    def check_that_rules_are_complete(self):
        """A condition that is in the file and not in the rules would go untested."""
        for name, items, handwritten in (
            ("signals", self.signals, self.rules.SIGNALS),
            ("attributes", self.attribute_rules, self.rules.ATTRIBUTES),
            ("stages", self.stages, self.rules.STAGES),
            ("segments", self.segments, self.rules.SEGMENTS),
            ("identity", self.identity, getattr(self.rules, "IDENTITY", {})),
        ):
            conditional = {item["name"] for item in items if "when" in item or any(
                isinstance(item.get(key), str) for key in ("value", "confidence"))}
            if conditional != set(handwritten):
                raise AssertionError(f"{name}: {conditional ^ set(handwritten)} differ")

    def topics_of(self, tags, text):
        """The declared topics of an event, by tag or by keyword."""
        return [
            name for name in self.topic_names
            if name in tags or (name in self.keywords and self.keywords[name].search(text))
        ]


@dataclass
class Event:
    """What conditions may read of an event."""

    event_id: str
    type: str
    time: int
    channel: str
    text: str
    topics: list
    sentiment: float | None
    author_id: str
    content_id: str
    campaign_id: str
    attributes: dict


@dataclass(eq=False)  # each is the same as itself only, whatever came in
class Person:
    """Everything that came in about one person."""

    attributes: dict = field(default_factory=dict)
    known: set = field(default_factory=set)
    times: list = field(default_factory=list)
    seen_types: set = field(default_factory=set)
    # (signal, half-life) -> [(time, value)]
    terms: dict = field(default_factory=lambda: defaultdict(list))
    last_counted: dict = field(default_factory=dict)
    # topic -> [(time, 1)]
    interests: dict = field(default_factory=lambda: defaultdict(list))
    # [(time, author, topics, stage)] ascending by time
    touches: list = field(default_factory=list)
    highest_stage: int = -1
    # score -> the highest stage that is kept
    kept: dict = field(default_factory=dict)
    # The latest changes of stage, each with the event that brought it, and what each event
    # changed.
    path: list = field(default_factory=list)
    moves: dict = field(default_factory=dict)
    # [(event, signals)] of the latest events that matched any
    matched: list = field(default_factory=list)
    # (topic, stage) -> ...
    credits: dict = field(default_factory=lambda: defaultdict(list))
    touch_counts: dict = field(default_factory=lambda: defaultdict(int))
    advance_millionths: dict = field(default_factory=lambda: defaultdict(int))

    @property
    def last_event_time(self):
        return max(self.times, default=0)


@dataclass
class Answer:
    """What the service should answer to one event."""

    outcome: str
    matched: list = field(default_factory=list)
    stage_before: str = ""
    stage_after: str = ""


class Moment:
    """What the condition of a signal sees: the event, and the person just before it."""

    def __init__(self, world, person, event, at):
        self.world, self.person, self.event, self.at = world, person, event, at
        self.profile = person.attributes

    def seen(self, event_type):
        return event_type in self.person.seen_types

    def score(self, name):
        return self.world.points(self.person, name, self.at)

    @property
    def stage(self):
        return self.world.stage(self.person, self.at)

    @property
    def identity(self):
        return self.world.identity(self.person)


def remembered(question):
    """A method of the world whose answers hold until anything comes in."""
    @functools.wraps(question)
    def answer(world, *about):
        key = (question, *about)
        if key not in world.answers:
            world.answers[key] = question(world, *about)
        return world.answers[key]

    return answer


class World:
    """All people, and what the model makes of them at any instant."""

    def __init__(self, model):
        self.model = model
        self.people = defaultdict(Person)
        # What was asked since something came in; see `remembered`.
        self.answers = {}
        # How close any value came to a bound, and to the noise floor of scores, in log2.
        self.closest_to_bound = math.inf
        self.closest_to_noise = math.inf
        self.closest_to_share = math.inf
        # Arrivals whose touches include one at the very instant of the arrival.
        self.simultaneous_touches = 0

    # What came in.

    def update_profile(self, profile_id, attributes):
        person = self.people[profile_id]
        person.attributes.update(attributes)
        self.answers.clear()
        self.judge_kept(person, person.last_event_time)

    def apply(self, line):
        """Takes an event in the proto's JSON form."""
        person = self.people[line["profileId"]]
        time = nanos_of_instant(line["time"])
        pair = (time, line["eventId"])
        if pair in person.known:
            changed = any(pair == cause for _, cause in person.path)
            stages = person.moves[pair] if changed else ("", "")
            return Answer(DUPLICATE, dict(person.matched).get(pair, []), *stages)
        text = line.get("text", "")
        event = Event(
            event_id=line["eventId"], type=line["type"], time=time,
            channel=line.get("channel", ""), text=text,
            topics=self.model.topics_of(line.get("tags", []), text),
            sentiment=line.get("sentiment"), author_id=line.get("authorId", ""),
            content_id=line.get("contentId", ""), campaign_id=line.get("campaignId", ""),
            attributes=line.get("attributes", {}))
        at = max(time, person.last_event_time)
        before = self.stage_index(person, at)
        self.fall(person, at)
        matched = self.matches(person, event, at)
        # What has faded below its `keep` must be reached again.
        self.judge_kept(person, at)

        person.known.add((time, event.event_id))
        person.times.append(time)
        person.seen_types.add(event.type)
        for signal, value in matched:
            self.count(person, signal, time, value, at)
        for topic in event.topics:
            person.interests[topic].append((time, 1.0))
        self.answers.clear()
        self.judge_kept(person, at)

        after = self.stage_index(person, at)
        if after != before:
            person.moves[pair] = (self.stage_name(before), self.stage_name(after))
            person.path.append((at, pair))
        if matched:
            person.matched.append((pair, [signal["name"] for signal, _ in matched]))
        del person.path[:-REMEMBERED_STAGE_CHANGES], person.matched[:-REMEMBERED_MATCHES]
        if after > person.highest_stage:
            person.highest_stage = after
            self.advance(person, at)
        self.touch(line["profileId"], person, event, self.stage_name(before))
        self.answers.clear()
        return Answer(APPLIED, [signal["name"] for signal, _ in matched],
                      self.stage_name(before), self.stage_name(after))

    def fall(self, person, until):
        """Notes the stages that a person falls to by fading alone, up to an event. Whoever is
        new begins at a stage, which is the first change."""
        if not person.times:
            person.path = [(until, None)] if self.stage_index(person, until) >= 0 else []
            return
        # The search goes as near to a bound as it can, which says nothing of the data.
        closest = self.closest_to_bound, self.closest_to_noise, self.closest_to_share
        time = max([person.last_event_time, *(noted for noted, _ in person.path[-1:])])
        while time < until and self.stage_index(person, time) != self.stage_index(person, until):
            stage, kept, lost = self.stage_index(person, time), time, until
            while lost - kept > 1:
                middle = (kept + lost) // 2
                if self.stage_index(person, middle) == stage:
                    kept = middle
                else:
                    lost = middle
            time = lost
            person.path.append((lost, None))
        self.closest_to_bound, self.closest_to_noise, self.closest_to_share = closest

    def judge_kept(self, person, at):
        """Judges at a write which stages a person keeps, and which they have reached."""
        before = dict(person.kept)
        for score, stages in self.model.kept_on.items():
            points = self.points(person, score, at)
            person.kept[score] = max(
                (index for index in stages
                 if self.meets(points, self.least(person, index, score))), default=-1)
        if person.kept != before:
            self.answers.clear()

    def least(self, person, index, score):
        """The least points on a score that a stage asks of a person."""
        stage = self.model.stages[index]
        is_kept = index <= person.kept.get(score, -1)
        return stage.get("keep", stage["min"])[score] if is_kept else stage["min"][score]

    def matches(self, person, event, at):
        """The signals that the event matches and that count, with their values."""
        moment = Moment(self, person, event, at)
        matched = []
        for signal in self.model.signals:
            types = [signal["on"]] if isinstance(signal["on"], str) else signal["on"]
            if event.type not in types:
                continue
            value = self.value(signal, moment)
            if value is None:
                continue
            if "cooldown" in signal and signal["name"] in person.last_counted:
                since = abs(event.time - person.last_counted[signal["name"]])
                if since < nanos_of_duration(signal["cooldown"]):
                    continue
            matched.append((signal, value))
        return matched

    def value(self, signal, moment):
        """What a match adds; `None` for no match."""
        value = signal.get("value", 1.0)
        if signal["name"] in self.model.rules.SIGNALS:
            try:
                value = self.model.rules.SIGNALS[signal["name"]](moment)
            except (KeyError, TypeError):
                return None  # a missing attribute: the condition does not hold
            if value is True:
                value = 1.0
            elif value is False or value is None:
                return None
        return min(value, MAX_VALUE) if value > 0 else None

    def count(self, person, signal, time, value, at):
        if "cooldown" in signal:
            latest = person.last_counted.get(signal["name"], time)
            person.last_counted[signal["name"]] = max(latest, time)
        for half_life in {self.model.half_lives[score] for score in signal["points"]}:
            terms = person.terms[signal["name"], half_life]
            terms.append((time, value))
            if "limit" in signal and faded_sum(terms, half_life, at) > signal["limit"]:
                terms[:] = [(at, float(signal["limit"]))]

    def touch(self, actor_id, person, event, stage):
        credit = self.model.influence["event_types"].get(event.type)
        if credit is None or event.author_id in ("", actor_id) or not event.topics:
            return
        bisect.insort_right(person.touches, (event.time, event.author_id, event.topics, stage),
                            key=lambda touch: touch[0])
        del person.touches[:-REMEMBERED_TOUCHES]
        author = self.people[event.author_id]
        for topic in event.topics:
            author.credits[topic, stage].append((event.time, credit))
            author.touch_counts[topic, stage] += 1

    def advance(self, person, at):
        """Shares one advance over the remembered touches, and forgets them."""
        weights = [remaining(self.model.attribution_half_life, touch[0], at)
                   for touch in person.touches]
        self.simultaneous_touches += any(touch[0] == at for touch in person.touches)
        for (_, author_id, topics, stage), weight in zip(person.touches, weights):
            millionths = rounded(1e6 * weight / math.fsum(weights))
            author = self.people[author_id]
            for topic in topics:
                author.advance_millionths[topic, stage] += millionths
                author.credits[topic, stage].append(
                    (at, self.model.influence.get("advance", 0.0) * millionths / 1e6))
        person.touches.clear()

    @remembered
    def accounts(self):
        """account -> everything that came in about its people, as if they were one.

        Nobody changes the account: what they count, limits kept, is what it counts.
        """
        accounts = defaultdict(Person)
        for person in self.people.values():
            name = person.attributes.get(self.model.account_attribute)
            if not isinstance(name, str) or not person.times:
                continue
            account = accounts[name]
            account.times += person.times
            account.seen_types |= person.seen_types
            for slot, terms in person.terms.items():
                account.terms[slot] += terms
            for topic, terms in person.interests.items():
                account.interests[topic] += terms
        return accounts

    # What it means.

    @remembered
    def identity(self, person):
        """How sure it is who somebody is, from all evidence that holds."""
        doubt = 1.0
        for evidence in self.model.identity:
            given = self.holds_of(self.model.rules.IDENTITY, evidence, person)
            if given is True:
                given = evidence["confidence"]
            doubt *= 1.0 - min(max(float(given), 0.0), 1.0)
        return round(1.0 - doubt, 12)

    @remembered
    def breadth(self, person, score):
        """How many terms give the share of the greatest one that a score asks for."""
        # Whenever: all terms of a score fade alike. At the last event none has faded away.
        terms = self.contributions(person, score, person.last_event_time).values()
        giving = [count * weight for count, weight in terms if count * weight > 0]
        least = max(giving, default=0.0) * self.model.breadths[score][1]
        for points in giving:
            distance = abs(math.log2(points) - math.log2(least))
            self.closest_to_share = min(self.closest_to_share, distance)
        return sum(points >= least * (1 - NEAR_SHARE) for points in giving)

    @remembered
    def contributions(self, person, score, at):
        """The terms of a score: name -> (count, weight)."""
        half_life = self.model.half_lives[score]
        terms = {}
        for signal in self.model.signals:
            if score in signal["points"] and (signal["name"], half_life) in person.terms:
                count = faded_sum(person.terms[signal["name"], half_life], half_life, at)
                terms[signal["name"]] = (count, signal["points"][score])
        for rule in self.model.attribute_rules:
            if score in rule["points"] and self.rule_holds(rule, person):
                terms[rule["name"]] = (1.0, rule["points"][score])
        return terms

    def rule_holds(self, rule, person):
        try:
            return self.model.rules.ATTRIBUTES[rule["name"]](person.attributes)
        except (KeyError, TypeError):
            return False

    @remembered
    def exact_points(self, person, score, at):
        """The points of a score, however few."""
        sum_of_terms = math.fsum(
            count * weight for count, weight in self.contributions(person, score, at).values())
        points = max(0.0, self.model.bases[score] + sum_of_terms)
        if points > 0 and score in self.model.breadths \
                and self.breadth(person, score) < self.model.breadths[score][0]:
            return 0.0
        return points

    @remembered
    def points(self, person, score, at):
        points = self.exact_points(person, score, at)
        if self.model.half_lives[score] is None or points == 0.0:
            return points
        distance = abs(math.log2(points) - math.log2(NOISE_FLOOR))
        self.closest_to_noise = min(self.closest_to_noise, distance)
        return 0.0 if points < NOISE_FLOOR else points

    def meets(self, points, bound):
        """Whether points are at least a bound; takes note of how close they came."""
        within, distance = meets(points, bound)
        self.closest_to_bound = min(self.closest_to_bound, distance)
        return within

    def holds(self, handwritten, item, person):
        """Whether the condition of a stage or a segment holds; it is clock-free."""
        return "when" not in item or self.belongs(handwritten, item, person)

    @staticmethod
    def holds_of(handwritten, item, person):
        """What a handwritten function says of somebody."""
        return handwritten[item["name"]](
            person.attributes, lambda event_type: event_type in person.seen_types)

    def belongs(self, handwritten, item, person):
        """What the handwritten condition of a stage or a segment says, which may read scores
        that do not fade."""
        def score(name):
            if self.model.half_lives[name] is not None:
                raise AssertionError(f"{item['name']} reads {name}, which fades")
            return round(self.points(person, name, person.last_event_time), 6)

        return handwritten[item["name"]](
            person.attributes, lambda event_type: event_type in person.seen_types, score)

    @remembered
    def stage_index(self, person, at):
        """The highest stage that holds, -1 for none."""
        for index in reversed(range(len(self.model.stages))):
            stage = self.model.stages[index]
            if not self.holds(self.model.rules.STAGES, stage, person):
                continue
            within = True
            for score in stage.get("min", {}):
                within = self.meets(
                    self.points(person, score, at), self.least(person, index, score))
            if within:
                return index
        return -1

    def stage_name(self, index):
        return "" if index < 0 else self.model.stages[index]["name"]

    def stage(self, person, at):
        return self.stage_name(self.stage_index(person, at))

    def rank_points(self, person, segment, at):
        """What a segment ranks by: the product of its scores, or their ratio, which has no noise
        floor: only whoever has nothing of a score is in none."""
        if not segment["below"]:
            return math.prod(self.points(person, score, at) for score in segment["above"])
        parts = segment["above"] + segment["below"]
        last = person.last_event_time
        if not all(self.exact_points(person, score, last) > 0 for score in parts):
            return 0.0
        above = math.prod(self.exact_points(person, score, at) for score in segment["above"])
        below = math.prod(self.exact_points(person, score, at) for score in segment["below"])
        return above / below

    def is_member(self, person, segment, at):
        if not self.holds(self.model.rules.SEGMENTS, segment, person):
            return False
        if self.identity(person) < segment.get("min_confidence", 0.0):
            return False
        product = self.rank_points(person, segment, at)
        within = self.meets(product, segment.get("min", NOISE_FLOOR))
        if within and "max" in segment:
            within = not self.meets(product, segment["max"])
        return within

    @remembered
    def segments(self, party, at, of=None):
        """The names of the segments that a person is in, or an account."""
        return [segment["name"] for segment in self.model.segments
                if segment.get("of") == of and self.is_member(party, segment, at)]

    def members(self, segment, at):
        """id -> product, of everybody in a segment: of people, or of accounts."""
        return {
            profile_id: self.rank_points(person, segment, at)
            for profile_id, person in self.parties(segment).items()
            if self.is_member(person, segment, at)
        }

    def parties(self, segment):
        """Those that a segment may have as members."""
        return self.accounts() if segment.get("of") == "account" else self.ranked_people()

    def ranked_people(self):
        """Those who have done or state something: nobody else stands in a rank of people."""
        return {
            profile_id: person for profile_id, person in self.people.items()
            if person.times or person.attributes
        }

    def funnel(self, at):
        """How many people stand at each stage; `""` for none."""
        counts = {stage["name"]: 0 for stage in self.model.stages} | {"": 0}
        for person in self.ranked_people().values():
            counts[self.stage(person, at)] += 1
        return counts

    @remembered
    def interests(self, person, at):
        return {
            topic: faded_sum(terms, self.model.interest_half_life, at)
            for topic, terms in person.interests.items()
        }

    @remembered
    def influencers(self, topic, stage, at):
        """profile id -> (influence, touches, advances, probability); all stages for `None`."""
        def matches(cell):
            return cell[0] == topic and stage in (None, cell[1])

        authors = self.authors(topic)
        touches = advances = 0
        for person in authors.values():
            touches += sum(n for cell, n in person.touch_counts.items() if cell[0] == topic)
            advances += sum(n for cell, n in person.advance_millionths.items() if cell[0] == topic)
        mean = advances / 1e6 / touches if touches else 0.0

        found = {}
        for profile_id, person in authors.items():
            credits = [term for cell, terms in person.credits.items() if matches(cell)
                       for term in terms]
            influence = faded_sum(credits, self.model.credit_half_life, at)
            if not self.meets(influence, NOISE_FLOOR):
                continue
            own_touches = sum(n for cell, n in person.touch_counts.items() if matches(cell))
            own_advances = sum(
                n for cell, n in person.advance_millionths.items() if matches(cell)) / 1e6
            probability = (own_advances + PRIOR_TOUCHES * mean) / (own_touches + PRIOR_TOUCHES)
            found[profile_id] = (influence, own_touches, own_advances, probability)
        return found

    @remembered
    def authors(self, topic):
        """profile id -> person, of everybody who was credited with anything on a topic."""
        return {
            profile_id: person for profile_id, person in self.people.items()
            if any(cell[0] == topic for cells in (
                person.credits, person.touch_counts, person.advance_millionths) for cell in cells)
        }
