"""The conditions and values of `models/forum.toml`, written again by hand.

A signal's function returns what a match adds, or whether it matches (which adds 1).
"""


def spoken(moment):
    return any(moment.seen(event_type) for event_type in ("question", "answer", "comment"))


SIGNALS = {
    "answered": lambda moment: min(3.0, 1.0 + moment.event.attributes["length"] / 1000.0),
    "commented": lambda moment: moment.event.attributes["length"] >= 40,
    "was_chosen": lambda moment: not moment.event.attributes["own_answer"],
    "took_a_first_step": lambda moment: moment.event.attributes["badge"] in {
        "Autobiographer", "Supporter", "Critic", "Informed"},
    "was_distinguished": lambda moment: moment.event.attributes["grade"] in {"silver", "gold"},
    "came_back": lambda moment: spoken(moment) and moment.score("engagement") < 2.0,
    "looks_for_a_tool": lambda moment: bool(
        {"getting-started", "tools"} & set(moment.event.topics)),
    "took_a_post_back": lambda moment: moment.event.attributes["badge"] in {
        "Peer Pressure", "Disciplined"},
}

ATTRIBUTES = {
    "founding_member": lambda profile: profile["joined_week"] <= 2,
    "says_where": lambda profile: "location" in profile,
    "is_looked_up": lambda profile: profile["profile_views"] >= 20,
}

STAGES = {
    "contributor": lambda profile, seen, score: seen("question") or seen("answer"),
    "advocate": lambda profile, seen, score: seen("answer"),
}

SEGMENTS = {
    "contact_next": lambda profile, seen, score: not seen("answer"),
    "about_to_leave":
        lambda profile, seen, score: seen("question") or seen("answer") or seen("comment"),
    "unknown_place": lambda profile, seen, score: "location" not in profile,
}
