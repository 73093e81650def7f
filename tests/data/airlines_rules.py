"""The conditions and values of `models/airlines.toml`, written again by hand.

A signal's function returns what a match adds, or whether it matches (which adds 1).
"""

STRANDING = {"cancelled-flight", "lost-luggage"}
EAST = {"Eastern Time (US & Canada)", "America/New_York", "Quito"}

SIGNALS = {
    "complained": lambda moment: -moment.event.sentiment,
    "was_stranded": lambda moment: bool(STRANDING & set(moment.event.topics)),
    "complained_again": lambda moment: moment.seen("complaint"),
    "was_passed_on": lambda moment: moment.event.attributes["retweets"],
    "talks_on": lambda moment: moment.stage == "unhappy" or moment.score("anger") >= 3.0,
    "praised": lambda moment: moment.event.sentiment,
    "flies_with_the_smallest":
        lambda moment: moment.event.attributes["airline"] == "Virgin America",
}

ATTRIBUTES = {
    "lives_in_the_east": lambda profile: profile["time_zone"] in EAST,
    "lives_in_the_middle": lambda profile: profile["time_zone"] == "Central Time (US & Canada)",
    "says_where": lambda profile: "location" in profile,
}

STAGES = {
    "unhappy": lambda profile, seen, score: seen("complaint"),
    "looking_around": lambda profile, seen, score: seen("complaint"),
    "ready_to_switch": lambda profile, seen, score: seen("complaint") and not seen("praise"),
}

SEGMENTS = {
    "offer_today": lambda profile, seen, score: not seen("praise"),
    "win_back": lambda profile, seen, score: seen("complaint"),
    "cooling_down": lambda profile, seen, score: seen("complaint"),
    "happy_elsewhere": lambda profile, seen, score: not seen("complaint"),
    "unknown_place":
        lambda profile, seen, score: "location" not in profile and "time_zone" not in profile,
}
