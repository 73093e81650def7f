"""Calls by HTTP, written by hand as the protocols say."""

import base64
import http.client
import json
import struct

JSON = "application/json"
SCORING = "/bellwether.v1.ScoringService"
MODELS = "/bellwether.v1.ModelService"


class Answer:
    """What a request was answered with."""

    def __init__(self, response):
        self.http = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of an error."""
        return self.json["code"]

    def detail(self, kind):
        """What an error says in a message of this kind."""
        [found] = [detail for detail in self.json["details"]
                   if detail["type"] == kind.DESCRIPTOR.full_name]
        value = found["value"]
        return kind.FromString(base64.b64decode(value + "=" * (-len(value) % 4)))


def send(address, path, body=b"", kind=JSON, method="POST", **headers):
    """Sends a request on a connection of its own; `headers` with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if kind is not None:
        named["content-type"] = kind
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, named)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def call(address, method, body, **headers):
    """Calls a method of the scoring service in JSON."""
    return send(address, f"{SCORING}/{method}", body, **headers)


def framed(message, flags=0):
    """A message with its prefix."""
    return bytes([flags]) + struct.pack(">I", len(message)) + message


def frames(body):
    """Flags and message of each of them."""
    found = []
    while body:
        flags, length = struct.unpack_from(">BI", body)
        assert len(body) >= 5 + length, body
        found.append((flags, body[5:5 + length]))
        body = body[5 + length:]
    return found
