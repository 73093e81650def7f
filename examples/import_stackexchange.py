#!/usr/bin/env python3
"""Turns a Stack Exchange data dump into events for `bellwether replay`.

DIR holds Users.xml, Posts.xml, Comments.xml, Badges.xml and Votes.xml, each plain or
as .xml.gz. The output is JSON Lines: first what people state, then what they did, by time.

  question         somebody asked                       tags: those of the question
  answer           ... answered                         author_id: who asked
  comment          ... commented on a post              author_id: who wrote the post
  answer_accepted  ... accepted an answer to their own  author_id: who answered
  accepted         ... had an answer accepted
  badge            ... earned a badge

The dump says on which day an answer was accepted, not when. The event takes the first
instant that it may have happened at, the start of that day or the answer itself, plus a
millisecond for each number of the answer's id (an hour at most). So it follows the answer,
is the same in every run, and acceptances of one day do not share one instant, which matters
because a profile remembers a limited number of events.

Scores and views of posts are left out: they are totals on the day of the dump, which nobody
could know on the day of the post. What deleted people and the site's robot did is left out.
"""

import argparse
import gzip
import json
import re
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

QUESTION, ANSWER = "1", "2"
ACCEPTED_BY_ASKER = "1"
ROBOT = "-1"
BADGE_GRADES = {"1": "gold", "2": "silver", "3": "bronze"}
MAX_TEXT_BYTES = 64 * 1024
MILLISECONDS_PER_HOUR = 3_600_000


class PlainText(HTMLParser):
    """Collects the text of a post, and counts its links."""

    def __init__(self, body):
        super().__init__(convert_charrefs=True)
        self.parts = []
        self.links = 0
        self.feed(body)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.links += tag == "a"

    def handle_data(self, data):
        self.parts.append(data)

    def text(self):
        return " ".join("".join(self.parts).split())


def rows(directory, table):
    """Yields the rows of a table one by one, each as a dict of strings."""
    plain = directory / f"{table}.xml"
    stream = plain.open("rb") if plain.exists() else gzip.open(directory / f"{table}.xml.gz", "rb")
    with stream:
        for _, element in ElementTree.iterparse(stream):
            if element.tag == "row":
                yield dict(element.attrib)
                element.clear()


