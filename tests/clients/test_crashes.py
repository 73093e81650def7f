"""A hundred crashes under bulk load, on either store: nothing that was acknowledged is lost, and
nothing counts twice, neither for people nor for the authors whom they credit."""

import itertools
import random
import threading
from collections import Counter, deque

import pytest
from bellwether.v1 import scoring_pb2 as api
from calls import START, event, get
from server import Server
from stores import STORES, store_of

CRASHES = 100
PEOPLE = 40
AUTHORS = 7
BATCH = 50
BATCHES_IN_FLIGHT = 8
APPLIED, DUPLICATE = api.EVENT_OUTCOME_APPLIED, api.EVENT_OUTCOME_DUPLICATE


def author_of(number):
    """One event in four engages with somebody else's content."""
    return f"author-{number // 4 % AUTHORS}" if number % 4 == 0 else ""


def numbered(number):
    author = author_of(number)
    return event(f"event-{number}", f"person-{number % PEOPLE}",
                 "comment" if author else "question", second=number,
                 author_id=author, tags=["tools"] if author else [])


class Stream:
    """Batches that are sent on one stream, a few of them in flight. Those of whose answer nobody
    has heard when it is closed are `unanswered`, in order."""

    def __init__(self, stub, batches):
        self.unanswered = deque()
        self._batches = batches
        self._room = threading.Semaphore(BATCHES_IN_FLIGHT)
        self._taking = threading.Lock()
        self._is_closed = False
        self._answers = stub.ScoreEvents(self._requests())

    def _requests(self):
        while self._room.acquire():
            with self._taking:
                batch = None if self._is_closed else next(self._batches, None)
                if batch is None:
                    return
                self.unanswered.append(batch)
            yield api.ScoreEventsRequest(events=[numbered(number) for number in batch],
                                         response_view=api.RESPONSE_VIEW_NONE)

    def __iter__(self):
        """Each batch that is answered, with the outcomes of its events."""
        for answer in self._answers:
            self._room.release()
            yield (self.unanswered.popleft(),
                   [result.response.outcome for result in answer.results])

    def close(self):
        with self._taking:
            self._is_closed = True
        self._room.release()


@pytest.mark.parametrize("kind", STORES)
def test_a_hundred_crashes_under_bulk_load_lose_nothing_and_count_nothing_twice(kind, tmp_path):
    dice = random.Random(CRASHES)
    fresh = (range(first, first + BATCH) for first in itertools.count(0, BATCH))
    again, taken = deque(), []

    def batches():
        while again:
            yield again.popleft()
        for batch in fresh:
            taken.append(batch)
            yield batch

    with store_of(kind, tmp_path) as store:
        for _ in range(CRASHES):
            server = Server(store)
            sent_before = set(again)
            stream = Stream(server.stub, batches())
            answered = dice.randint(1, 30)
            try:
                for batch, outcomes in itertools.islice(stream, answered):
                    allowed = {APPLIED, DUPLICATE} if batch in sent_before else {APPLIED}
                    assert set(outcomes) <= allowed and len(outcomes) == BATCH
            finally:
                server.kill()
                stream.close()
            # Whoever has heard nothing sends again, in order.
            again.extendleft(reversed(stream.unanswered))

        with Server(store) as server:
            rest = list(again)
            for _, outcomes in Stream(server.stub, iter(rest)):
                assert set(outcomes) <= {APPLIED, DUPLICATE}
            numbers = [number for batch in taken for number in batch]
            people = Counter(number % PEOPLE for number in numbers)
            counted = {person: get(server.stub, "", f"person-{person}").event_count
                       for person in people}
            assert counted == people
            authors = Counter(filter(None, map(author_of, numbers)))
            request = api.TopInfluencersRequest(topic="tools", page_size=100)
            request.as_of.seconds = START + len(numbers)
            touches = {influencer.profile.profile_id: influencer.touches
                       for influencer in server.stub.TopInfluencers(request).influencers}
            assert touches == authors
