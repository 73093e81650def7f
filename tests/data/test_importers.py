"""The importers of `examples/` on small tables, and the example data on its source."""

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bellwether.v1 import scoring_pb2 as api
from google.protobuf import json_format

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EXAMPLES = REPOSITORY / "examples"

TABLES = {
    "Users": """
        <row Id="-1" CreationDate="2020-01-01T00:00:00.000" Location="on the server farm" />
        <row Id="1" CreationDate="2020-01-01T00:00:00.000" Location="Oslo" Views="7" />
        <row Id="2" CreationDate="2020-01-09T00:00:00.000" />
        <row Id="3" CreationDate="2020-02-01T00:00:00.000" />""",
    "Posts": """
        <row Id="10" PostTypeId="1" OwnerUserId="1" CreationDate="2020-01-10T10:00:00.123"
             Title="Why?" Body="&lt;p&gt;Is it &lt;a href='x'&gt;so&lt;/a&gt; &amp;amp; why&lt;/p&gt;"
             Tags="&lt;tea&gt;&lt;green-tea&gt;" />
        <row Id="11" PostTypeId="2" ParentId="10" OwnerUserId="2"
             CreationDate="2020-01-10T11:00:00.000" Body="Because." />
        <row Id="12" PostTypeId="2" ParentId="10" CreationDate="2020-01-10T12:00:00.000" Body="?" />
        <row Id="13" PostTypeId="5" OwnerUserId="2" CreationDate="2020-01-10T12:00:00.000"
             Body="A tag wiki" />
        <row Id="14" PostTypeId="2" ParentId="10" OwnerUserId="1"
             CreationDate="2020-01-10T12:30:00.000" Body="My own" />""",
    "Comments": """
        <row Id="20" PostId="11" UserId="1" CreationDate="2020-01-10T09:00:00.000" Text="Thanks!" />
        <row Id="21" PostId="11" UserId="-1" CreationDate="2020-01-10T13:00:00.000" Text="robot" />
        <row Id="22" PostId="99" UserId="1" CreationDate="2020-01-10T13:00:00.000" Text="lost" />
        <row Id="23" PostId="12" UserId="1" CreationDate="2020-01-10T13:00:00.000" Text="Who?" />""",
    "Badges": """
        <row Id="30" UserId="2" Name="Teacher" Date="2020-01-11T00:00:00.000" Class="3" />""",
    "Votes": """
        <row Id="40" PostId="11" VoteTypeId="1" CreationDate="2020-01-10T00:00:00.000" />
        <row Id="41" PostId="14" VoteTypeId="1" CreationDate="2020-01-12T00:00:00.000" />
        <row Id="42" PostId="11" VoteTypeId="2" CreationDate="2020-01-10T00:00:00.000" />""",
}


def run_importer(name, *arguments):
    """The lines that an importer writes; each must be readable as what it says it is."""
    finished = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", check=True)
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    for line in lines:
        if "updateProfile" in line:
            json_format.ParseDict(line["updateProfile"], api.UpdateProfileRequest())
        else:
            json_format.ParseDict(line, api.Event())
    return lines


@pytest.fixture
def dump(tmp_path):
    for table, rows in TABLES.items():
        text = f"<?xml version='1.0' encoding='utf-8'?><rows>{rows}</rows>"
        with gzip.open(tmp_path / f"{table}.xml.gz", "wt", encoding="utf-8") as stream:
            stream.write(text)
    return tmp_path


def events_by_id(lines):
    return {line["eventId"]: line for line in lines if "eventId" in line}


def test_a_question_carries_its_tags_and_its_plain_text(dump):
    question = events_by_id(run_importer("import_stackexchange.py", dump))["post-10"]
    assert question == {
        "eventId": "post-10", "profileId": "user-1", "type": "question",
        "time": "2020-01-10T10:00:00.123Z", "tags": ["tea", "green-tea"],
        "attributes": {"length": 14, "links": 1}, "text": "Why?\nIs it so & why"}


def test_answers_and_comments_engage_with_the_owner_of_the_post(dump):
    events = events_by_id(run_importer("import_stackexchange.py", dump))
    answer, comment = events["post-11"], events["comment-20"]
    assert (answer["authorId"], answer["contentId"]) == ("user-1", "post-10")
    assert (comment["authorId"], comment["contentId"]) == ("user-2", "post-11")
    assert answer["tags"] == comment["tags"] == ["tea", "green-tea"]
    assert "authorId" not in events["comment-23"]  # nobody knows who wrote that answer


def test_an_acceptance_is_an_event_of_both_and_follows_the_answer(dump):
    events = events_by_id(run_importer("import_stackexchange.py", dump))
    assert events["accept-11"]["profileId"] == "user-1"
    assert events["accept-11"]["authorId"] == "user-2"
    assert events["accepted-11"]["profileId"] == "user-2"
    assert "authorId" not in events["accepted-11"]
    assert events["accept-11"]["time"] == "2020-01-10T11:00:00.012Z"
    assert events["accept-14"]["time"] == "2020-01-12T00:00:00.015Z"
    assert events["accepted-11"]["attributes"] == {"own_answer": False}
    assert events["accepted-14"]["attributes"] == {"own_answer": True}


