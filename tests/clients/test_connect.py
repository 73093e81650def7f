"""Connect and gRPC-Web on the port of gRPC, by curl and by requests that are written by hand."""

import base64
import gzip
import http.client
import json
import re
import subprocess
import urllib.parse

import grpc
import pytest
from bellwether.v1 import model_pb2, model_pb2_grpc
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import store_pb2_grpc
from calls import event, score
from certificates import Authority
from google.protobuf import json_format
from google.rpc import error_details_pb2
from server import REPOSITORY, Server
from test_keys import MODEL, ROLES, STATED, Key, methods, requests
from web import JSON, MODELS, SCORING, call, framed, frames, send

DOCUMENTED = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
STREAM = "application/connect+json"


def curl(*arguments):
    """Runs curl, and returns what it prints."""
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60",
                           *map(str, arguments)],
                          capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server of which pages of two origins and an app may ask, also by URL."""
    origins = "https://app.example, http://localhost:3000, capacitor://localhost"
    settings = {"BELLWETHER_CORS_ORIGINS": origins,
                "BELLWETHER_CONNECT_GET": "true", "BELLWETHER_MODEL_SERVICE": "false",
                "BELLWETHER_MAX_MESSAGE_BYTES": "100000"}
    with Server(tmp_path_factory.mktemp("own") / "store", settings=settings) as running:
        yield running


def test_the_documented_curl_works_over_both_versions_of_http(server):
    score(server.stub, "", event())
    for page in (DOCUMENTED, (REPOSITORY / "README.md").read_text(encoding="utf-8")):
        [command] = set(re.findall(r"^curl -d '(\{\"profileId\":\"ann\"\})' -H '(content-type: \S+)' "
                                   r"\\?\s*(http://127\.0\.0\.1:50051)(\S+)$", page, re.MULTILINE))
        body, header, _, path = command
        for version in ("--http1.1", "--http2-prior-knowledge"):
            said = curl(version, "-d", body, "-H", header, f"http://{server.address}{path}")
            assert json.loads(said)["profile"]["profileId"] == "ann"


def test_json_and_binary_say_what_grpc_says(server, tenant):
    score(server.stub, tenant, event(text="Which tool is good for a beginner?",
                                     attributes={"a": [1, None, {"b": True}]}))
    request = api.GetProfileRequest(tenant=tenant, profile_id="ann", view="PROFILE_VIEW_FULL",
                                    as_of={"seconds": 1_700_000_000})
    expected = server.stub.GetProfile(request)
    told = call(server.address, "GetProfile", json_format.MessageToJson(request))
    assert (told.http, told.headers["content-type"]) == (200, JSON)
    assert json_format.Parse(told.body, api.GetProfileResponse()) == expected
    told = send(server.address, f"{SCORING}/GetProfile", request.SerializeToString(),
                "application/proto")
    assert (told.http, told.headers["content-type"]) == (200, "application/proto")
    assert api.GetProfileResponse.FromString(told.body) == expected


def test_every_method_of_the_api_is_called_in_json_and_fails_as_in_grpc(server):
    stubs = {"ScoringService": server.stub,
             "ModelService": model_pb2_grpc.ModelServiceStub(server.channel),
             "StoreService": store_pb2_grpc.StoreServiceStub(server.channel)}
    for service, method in methods():
        request = method.input_type._concrete_class()
        call_it = getattr(stubs[service], method.name)
        is_stream = method.client_streaming or method.server_streaming
        try:
            answered = call_it(iter([request]) if method.client_streaming else request, timeout=30)
            list(answered) if is_stream else None
            expected = "ok"
        except grpc.RpcError as error:
            expected = error.code().name.lower().replace("cancelled", "canceled")
        path = f"/bellwether.v1.{service}/{method.name}"
        if is_stream:
            told = send(server.address, path, framed(b"{}"), STREAM)
            *_, (flags, end) = frames(told.body)
            assert (told.http, flags) == (200, 2)
            found = json.loads(end).get("error", {"code": "ok"})["code"]
        else:
            told = send(server.address, path, {})
            found = "ok" if told.http == 200 else told.code
        assert found == expected, method.name


def test_an_error_has_code_message_and_details(server, tenant):
    told = call(server.address, "GetProfile", {"tenant": tenant})
    assert (told.http, told.headers["content-type"], told.code) == (400, JSON, "invalid_argument")
    assert list(told.json) == ["code", "message", "details"]
    [violation] = told.detail(error_details_pb2.BadRequest).field_violations
    assert violation.field == "profile_id"
    assert told.detail(error_details_pb2.ErrorInfo).domain == "bellwether.dev"
    debug = {detail["type"]: detail["debug"] for detail in told.json["details"]}
    assert debug["google.rpc.BadRequest"]["fieldViolations"][0]["field"] == "profile_id"


def test_what_is_wrong_with_a_message_is_said_and_unknown_fields_are_passed_over(server, tenant):
    score(server.stub, tenant, event())
    newer = {"tenant": tenant, "profileId": "ann", "ofTomorrow": [{}],
             "view": "PROFILE_VIEW_OF_TOMORROW"}
    assert call(server.address, "GetProfile", newer).http == 200
    for wrong in (b"", b"[]", b"{", b'{"profileId": 5}', b"\xff", b'{"asOf": "yesterday"}', b"{} {}"):
        told = call(server.address, "GetProfile", wrong)
        assert (told.http, told.code) == (400, "invalid_argument"), wrong
        assert told.detail(error_details_pb2.ErrorInfo).reason == "MALFORMED_MESSAGE", wrong
    told = send(server.address, f"{SCORING}/GetProfile", b"\xff", "application/proto")
    assert (told.http, told.code) == (400, "invalid_argument")


def test_the_head_says_how_long_a_call_may_take_and_how_it_is_written(server, tenant):
    body = {"tenant": tenant, "profileId": "ann"}
    for milliseconds, http in [("30000", 404), ("9999999999", 404), ("0", 504), ("", 400),
                               ("1s", 400), ("99999999999", 400)]:
        told = call(server.address, "GetProfile", body, connect_timeout_ms=milliseconds)
        assert told.http == http, milliseconds
    # gRPC's own header means nothing here.
    assert call(server.address, "GetProfile", body, grpc_timeout="0n").http == 404
    for version, http in [("1", 404), ("2", 400), ("", 400)]:
        told = call(server.address, "GetProfile", body, connect_protocol_version=version)
        assert told.http == http, version
    packed = gzip.compress(json.dumps(body).encode())
    assert call(server.address, "GetProfile", packed, content_encoding="gzip").http == 404
    assert call(server.address, "GetProfile", body, content_encoding="identity").http == 404
    assert call(server.address, "GetProfile", body, content_encoding="gzip").http == 400
    told = call(server.address, "GetProfile", body, content_encoding="br")
    assert (told.http, told.code) == (501, "unimplemented")
    message = api.GetProfileRequest(tenant=tenant, profile_id="ann").SerializeToString()
    told = send(server.address, f"{SCORING}/GetProfile", gzip.compress(message),
                "application/proto", content_encoding="gzip")
    assert told.http == 404


def test_what_is_no_call_is_told_how_to_make_one(own):
    readable = ["gRPC", "gRPC-Web", "Connect", "curl -d"]
    profile = f"{SCORING}/GetProfile"
    for http, path, kind, method, header in [
            (404, "/", None, "GET", None), (404, "/favicon.ico", None, "GET", None),
            (404, f"{SCORING}/Nothing", JSON, "POST", None), (404, "*", None, "OPTIONS", None),
            (405, f"{SCORING}/ScoreEvent", None, "GET", ("allow", "POST")),
            (405, profile, JSON, "PUT", ("allow", "GET, POST")),
            (405, profile, "application/grpc-web", "PUT", ("allow", "POST")),
            (415, profile, None, "POST", ("accept-post", "application/json")),
            (415, profile, "text/html", "POST", ("accept-post", "application/proto")),
            (415, profile, STREAM, "POST", ("accept-post", "application/json")),
            (415, f"{SCORING}/ScoreEvents", JSON, "POST", ("accept-post", STREAM)),
            (505, profile, "application/grpc", "POST", None),
            (505, profile, "application/grpc+proto", "POST", None)]:
        told = send(own.address, path, b"{}", kind, method)
        assert (told.http, told.code) == (http, "unimplemented"), (path, kind, method)
        assert all(word in told.json["message"] for word in readable), told.json
        if header:
            name, value = header
            assert value in told.headers[name], (path, kind, method)
    # A method that is not served although it is known.
    assert send(own.address, f"{MODELS}/GetModels", {}).http == 501
    told = call(own.address, "GetProfile", {"profileId": "x" * 100_000})
    assert (told.http, told.code) == (429, "resource_exhausted")


def test_media_types_and_encodings_are_known_in_any_case(server, tmp_path):
    score(server.stub, "", event())
    for kind in ("application/JSON; charset=UTF-8", "Application/Json"):
        told = call(server.address, "GetProfile", {"profileId": "ann"}, kind=kind)
        assert (told.http, told.json["profile"]["profileId"]) == (200, "ann")
    packed = gzip.compress(b'{"profileId": "ann"}')
    told = call(server.address, "GetProfile", packed, content_encoding="GZIP")
    assert told.json["profile"]["profileId"] == "ann"
    asked, answer = tmp_path / "asked", tmp_path / "answer"
    asked.write_bytes(framed(api.GetProfileRequest(profile_id="ann").SerializeToString()))
    head = curl("--http2-prior-knowledge", "--data-binary", f"@{asked}", "-o", answer, "-D", "-",
                "-H", "content-type: Application/GRPC+Proto", "-H", "te: trailers",
                f"http://{server.address}{SCORING}/GetProfile")
    assert "grpc-status: 0" in head
    [(flags, message)] = frames(answer.read_bytes())
    assert flags == 0
    assert api.GetProfileResponse.FromString(message).profile.profile_id == "ann"


def test_head_and_get_of_a_method_are_told_what_may_be_sent(own):
    for version in ("--http1.1", "--http2-prior-knowledge"):
        for path, http, header in [(f"{SCORING}/GetProfile", 405, "allow: GET, POST"),
                                   (f"{SCORING}/ScoreEvent", 405, "allow: POST"), ("/", 404, "")]:
            # curl fails where a body comes with it.
            head = curl(version, "--head", f"http://{own.address}{path}")
            assert f" {http}" in head.splitlines()[0] and header in head, head
            assert "content-length: " in head
        # Calls of gRPC are made by POST, too.
        for method in ("GET", "HEAD"):
            more = ["--head"] if method == "HEAD" else []
            head = curl(version, *more, "-X", method, "-o", "/dev/null", "-D", "-",
                        "-H", "content-type: application/grpc",
                        f"http://{own.address}{SCORING}/ScoreEvent")
            assert " 405" in head.splitlines()[0], head


def test_the_statuses_of_http_are_those_that_are_documented():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `[a-z_]+` \| (\d+) \|$", OPERATIONS, re.MULTILINE))
    codes = {code.name for code in grpc.StatusCode} - {"OK"}
    assert set(table) == codes
    source = (REPOSITORY / "src" / "grpc" / "web" / "error.rs").read_text(encoding="utf-8")
    for name, http in table.items():
        word = "canceled" if name == "CANCELLED" else name.lower()
        assert f'("{word}", {http})' in source


def test_get_is_off_unless_asked_for_and_only_for_what_changes_nothing(server, own):
    def path(method, body, **more):
        query = urllib.parse.urlencode({"connect": "v1", "encoding": "json",
                                        "message": body} | more)
        return f"{SCORING}/{method}?{query}"

    def get(where, *arguments, **more):
        return send(where.address, path(*arguments, **more), kind=None, method="GET")

    asked = json.dumps({"profileId": "ann"})
    refused = get(server, "GetProfile", asked)
    assert (refused.http, refused.headers["allow"]) == (405, "POST")
    score(own.stub, "", event())
    assert get(own, "GetProfile", asked).json["profile"]["profileId"] == "ann"
    encoded = base64.urlsafe_b64encode(gzip.compress(asked.encode())).decode()
    for message in (encoded, encoded.rstrip("=")):
        told = get(own, "GetProfile", message, base64="1", compression="gzip")
        assert told.json["profile"]["profileId"] == "ann"
    binary = api.GetProfileRequest(profile_id="ann").SerializeToString()
    told = get(own, "GetProfile", base64.urlsafe_b64encode(binary), base64="1", encoding="proto")
    assert api.GetProfileResponse.FromString(told.body).profile.profile_id == "ann"
    # Its length is a byte that is no text.
    long = "a" * 200
    binary = api.GetProfileRequest(profile_id=long, or_default=True).SerializeToString()
    told = get(own, "GetProfile", binary, encoding="proto")
    assert api.GetProfileResponse.FromString(told.body).profile.profile_id == long
    sent = json.dumps({"profileId": "ann"})
    for method in ("ScoreEvent", "UpdateProfile", "ScoreEvents"):
        assert get(own, method, sent).http == 405
    for more, http in [({"connect": "v2"}, 400), ({"encoding": "xml"}, 415), ({"base64": "1"}, 400),
                       ({"compression": "br"}, 501)]:
        assert get(own, "GetProfile", sent, **more).http == http, more
    for query in ("", "?encoding=json", "?message={}"):
        told = send(own.address, f"{SCORING}/GetProfile{query}", kind=None, method="GET")
        assert told.http == 400, query


def test_pages_of_configured_origins_may_call_and_others_may_not(server, own):
    asking = {"access_control_request_method": "POST",
              "access_control_request_headers": "authorization,content-type,connect-protocol-version"}
    for origin in ("https://app.example", "http://localhost:3000", "capacitor://localhost"):
        asked = send(own.address, f"{SCORING}/GetProfile", kind=None, method="OPTIONS",
                     origin=origin, **asking)
        assert asked.http == 200
        assert asked.headers["access-control-allow-origin"] == origin
        assert "origin" in asked.headers["vary"].lower()
        allowed = asked.headers["access-control-allow-headers"].split(",")
        assert {"authorization", "content-type", "connect-protocol-version", "connect-timeout-ms",
                "x-grpc-web", "grpc-timeout", "x-user-agent"} <= set(allowed)
        assert "access-control-allow-credentials" not in asked.headers
        told = call(own.address, "GetProfile", {"profileId": "nobody"}, origin=origin)
        assert (told.http, told.headers["access-control-allow-origin"]) == (404, origin)
        assert "origin" in told.headers["vary"].lower()
        exposed = told.headers["access-control-expose-headers"]
        assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed.split(","))
    for where, origin in [(own, "https://evil.example"), (own, "null"),
                          (server, "https://app.example")]:
        for method in ("OPTIONS", "POST"):
            told = send(where.address, f"{SCORING}/GetProfile", {"profileId": "ann"},
                        method=method, origin=origin, **asking)
            assert (told.http, told.code) == (403, "permission_denied")
            assert "access-control-allow-origin" not in told.headers


def test_any_origin_may_be_let_in(tmp_path):
    with Server(tmp_path / "store", settings={"BELLWETHER_CORS_ORIGINS": "*"}) as server:
        told = call(server.address, "GetFunnel", {}, origin="https://anybody.example")
        assert (told.http, told.headers["access-control-allow-origin"]) == (200, "*")


def test_keys_and_roles_hold_as_in_grpc(tmp_path):
    path, model = tmp_path / "keys.toml", tmp_path / "acme.toml"
    path.write_text(ROLES, encoding="utf-8")
    model.write_text(MODEL, encoding="utf-8")
    admin, narrow = Key(path, "acme", "admin"), Key(path, "acme", "narrow")
    settings = {"BELLWETHER_KEYS": str(path), "BELLWETHER_CORS_ORIGINS": "*"}
    with Server(tmp_path / "store", model=model, settings=settings) as server:
        def ask(key, method="GetProfile", **headers):
            request = requests("acme")[method]
            if key is not None:
                headers["authorization"] = dict(key.metadata)["authorization"]
            return call(server.address, method, json_format.MessageToJson(request), **headers)

        told = ask(None)
        assert (told.http, told.code) == (401, "unauthenticated")
        assert told.headers["www-authenticate"] == "Bearer"
        assert ask(None, authorization="Bearer nonsense").http == 401
        # Whoever asks whether a page may call has no key yet.
        asked = send(server.address, f"{SCORING}/GetProfile", kind=None, method="OPTIONS",
                     origin="https://app.example", access_control_request_method="POST")
        assert asked.http == 200
        assert ask(admin, "UpdateProfile").http == 200
        assert ask(admin, "ScoreEvent").http == 200
        for key in (admin, narrow):
            expected = server.stub.GetProfile(requests("acme")["GetProfile"], metadata=key.metadata)
            told = json_format.Parse(ask(key).body, api.GetProfileResponse())
            told.profile.as_of.CopyFrom(expected.profile.as_of)
            assert [score.name for score in told.profile.scores] == [
                score.name for score in expected.profile.scores]
            assert told.profile.attributes == expected.profile.attributes
            assert ("secret_attribute" in told.profile.attributes) == (key is admin)
            assert b"secret" not in ask(narrow).body
        told = ask(narrow, "RankSegment", connect_protocol_version="1")
        assert told.http == 200 and b"secret" not in told.body
        assert STATED["secret_attribute"] not in told.body.decode()
        hidden = api.RankSegmentRequest(tenant="acme", segment="secret_segment")
        told = call(server.address, "RankSegment", json_format.MessageToJson(hidden),
                    authorization=dict(narrow.metadata)["authorization"])
        assert told.http in (403, 404)
        models = send(server.address, f"{MODELS}/GetModels", {"tenant": "acme"},
                      authorization=dict(narrow.metadata)["authorization"])
        assert (models.http, models.code) == (403, "permission_denied")


def test_a_stream_of_events_is_answered_in_envelopes(server, tenant):
    sent = [api.ScoreEventsRequest(tenant=tenant, events=[event(f"event-{n}")]) for n in range(3)]
    as_json = b"".join(framed(json_format.MessageToJson(one).encode()) for one in sent)
    packed = framed(gzip.compress(json_format.MessageToJson(sent[0]).encode()), flags=1)
    binary = b"".join(framed(one.SerializeToString()) for one in sent)
    outcomes = []
    for body, kind, headers in [(as_json, STREAM, {}), (binary, "application/connect+proto", {}),
                                (packed, STREAM, {"connect_content_encoding": "gzip"})]:
        told = send(server.address, f"{SCORING}/ScoreEvents", body, kind, **headers)
        assert (told.http, told.headers["content-type"]) == (200, kind)
        *answers, (flags, end) = frames(told.body)
        assert (flags, json.loads(end)) == (2, {})
        for flags, answer in answers:
            assert flags == 0
            message = (json_format.Parse(answer, api.ScoreEventsResponse()) if kind == STREAM
                       else api.ScoreEventsResponse.FromString(answer))
            outcomes.append(message.results[0].response.outcome)
    # The second and third time nothing counts again.
    assert outcomes == [api.EVENT_OUTCOME_APPLIED] * 3 + [api.EVENT_OUTCOME_DUPLICATE] * 4


def test_a_stream_that_fails_says_so_in_its_last_envelope(server, tenant):
    good = framed(json_format.MessageToJson(
        api.ScoreEventsRequest(tenant=tenant, events=[event()])).encode())
    for body, code, answered in [(good + framed(b"{"), "invalid_argument", 1),
                                 (good + b"\0\0", "invalid_argument", 1),
                                 (good + framed(b"{}", flags=2), "invalid_argument", None),
                                 (good + b"\0\xff\xff\xff\xff", "resource_exhausted", None),
                                 (b"\1" + good[1:], "invalid_argument", 0)]:
        told = send(server.address, f"{SCORING}/ScoreEvents", body, STREAM)
        *answers, (flags, end) = frames(told.body)
        assert (told.http, flags) == (200, 2)
        # What comes together with something that is no message may go with it.
        assert len(answers) == answered or (answered is None and len(answers) <= 1), body
        assert json.loads(end)["error"]["code"] == code, body
    for header, value, code in [("connect_timeout_ms", "0", "deadline_exceeded"),
                                ("connect_timeout_ms", "soon", "invalid_argument"),
                                ("connect_protocol_version", "2", "invalid_argument"),
                                ("connect_content_encoding", "br", "unimplemented")]:
        told = send(server.address, f"{SCORING}/ScoreEvents", good, STREAM, **{header: value})
        [(flags, end)] = frames(told.body)
        assert (told.http, told.headers["content-type"], flags) == (200, STREAM, 2)
        assert json.loads(end)["error"]["code"] == code


def test_an_answer_of_many_messages_comes_by_connect_and_by_grpc_web(server, tenant):
    score(server.stub, tenant, event())
    asked = model_pb2.CompareModelsRequest(tenant=tenant, new_source=MODEL)
    told = send(server.address, f"{MODELS}/CompareModels",
                framed(json_format.MessageToJson(asked).encode()), STREAM)
    *answers, (flags, end) = frames(told.body)
    assert (flags, json.loads(end)) == (2, {})
    last = json_format.Parse(answers[-1][1], model_pb2.CompareModelsResponse())
    told = send(server.address, f"{MODELS}/CompareModels", framed(asked.SerializeToString()),
                "application/grpc-web+proto", x_grpc_web="1")
    *answers, (flags, end) = frames(told.body)
    assert flags == 0x80 and b"grpc-status:0" in end
    report = model_pb2.CompareModelsResponse.FromString(answers[-1][1]).report
    report.as_of.CopyFrom(last.report.as_of)
    assert report == last.report


def test_grpc_web_answers_in_binary_and_in_text(server, tenant):
    score(server.stub, tenant, event())
    asked = framed(api.GetProfileRequest(tenant=tenant, profile_id="ann").SerializeToString())
    for kind, body in [("application/grpc-web", asked), ("application/grpc-web+proto", asked),
                       ("application/grpc-web-text", base64.b64encode(asked))]:
        told = send(server.address, f"{SCORING}/GetProfile", body, kind, accept=kind, x_grpc_web="1")
        assert told.http == 200
        # Each piece of the text is padded for itself.
        decoded = (b"".join(map(base64.b64decode, re.findall(b"[^=]+=*", told.body)))
                   if "text" in kind else told.body)
        [(_, message), (flags, end)] = frames(decoded)
        assert flags == 0x80 and b"grpc-status:0" in end
        assert api.GetProfileResponse.FromString(message).profile.profile_id == "ann"
    nobody = framed(api.GetProfileRequest(tenant=tenant).SerializeToString())
    told = send(server.address, f"{SCORING}/GetProfile", nobody, "application/grpc-web")
    status = told.headers.get("grpc-status") or re.search(rb"grpc-status:(\d+)", told.body)[1]
    assert int(status) == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_both_versions_of_http_are_spoken_behind_tls(tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate = authority.server()
    settings = {"BELLWETHER_TLS_CERT": str(certificate.certificate),
                "BELLWETHER_TLS_KEY": str(certificate.key)}
    trusted = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with Server(tmp_path / "store", settings=settings, credentials=trusted) as server:
        url = f"https://localhost:{server.address.rsplit(':', 1)[1]}{SCORING}/GetFunnel"
        for version, spoken in [("--http1.1", "1.1"), ("--http2", "2")]:
            said = curl(version, "--cacert", authority.certificate, "-d", "{}", "-H",
                        f"content-type: {JSON}", "--resolve",
                        url.split("/")[2] + ":127.0.0.1", "-w", "\n%{http_version}", url)
            body, found = said.rsplit("\n", 1)
            assert found == spoken
            assert "stages" in json.loads(body) or json.loads(body)


def test_the_health_is_told_in_json(server):
    told = send(server.address, "/grpc.health.v1.Health/Check", {})
    assert told.json == {"status": "SERVING"}


def test_a_stop_answers_what_is_in_work_and_closes_what_is_idle(tmp_path):
    with Server(tmp_path / "store") as server:
        idle = http.client.HTTPConnection(server.address, timeout=60)
        idle.request("POST", f"{SCORING}/GetFunnel", "{}", {"content-type": JSON})
        assert idle.getresponse().read()
        busy = http.client.HTTPConnection(server.address, timeout=60)
        busy.putrequest("POST", f"{SCORING}/GetFunnel")
        busy.putheader("content-type", JSON)
        busy.putheader("content-length", "2")
        busy.putheader("expect", "100-continue")
        busy.endheaders()
        # Whoever is told to go on has a call.
        assert busy.sock.recv(100).startswith(b"HTTP/1.1 100")
        server.terminate()
        assert idle.sock.recv(1) == b""
        busy.send(b"{}")
        answer = busy.getresponse()
        assert answer.status == 200 and answer.read()
        # It may be told with the answer, or only after it, that the server leaves.
        assert busy.sock is None or busy.sock.recv(1) == b""
        server.stop()
