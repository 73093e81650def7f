"""The conditions and values of `airline_regions.toml`, written again by hand.

A signal's function returns what a match adds, or whether it matches (which adds 1); one of
identity how much of a confidence there is, or whether there is that of the file.
"""

STRANDING = {"cancelled-flight", "lost-luggage"}
NAMED = ("location", "time_zone", "name")

SIGNALS = {
    "complained": lambda moment: -moment.event.sentiment,
    "was_stranded": lambda moment: bool(STRANDING & set(moment.event.topics)),
    "was_passed_on": lambda moment: moment.event.attributes["retweets"],
    "wrote_again": lambda moment: moment.seen("complaint"),
    "is_known_and_angry": lambda moment: moment.identity >= 0.55,
    "praised": lambda moment: moment.event.sentiment,
}

ATTRIBUTES = {
    "says_where": lambda profile: "location" in profile,
}

IDENTITY = {
    "has_a_place": lambda profile, seen: "location" in profile,
    "has_a_time": lambda profile, seen: "time_zone" in profile and not seen("praise"),
    "is_friendly": lambda profile, seen: seen("praise"),
    "is_talked_to": lambda profile, seen:
        seen("mention") and sum(bool(profile.get(name)) for name in NAMED) / 3 / 2,
}

STAGES = {}

SEGMENTS = {
    "from_nowhere": lambda profile, seen, score: "location" not in profile,
    "regions_of_regard": lambda profile, seen, score: seen("praise"),
}
