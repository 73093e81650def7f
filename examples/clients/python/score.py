"""Scores a question of a person, reads their profile, and sends events of theirs in a stream.

    score.py PROFILE TYPE...
"""

import os
import sys
import uuid
from collections import deque
from pathlib import Path

import grpc
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import scoring_pb2_grpc
from errors import answered, explain, status_of

SECONDS_OF_STREAM = 60
TENANT = os.environ.get("BELLWETHER_TENANT", "")
# Not as credentials of the channel: one with those may hang when it is closed (grpc/grpc#42247).
KEY = [("authorization", f"Bearer {os.environ['BELLWETHER_TOKEN']}")]


def connect():
    trusted = grpc.ssl_channel_credentials(Path(os.environ["BELLWETHER_CA"]).read_bytes())
    config = Path("examples/clients/service_config.json").read_text(encoding="utf-8")
    return grpc.secure_channel(os.environ["BELLWETHER_TARGET"], trusted,
                               [("grpc.service_config", config)])


def new_event(profile_id, event_type, text=""):
    """An event with an id and a time, which are made once: however often it is sent, it counts
    once."""
    event = api.Event(event_id=str(uuid.uuid4()), profile_id=profile_id, type=event_type, text=text)
    event.time.GetCurrentTime()
    return event


def score(service, profile_id):
    event = new_event(profile_id, "question", "Which tool is good for a beginner?")
    request = api.ScoreEventRequest(tenant=TENANT, event=event)
    scored = answered(service.ScoreEvent, request, KEY)
    print(f"{event.type}: {outcome_of(scored)} {', '.join(scored.matched_signals)}")
    asked = api.GetProfileRequest(tenant=TENANT, profile_id=profile_id, view="PROFILE_VIEW_FULL")
    profile = answered(service.GetProfile, asked, KEY).profile
    print(f"{profile.profile_id}: {profile.stage}")
    for each in profile.scores:
        reasons = [f"base {each.base:.1f}"]
        reasons += [f"{part.name} {part.points:.1f}" for part in each.contributions]
        print(f"  {each.name} {each.points:.1f} = {' + '.join(reasons)}")


def send(service, profile_id, types):
    unanswered = deque()

    def requests():
        # gRPC asks for the next one when the server has room. In bulk, each has many events.
        for event_type in types:
            event = new_event(profile_id, event_type)
            unanswered.append(event)
            yield api.ScoreEventsRequest(tenant=TENANT, events=[event],
                                         response_view="RESPONSE_VIEW_NONE")

    for answer in service.ScoreEvents(requests(), metadata=KEY, timeout=SECONDS_OF_STREAM):
        for result in answer.results:
            event = unanswered.popleft()
            is_taken = result.HasField("response")
            said = outcome_of(result.response) if is_taken else explain(result.error)
            print(f"{event.type}: {said}")


def outcome_of(response):
    return api.EventOutcome.Name(response.outcome).removeprefix("EVENT_OUTCOME_")


if __name__ == "__main__":
    _, who, *events = sys.argv
    try:
        with connect() as channel:
            stub = scoring_pb2_grpc.ScoringServiceStub(channel)
            score(stub, who)
            send(stub, who, events)
    except grpc.RpcError as failure:
        sys.exit(explain(status_of(failure)))
