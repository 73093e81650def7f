#!/usr/bin/env python3
"""Turns the "Twitter US Airline Sentiment" table into events for `bellwether replay`.

FILE is Tweets.csv, plain or as .csv.gz. The output is JSON Lines: first where people say
they are, then what they said, by time.

  complaint   negative; sentiment is minus the confidence of those who judged it
  praise      positive; sentiment is the confidence
  mention     neutral; sentiment is 0

The reason of a complaint is its topic, such as `late-flight`; the airline, the reason and
the place are attributes. A tweet that quotes another (`RT @name` or `"@name`) engages with
that person's content. The table holds some tweets twice; they come out twice, and
Bellwether counts them once.
"""

import argparse
import csv
import gzip
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

TYPES = {"negative": "complaint", "positive": "praise", "neutral": "mention"}
DIRECTIONS = {"negative": -1, "positive": 1, "neutral": 0}
NO_REASON = ("", "Can't Tell")
QUOTED = re.compile(r"""(?:\bRT\s+|["“])@(\w{1,15})\b""")


def rows(path):
    """Yields the rows of the table one by one."""
    stream = gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else \
        path.open(encoding="utf-8", newline="")
    with stream:
        yield from csv.DictReader(stream)


def slug(name):
    """`Late Flight` as the name of a topic: `late-flight`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def event_of(row):
    """The instant of a tweet and its event."""
    time = datetime.strptime(row["tweet_created"], "%Y-%m-%d %H:%M:%S %z").astimezone(timezone.utc)
    sentiment = row["airline_sentiment"]
    confidence = float(row["airline_sentiment_confidence"])
    attributes = {
        "airline": row["airline"],
        "confidence": confidence,
        "retweets": int(row["retweet_count"]),
    }
    if row["negativereason"]:
        attributes["reason"] = row["negativereason"]
        attributes["reason_confidence"] = float(row["negativereason_confidence"])
    if row["tweet_location"]:
        attributes["place"] = row["tweet_location"]
    if row["user_timezone"]:
        attributes["time_zone"] = row["user_timezone"]
    event = {
        "eventId": f"tweet-{row['tweet_id']}",
        "profileId": row["name"],
        "type": TYPES[sentiment],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "channel": "twitter",
        "attributes": attributes,
        "text": row["text"],
        "sentiment": DIRECTIONS[sentiment] * confidence,
    }
    if row["negativereason"] not in NO_REASON:
        event["tags"] = [slug(row["negativereason"])]
    if quoted := QUOTED.search(row["text"]):
        event["authorId"] = quoted.group(1)
    return time, event


def lines(path):
    """Yields one update for each person who says where they are, then every event."""
    people, events = {}, []
    for row in rows(path):
        # The table starts with the latest: what is stated last stands.
        stated = people.setdefault(row["name"], {})
        for name, column in (("location", "tweet_location"), ("time_zone", "user_timezone")):
            if row[column]:
                stated.setdefault(name, row[column])
        time, event = event_of(row)
        events.append((time, len(events), event))
    for name, attributes in people.items():
        if attributes:
            yield {"updateProfile": {"profileId": name, "attributes": attributes}}
    for _, _, event in sorted(events, key=lambda entry: entry[:2]):
        yield event


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", type=Path, help="the table")
    parser.add_argument("--output", metavar="FILE", type=Path, help="standard output unless given")
    arguments = parser.parse_args()

    output = arguments.output.open("w", encoding="utf-8") if arguments.output else sys.stdout
    with output:
        for line in lines(arguments.file):
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")), file=output)


if __name__ == "__main__":
    main()
