"""Sends JSON Lines of events and profile updates to a server, as a caller in Python would."""

import json
from itertools import islice

import grpc
from bellwether.v1 import scoring_pb2 as api
from google.protobuf import json_format

EVENTS_PER_REQUEST = 200


def read_lines(path):
    """The lines of a file, each as a dict."""
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def event_of(line):
    """An `Event` from its JSON form."""
    return json_format.ParseDict(line, api.Event())


def batches(items, size):
    """Lists of at most `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def update_profiles(stub, lines, tenant=""):
    """Sends every profile update, many at a time, and returns how many there were. Those that
    a busy server turns away are sent again."""
    updates = [line["updateProfile"] for line in lines if "updateProfile" in line]
    for batch in batches(updates, EVENTS_PER_REQUEST):
        while batch:
            calls = [
                (update, stub.UpdateProfile.future(json_format.ParseDict(
                    {"tenant": tenant, **update}, api.UpdateProfileRequest())))
                for update in batch
            ]
            batch = [update for update, call in calls if is_turned_away(call)]
    return len(updates)


def is_turned_away(call):
    """Waits for a call, and says whether nothing came of it because the server was busy."""
    try:
        call.result()
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return True
    return False


def requests_of(lines, tenant="", size=EVENTS_PER_REQUEST):
    """The requests of a `ScoreEvents` stream that sends every event."""
    return (
        api.ScoreEventsRequest(tenant=tenant, events=[event_of(line) for line in batch])
        for batch in batches((line for line in lines if "updateProfile" not in line), size)
    )


def stream_events(stub, lines, tenant="", size=EVENTS_PER_REQUEST):
    """Sends every event through one `ScoreEvents` stream and yields a result for each."""
    return stream_requests(stub, requests_of(lines, tenant, size))


def stream_requests(stub, requests):
    """Sends requests through one `ScoreEvents` stream and yields a result for each event."""
    for response in stub.ScoreEvents(iter(requests)):
        yield from response.results


def replay(stub, lines, tenant=""):
    """Sends everything, updates first, and returns the results of the events."""
    update_profiles(stub, lines, tenant)
    return list(stream_events(stub, lines, tenant))