def test_what_nobody_known_did_is_left_out(dump):
    events = events_by_id(run_importer("import_stackexchange.py", dump))
    assert set(events) == {
        "post-10", "post-11", "post-14", "comment-20", "comment-23", "badge-30",
        "accept-11", "accepted-11", "accept-14", "accepted-14"}


def test_people_come_first_and_events_by_time(dump):
    lines = run_importer("import_stackexchange.py", dump)
    assert [line["updateProfile"] for line in lines[:3]] == [
        {"profileId": "user-1",
         "attributes": {"joined_week": 1, "location": "Oslo", "profile_views": 7}},
        {"profileId": "user-2", "attributes": {"joined_week": 2}},
        {"profileId": "user-3", "attributes": {"joined_week": 5}}]
    times = [line["time"] for line in lines[3:]]
    assert times == sorted(times)
    assert lines[3]["eventId"] == "comment-20"


def test_an_end_leaves_out_what_came_later(dump):
    lines = run_importer("import_stackexchange.py", dump, "--until", "2020-01-10T12:00:00")
    assert set(events_by_id(lines)) == {
        "post-10", "post-11", "comment-20", "accept-11", "accepted-11"}
    assert len(lines) == 2 + 5


def test_texts_are_cut_to_the_limit_of_an_event(dump):
    long = "é" * 40_000  # 80,000 bytes
    (dump / "Comments.xml.gz").unlink()
    (dump / "Comments.xml").write_text(
        f'<comments><row Id="1" PostId="10" UserId="1" CreationDate="2020-01-10T13:00:00.000" '
        f'Text="{long}" /></comments>', encoding="utf-8")
    events = events_by_id(run_importer("import_stackexchange.py", dump))
    assert events["comment-1"]["text"] == "é" * 32_768
    assert events["comment-1"]["attributes"]["length"] == 40_000
    events = events_by_id(run_importer("import_stackexchange.py", dump, "--text-characters", 5))
    assert events["comment-1"]["text"] == "ééééé"


COLUMNS = ["tweet_id", "airline_sentiment", "airline_sentiment_confidence", "negativereason",
           "negativereason_confidence", "airline", "name", "retweet_count", "text",
           "tweet_created", "tweet_location", "user_timezone"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_tweets_become_complaints_praise_and_mentions(tmp_path, suffix):
    path = tmp_path / f"tweets.{suffix}"
    rows = [
        ["3", "neutral", "0.5", "", "", "Delta", "ann", "0", "hm, ok", "2015-02-24 11:00:00 -0800",
         "", "Quito"],
        ["2", "positive", "0.75", "", "", "Delta", "bob", "2", "RT @cid good",
         "2015-02-24 10:00:00 -0800", "", ""],
        ["1", "negative", "1.0", "Late Flight", "0.9", "United", "ann", "0", "late\nagain",
         "2015-02-24 09:00:00 -0800", "Oslo", "Paris"],
        ["0", "negative", "0.6", "Can't Tell", "0.6", "United", "ann", "0", "bad",
         "2015-02-24 08:00:00 -0800", "Bergen", ""],
    ]
    opened = gzip.open(path, "wt", newline="") if suffix.endswith("gz") else \
        path.open("w", newline="")
    with opened as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    lines = run_importer("import_airline_tweets.py", path)
    assert lines[0] == {"updateProfile": {
        "profileId": "ann", "attributes": {"time_zone": "Quito", "location": "Oslo"}}}
    assert [line["eventId"] for line in lines[1:]] == ["tweet-0", "tweet-1", "tweet-2", "tweet-3"]
    first, late, praise, mention = lines[1:]
    assert [event["type"] for event in lines[1:]] == ["complaint", "complaint", "praise", "mention"]
    assert [event["sentiment"] for event in lines[1:]] == [-0.6, -1.0, 0.75, 0.0]
    assert "tags" not in first and late["tags"] == ["late-flight"]
    assert late["time"] == "2015-02-24T17:00:00Z"
    assert late["attributes"] == {
        "airline": "United", "confidence": 1.0, "retweets": 0, "reason": "Late Flight",
        "reason_confidence": 0.9, "place": "Oslo", "time_zone": "Paris"}
    assert praise["authorId"] == "cid" and "authorId" not in mention


def test_the_example_data_is_what_its_readme_says():
    """Whoever has the source can make the file again, byte for byte."""
    data = os.environ.get("BELLWETHER_DATA")
    source = Path(data or "") / "stackexchange_conlang"
    if not data or not source.exists():
        pytest.fail("BELLWETHER_DATA must name a directory that holds stackexchange_conlang")
    made = subprocess.run(
        [sys.executable, EXAMPLES / "import_stackexchange.py", source, "--until", "2018-05-02",
         "--text-characters", "280"], capture_output=True, check=True).stdout
    assert made == (EXAMPLES / "data" / "conlang.jsonl").read_bytes()