def instant(text):
    """Reads an instant of the dump, which is UTC without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def shortened(text, max_characters):
    """The beginning of a text, within the limit asked for and the limit of an event."""
    if max_characters is not None:
        text = text[:max_characters]
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


class Importer:
    """Reads one dump. Posts are remembered by owner and tags only."""

    def __init__(self, directory, until, max_characters):
        self.directory = directory
        self.until = until
        self.max_characters = max_characters
        self.posts = {}
        self.events = []
        self.left_out = Counter()

    def profile_updates(self):
        """Yields one update for each person, in the order of their ids."""
        people = [row for row in rows(self.directory, "Users") if row["Id"] != ROBOT]
        opened = min((instant(row["CreationDate"]) for row in people), default=None)
        for row in people:
            joined = instant(row["CreationDate"])
            if joined >= self.until:
                continue
            # Counted from the opening, so that it stays true when a replay shifts time.
            attributes = {"joined_week": (joined - opened) // timedelta(weeks=1) + 1}
            if row.get("Location"):
                attributes["location"] = row["Location"]
            if "Views" in row:
                attributes["profile_views"] = int(row["Views"])
            yield {"updateProfile": {"profileId": f"user-{row['Id']}", "attributes": attributes}}

    def add(self, event_id, event_type, user, time, **fields):
        """Takes an event, unless nobody is known to have done it."""
        if user is None or user == ROBOT:
            self.left_out[f"{event_type} by nobody known"] += 1
        elif time >= self.until:
            self.left_out[f"{event_type} after the end"] += 1
        else:
            event = {"eventId": event_id, "profileId": f"user-{user}", "type": event_type}
            event["time"] = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            event.update((name, value) for name, value in fields.items() if value)
            self.events.append((time, len(self.events), event))

    def engagement(self, post_id):
        """Whose content an event on a post engages with, which content and on what."""
        post = self.posts[post_id]
        owner = post["owner"]
        author = f"user-{owner}" if owner not in (None, ROBOT) else None
        return {"authorId": author, "contentId": f"post-{post_id}", "tags": self.tags(post_id)}

    def tags(self, post_id):
        """The tags of a question, or of the question that an answer belongs to."""
        post = self.posts[post_id]
        return self.posts.get(post["parent"], post)["tags"]

    def read_posts(self):
        # An answer's question is always in the dump before it, except where it was deleted.
        for row in rows(self.directory, "Posts"):
            if row["PostTypeId"] not in (QUESTION, ANSWER):
                continue
            time = instant(row["CreationDate"])
            post = {
                "owner": row.get("OwnerUserId"),
                "parent": row.get("ParentId"),
                "tags": re.findall(r"<([^>]+)>", row.get("Tags", "")),
                "time": time,
            }
            self.posts[row["Id"]] = post
            body = PlainText(row["Body"])
            text = "\n".join(filter(None, [row.get("Title"), body.text()]))
            written = {
                "attributes": {"length": len(body.text()), "links": body.links},
                "text": shortened(text, self.max_characters),
            }
            event_id, owner = f"post-{row['Id']}", post["owner"]
            if row["PostTypeId"] == QUESTION:
                self.add(event_id, "question", owner, time, tags=post["tags"], **written)
            elif post["parent"] in self.posts:
                engaged = self.engagement(post["parent"])
                self.add(event_id, "answer", owner, time, **engaged, **written)
            else:
                self.left_out["answer without its question"] += 1

    def read_comments(self):
        for row in rows(self.directory, "Comments"):
            if row["PostId"] not in self.posts:
                self.left_out["comment without its post"] += 1
                continue
            self.add(
                f"comment-{row['Id']}",
                "comment",
                row.get("UserId"),
                instant(row["CreationDate"]),
                **self.engagement(row["PostId"]),
                attributes={"length": len(row["Text"])},
                text=shortened(row["Text"], self.max_characters),
            )

    def read_acceptances(self):
        for row in rows(self.directory, "Votes"):
            if row["VoteTypeId"] != ACCEPTED_BY_ASKER:
                continue
            answer_id = row["PostId"]
            answer = self.posts.get(answer_id)
            question = self.posts.get(answer["parent"]) if answer else None
            if question is None:
                self.left_out["acceptance without its answer"] += 1
                continue
            offset = timedelta(milliseconds=int(answer_id) % MILLISECONDS_PER_HOUR + 1)
            time = max(instant(row["CreationDate"]), answer["time"]) + offset
            attributes = {"own_answer": question["owner"] == answer["owner"]}
            engaged = self.engagement(answer_id)
            self.add(f"accept-{answer_id}", "answer_accepted", question["owner"], time,
                     **engaged, attributes=attributes)
            self.add(f"accepted-{answer_id}", "accepted", answer["owner"], time,
                     contentId=engaged["contentId"], tags=engaged["tags"],
                     attributes=attributes)

    def read_badges(self):
        for row in rows(self.directory, "Badges"):
            attributes = {"badge": row["Name"], "grade": BADGE_GRADES[row["Class"]]}
            self.add(f"badge-{row['Id']}", "badge", row["UserId"], instant(row["Date"]),
                     attributes=attributes)

    def lines(self):
        yield from self.profile_updates()
        self.read_posts()
        self.read_comments()
        self.read_acceptances()
        self.read_badges()
        for _, _, event in sorted(self.events, key=lambda entry: entry[:2]):
            yield event


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", metavar="DIR", type=Path, help="where the tables are")
    parser.add_argument("--output", metavar="FILE", type=Path, help="standard output unless given")
    parser.add_argument("--until", metavar="DATE", type=instant, default="9999-12-31",
                        help="leave out what happened on this day (UTC) and later")
    parser.add_argument("--text-characters", metavar="N", type=int,
                        help="keep only the first N characters of each text; 64 KiB unless given")
    arguments = parser.parse_args()

    importer = Importer(arguments.directory, arguments.until, arguments.text_characters)
    output = arguments.output.open("w", encoding="utf-8") if arguments.output else sys.stdout
    with output:
        for line in importer.lines():
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")), file=output)
    print(f"{len(importer.events)} events", file=sys.stderr)
    for reason, count in sorted(importer.left_out.items()):
        print(f"left out: {count} {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
