"""Who may call, and what they see: keys and roles against a real server, for every call of the API."""

import base64
import hashlib
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from bellwether.v1 import model_pb2, model_pb2_grpc
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import scoring_pb2_grpc, store_pb2, store_pb2_grpc
from calls import START, Refusal, event, now
from certificates import Authority, openssl
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from server import Server, eventually, refusal_to_start, run
from stores import STORES, store_of

MODEL = """
[scores.interest]
half_life = "7d"
[scores.secret_score]

[[signals]]
name = "visited"
on = "visit"
points = { interest = 1 }
[[signals]]
name = "secret_signal"
on = "visit"
points = { secret_score = 3 }

[[attributes]]
name = "secret_rule"
when = 'profile.attributes.secret_attribute == "secret_value"'
points = { secret_score = 20 }

[[stages]]
name = "aware"
when = 'seen("visit")'

[[segments]]
name = "interested"
rank_by = "interest"
[[segments]]
name = "secret_segment"
rank_by = "interest"
[[segments]]
name = "by_secret"
rank_by = "secret_score"

[[topics]]
name = "prices"
keywords = ["price"]
[[topics]]
name = "secret_topic"
keywords = ["cost"]

[influence]
event_types = { visit = 1 }
half_life = "7d"
attribution_half_life = "7d"
reach = "secret_attribute"

[[quarantine]]
name = "secret_quarantine"
when = 'profile.attributes.secret_attribute == "held"'
"""

ROLES = """
[roles.narrow]
calls = ["read", "write", "moderate"]
scores = ["interest"]
attributes = ["industry"]
segments = ["interested", "by_secret"]
topics = ["prices"]

[roles.collector]
calls = ["write"]
"""

SHIPPED = ["admin", "writer", "reader", "sales", "community_manager", "legal", "product_marketing"]

READ = {"GetProfile", "BatchGetProfiles", "GetSubject", "RankSegment", "GetSegmentTopics",
        "GetFunnel", "TopInfluencers", "GetCatalog"}
WRITE = {"ScoreEvent", "ScoreEvents", "UpdateProfile", "BatchUpdateProfiles", "UpdateSubject"}
MODERATE = {"RetractEvent", "ListQuarantine", "ReleaseEvents"}
AUDIT = {"GetAudit"}
BACKUP = {"Backup"}
MODELS = {"ApplyModel", "GetModels", "CompareModels"}
PERSONS = {"GetProfile", "BatchGetProfiles", "GetSubject"}
# What docs/operations.md says of each role.
MAY = {
    "admin": READ | WRITE | MODERATE | MODELS | AUDIT | BACKUP,
    "writer": READ | WRITE,
    "reader": READ,
    "sales": PERSONS | {"RankSegment", "GetFunnel", "GetCatalog"},
    "community_manager": READ | MODERATE,
    "legal": PERSONS | AUDIT | {"RetractEvent", "ListQuarantine", "GetCatalog"},
    "product_marketing": {"GetFunnel", "GetSegmentTopics", "TopInfluencers", "RankSegment",
                          "GetCatalog"},
    "narrow": READ | WRITE | MODERATE,
    "collector": WRITE,
}
NOBODY = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def requests(tenant):
    """A good request of every call, by its name."""
    # Of now: what is looked for must not have faded.
    visit = event("visit-1", "ann", "visit", NOW - START, author_id="bob",
                  text="the price, the cost")
    return {
        "ScoreEvent": api.ScoreEventRequest(tenant=tenant, event=visit),
        "ScoreEvents": api.ScoreEventsRequest(tenant=tenant, events=[visit]),
        "RetractEvent": api.RetractEventRequest(
            tenant=tenant, event=event("visit-9", "ann", "visit", NOW - START)),
        "ListQuarantine": api.ListQuarantineRequest(tenant=tenant, rule="secret_quarantine"),
        "ReleaseEvents": api.ReleaseEventsRequest(tenant=tenant, profile_id="ann"),
        "GetProfile": api.GetProfileRequest(tenant=tenant, profile_id="ann", view="PROFILE_VIEW_FULL"),
        "BatchGetProfiles": api.BatchGetProfilesRequest(
            tenant=tenant, profile_ids=["ann"], view="PROFILE_VIEW_FULL"),
        "UpdateProfile": api.UpdateProfileRequest(
            tenant=tenant, profile_id="ann", attributes=STATED, response_view="RESPONSE_VIEW_FULL"),
        "BatchUpdateProfiles": api.BatchUpdateProfilesRequest(
            tenant=tenant, response_view="RESPONSE_VIEW_FULL",
            updates=[api.ProfileUpdate(profile_id="ann", attributes=STATED)]),
        "GetSubject": api.GetSubjectRequest(tenant=tenant, kind="account", subject_id="a"),
        "UpdateSubject": api.UpdateSubjectRequest(tenant=tenant, kind="account", subject_id="a"),
        "RankSegment": api.RankSegmentRequest(
            tenant=tenant, segment="interested", view="PROFILE_VIEW_FULL"),
        "GetSegmentTopics": api.GetSegmentTopicsRequest(tenant=tenant, segment="interested"),
        "GetFunnel": api.GetFunnelRequest(tenant=tenant),
        "TopInfluencers": api.TopInfluencersRequest(tenant=tenant, topic="prices"),
        "GetCatalog": api.GetCatalogRequest(tenant=tenant),
        "GetAudit": api.GetAuditRequest(tenant=tenant),
        "ApplyModel": model_pb2.ApplyModelRequest(
            tenant=tenant, source=MODEL, validate_only=True),
        "GetModels": model_pb2.GetModelsRequest(tenant=tenant),
        "CompareModels": model_pb2.CompareModelsRequest(tenant=tenant, new_source=MODEL),
        "Backup": store_pb2.BackupRequest(tenant=tenant),
    }


NOW = now()
STATED = {"industry": "retail", "secret_attribute": "secret_value"}


def methods():
    """Every method of the API, with its service."""
    for file in (api.DESCRIPTOR, model_pb2.DESCRIPTOR, store_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            for method in service.methods:
                yield service.name, method


class Key:
    """A key that `bellwether key new` has made."""

    def __init__(self, path, tenant, role, *more):
        made = run("key", "new", "--tenant", tenant, "--role", role, "--keys", path, "--json", *more)
        assert made.returncode == 0, made.stderr
        self.made = json.loads(made.stdout)
        self.metadata = [("authorization", f"Bearer {self.made['secret']}")]


def call(channel, service, method, request, metadata):
    """The answers to a call, or the error that it ends with."""
    stubs = {"ScoringService": scoring_pb2_grpc.ScoringServiceStub,
             "ModelService": model_pb2_grpc.ModelServiceStub,
             "StoreService": store_pb2_grpc.StoreServiceStub}
    function = getattr(stubs[service](channel), method.name)
    request = iter([request]) if method.client_streaming else request
    try:
        answered = function(request, metadata=metadata, timeout=30)
        return list(answered) if method.server_streaming else [answered]
    except grpc.RpcError as error:
        return Refusal(error)


@pytest.fixture(scope="module", params=STORES)
def world(request, tmp_path_factory):
    """A server that asks for keys, with a key of each role for tenant `acme`."""
    directory = tmp_path_factory.mktemp("keys")
    path, models = directory / "keys.toml", directory / "models"
    path.write_text(ROLES, encoding="utf-8")
    models.mkdir()
    for tenant in ("acme", "other"):
        (models / f"{tenant}.toml").write_text(MODEL, encoding="utf-8")
    keys = {role: Key(path, "acme", role) for role in [*SHIPPED, "narrow", "collector"]}
    keys["everywhere"] = Key(path, "*", "admin")
    with store_of(request.param, directory) as store:
        with Server(store, model=models, settings={"BELLWETHER_KEYS": str(path)}) as server:
            for tenant in ("acme", "other"):
                for name, sent in requests(tenant).items():
                    if name in ("ScoreEvent", "UpdateProfile"):
                        getattr(server.stub, name)(sent, metadata=keys["everywhere"].metadata)
            yield server, keys, path


def test_every_call_asks_who_calls_and_whether_they_may(world):
    server, keys, _ = world
    sent = requests("acme")
    assert {method.name for _, method in methods()} == set(sent), "a call without a request here"
    for service, method in methods():
        for metadata in (None, [("authorization", "Bearer bellwether_nobody")],
                         [("authorization", "Basic YTpi")], [("authorization", "Bearer ")],
                         [("authorization", "Bearer a"), ("authorization", "Bearer b")]):
            refusal = call(server.channel, service, method, sent[method.name], metadata)
            assert refusal.code == grpc.StatusCode.UNAUTHENTICATED, (method.name, metadata)
            assert refusal.domain == "bellwether.dev"
        for role, may in MAY.items():
            answer = call(server.channel, service, method, sent[method.name],
                          keys[role].metadata)
            if method.name in may:
                code = answer.code if isinstance(answer, Refusal) else None
                # A tenant without such a segment or kind is another matter; and the narrow role
                # has the call, and does not see what it asks for.
                is_hidden = role == "narrow" and method.name in ("ListQuarantine", "ReleaseEvents")
                assert (code in NOBODY) == is_hidden, (role, method.name, answer)
            else:
                assert answer.code == grpc.StatusCode.PERMISSION_DENIED, (role, method.name)
                assert answer.reason == "CALL_NOT_ALLOWED"
                assert answer.metadata["role"] == role
                assert answer.metadata["call"] == method.name


def test_no_call_reaches_the_tenant_of_another(world):
    server, keys, _ = world
    for tenant in ("other", "unknown", ""):
        for service, method in methods():
            for role, may in MAY.items():
                if method.name not in may:
                    continue
                refusal = call(server.channel, service, method, requests(tenant)[method.name],
                               keys[role].metadata)
                assert refusal.code == grpc.StatusCode.PERMISSION_DENIED, (role, method.name, tenant)
                assert refusal.reason == "TENANT_NOT_ALLOWED", (role, method.name, tenant)
    answered = call(server.channel, "ScoringService", api.DESCRIPTOR.services_by_name[
        "ScoringService"].methods_by_name["GetProfile"], requests("other")["GetProfile"],
        keys["everywhere"].metadata)
    assert answered[0].profile.profile_id == "ann"


def test_a_stream_is_asked_with_every_message(world):
    server, keys, _ = world
    mine, foreign = requests("acme")["ScoreEvents"], requests("other")["ScoreEvents"]
    answers = server.stub.ScoreEvents(iter([mine, foreign, mine]),
                                      metadata=keys["writer"].metadata, timeout=30)
    assert len(next(answers).results) == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert Refusal(caught.value).reason == "TENANT_NOT_ALLOWED"


def test_what_a_role_does_not_see_is_in_none_of_its_answers(world):
    server, keys, _ = world
    sent = requests("acme")
    for service, method in methods():
        if method.name not in MAY["narrow"]:
            continue
        everything = call(server.channel, service, method, sent[method.name],
                          keys["admin"].metadata)
        answer = call(server.channel, service, method, sent[method.name], keys["narrow"].metadata)
        if isinstance(answer, Refusal):
            assert "secret" not in answer.message.replace("secret_quarantine", ""), method.name
            continue
        told = "".join(map(json_format.MessageToJson, answer))
        assert "secret" not in told, (method.name, told)
        # The other one is told; otherwise this would show nothing.
        if method.name in ("GetProfile", "BatchGetProfiles", "UpdateProfile", "RankSegment",
                           "GetCatalog", "ScoreEvent"):
            assert "secret" in "".join(map(json_format.MessageToJson, everything)), method.name
    profile = server.stub.GetProfile(sent["GetProfile"], metadata=keys["narrow"].metadata).profile
    assert [score.name for score in profile.scores] == ["interest"]
    assert [part.name for part in profile.scores[0].contributions] == ["visited"]
    assert dict(profile.attributes) == {"industry": "retail"}
    assert [member.segment for member in profile.segments] == ["interested"]
    assert [interest.topic for interest in profile.interests] == ["prices"]
    assert profile.stage == "aware"


@pytest.mark.parametrize(("request_", "method"), [
    (api.RankSegmentRequest(segment="secret_segment"), "RankSegment"),
    # A segment that it sees, by a score that it does not.
    (api.RankSegmentRequest(segment="by_secret"), "RankSegment"),
    (api.RankSegmentRequest(segment="nowhere"), "RankSegment"),
    (api.RankSegmentRequest(segment="interested", condition="scores.secret_score > 1.0"),
     "RankSegment"),
    (api.RankSegmentRequest(segment="interested",
                            condition='has(profile.attributes.secret_attribute)'), "RankSegment"),
    (api.RankSegmentRequest(segment="interested", condition="size(profile.attributes) > 1"),
     "RankSegment"),
    (api.GetSegmentTopicsRequest(segment="secret_segment"), "GetSegmentTopics"),
    (api.TopInfluencersRequest(topic="secret_topic"), "TopInfluencers"),
])
def test_nobody_lists_or_filters_by_what_they_do_not_see(world, request_, method):
    server, keys, _ = world
    asked = type(request_)()
    asked.CopyFrom(request_)
    asked.tenant = "acme"
    with pytest.raises(grpc.RpcError) as caught:
        getattr(server.stub, method)(asked, metadata=keys["narrow"].metadata)
    refusal = Refusal(caught.value)
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED
    assert refusal.reason == "NOT_SEEN"
    assert 'has role "narrow", which does not see' in refusal.message


def test_a_condition_on_what_is_seen_is_asked_and_a_wrong_one_names_nothing_hidden(world):
    server, keys, _ = world
    asked = api.RankSegmentRequest(tenant="acme", segment="interested",
                                   condition='profile.attributes.industry == "retail"')
    metadata = keys["narrow"].metadata
    assert len(server.stub.RankSegment(asked, metadata=metadata).members) == 1
    asked.condition = "scores.secret_scor > 1.0"
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.RankSegment(asked, metadata=metadata)
    refusal = Refusal(caught.value)
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "secret" not in refusal.message


def test_anybody_asks_for_the_health_and_who_has_a_key_for_the_descriptors(world):
    server, keys, _ = world
    health = health_pb2_grpc.HealthStub(server.channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert health.Check(health_pb2.HealthCheckRequest()).status == serving
    reflection = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    ask = [reflection_pb2.ServerReflectionRequest(list_services="")]
    with pytest.raises(grpc.RpcError) as caught:
        list(reflection.ServerReflectionInfo(iter(ask), timeout=30))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    answers = list(reflection.ServerReflectionInfo(
        iter(ask), metadata=keys["reader"].metadata, timeout=30))
    assert answers[0].list_services_response.service


def test_secrets_are_neither_kept_nor_said(world):
    server, keys, path = world
    held = path.read_text(encoding="utf-8")
    refused = [("authorization", "Bearer bellwether_planted-secret")]
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.GetFunnel(api.GetFunnelRequest(tenant="acme"), metadata=refused)
    said = server.output() + Refusal(caught.value).message
    for key in keys.values():
        secret = key.made["secret"]
        assert secret not in held and secret not in said
        assert hashlib.sha256(secret.encode()).hexdigest() == key.made["sha256"]
        assert key.made["sha256"] in held
    assert "planted-secret" not in said


def test_the_command_line_shows_its_key(world, tmp_path):
    server, keys, _ = world
    url = f"http://{server.address}"
    token = tmp_path / "token"
    token.write_text(keys["reader"].made["secret"] + "\n", encoding="utf-8")
    shown = run("funnel", "--server", url, "--tenant", "acme", "--token-file", token)
    assert shown.returncode == 0, shown.stderr
    nobody = run("funnel", "--server", url, "--tenant", "acme")
    assert nobody.returncode == 1
    assert "key" in nobody.stderr and "BELLWETHER_TOKEN" in nobody.stderr


def test_the_secret_alone_is_printed_where_it_is_sent_to_a_file(tmp_path):
    path = tmp_path / "keys.toml"
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    path.write_text("", encoding="utf-8")
    made = run("key", "new", "--tenant", "default", "--role", "reader", "--keys", link)
    assert made.returncode == 0 and len(made.stdout.split()) == 1
    assert "shown once" in made.stderr
    assert link.is_symlink() and "[[keys]]" in path.read_text(encoding="utf-8")
    token = tmp_path / "secret.txt"
    token.write_text(made.stdout, encoding="utf-8")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        shown = run("funnel", "--server", f"http://{server.address}", "--token-file", token)
        assert shown.returncode == 0, shown.stderr
        refused = run("get", "ann", "--server", f"http://{server.address}")
        assert refused.returncode == 1
        assert eventually(lambda: "a caller was refused" in server.output())
        assert "NO_CREDENTIALS" in server.output()
        # Whoever empties the file does not mean to shut everybody out.
        path.write_text("# nobody\n", encoding="utf-8")
        assert eventually(lambda: "names nobody who may call" in server.output())
        shown = run("funnel", "--server", f"http://{server.address}", "--token-file", token)
        assert shown.returncode == 0, shown.stderr


def test_keys_are_given_and_taken_while_calls_go_on(tmp_path):
    path = tmp_path / "keys.toml"
    old = Key(path, "default", "writer", "--name", "old")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        failed, answered, stop = [], [0], threading.Event()
        current = [old]

        def calling():
            while not stop.is_set():
                try:
                    server.stub.ScoreEvent(
                        api.ScoreEventRequest(event=event(f"e-{answered[0]}", "ann")),
                        metadata=current[0].metadata, timeout=30)
                    answered[0] += 1
                except grpc.RpcError as error:
                    failed.append(error)

        caller = threading.Thread(target=calling)
        caller.start()
        new = Key(path, "default", "writer", "--name", "new")

        def works(key):
            try:
                server.stub.GetFunnel(api.GetFunnelRequest(), metadata=key.metadata, timeout=30)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED
                return False
            return True

        assert eventually(lambda: works(new))
        current[0] = new
        before = answered[0]
        assert eventually(lambda: answered[0] > before + 1)
        # A stream that the old key has opened is refused once the key is gone.
        sent = threading.Event()
        messages = [api.ScoreEventsRequest(events=[event("s-1", "bob")]),
                    api.ScoreEventsRequest(events=[event("s-2", "bob")])]

        def requests_of_stream():
            yield messages[0]
            sent.wait(60)
            yield messages[1]

        streams = server.stub.ScoreEvents(requests_of_stream(), metadata=old.metadata, timeout=90)
        assert len(next(streams).results) == 1
        text = path.read_text(encoding="utf-8")
        path.write_text("[[keys]]" + text.split("[[keys]]")[2], encoding="utf-8")
        assert eventually(lambda: not works(old))
        sent.set()
        with pytest.raises(grpc.RpcError) as caught:
            next(streams)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        # What cannot be read is said, and those of before are kept.
        path.write_text("[[keys]]\nname = 1\n", encoding="utf-8")
        assert eventually(lambda: "those of before are kept" in server.output())
        assert works(new)
        stop.set()
        caller.join()
        assert not failed, failed[0]
        assert answered[0] > 10


def test_a_key_ends_when_it_expires(tmp_path):
    path = tmp_path / "keys.toml"
    key = Key(path, "default", "reader", "--expires-in", "1s")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        def reason():
            try:
                server.stub.GetFunnel(api.GetFunnelRequest(), metadata=key.metadata, timeout=30)
            except grpc.RpcError as error:
                return Refusal(error).reason
            return None

        assert eventually(lambda: reason() == "EXPIRED")


def test_a_certificate_is_a_key(tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate = authority.server()
    path = tmp_path / "keys.toml"
    path.write_text('[[certificates]]\nname = "mailer"\nsan = "mailer.shop"\n'
                    'tenants = ["default"]\nrole = "reader"\n', encoding="utf-8")
    settings = {"BELLWETHER_TLS_CERT": str(certificate.certificate),
                "BELLWETHER_TLS_KEY": str(certificate.key),
                "BELLWETHER_TLS_CLIENT_CA": str(authority.certificate),
                "BELLWETHER_KEYS": str(path)}
    trusted = authority.certificate.read_bytes()

    def credentials(name):
        own = authority.client(name)
        return grpc.ssl_channel_credentials(
            trusted, own.key.read_bytes(), own.certificate.read_bytes())

    with Server(tmp_path / "store", settings=settings,
                credentials=credentials("mailer.shop")) as server:
        server.stub.GetFunnel(api.GetFunnelRequest(), timeout=30)
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ScoreEvent(api.ScoreEventRequest(event=event()), timeout=30)
        refusal = Refusal(caught.value)
        assert refusal.reason == "CALL_NOT_ALLOWED"
        assert refusal.metadata["principal"] == 'certificate "mailer"'
        own = [("grpc.use_local_subchannel_pool", 1)]
        # A key counts more than a certificate, and a client sends it by itself.
        key = Key(path, "default", "writer")
        both = grpc.composite_channel_credentials(
            credentials("mailer.shop"), grpc.access_token_call_credentials(key.made["secret"]))
        with grpc.secure_channel(server.address, both, own) as channel:
            stub = scoring_pb2_grpc.ScoringServiceStub(channel)

            def scores():
                try:
                    stub.ScoreEvent(api.ScoreEventRequest(event=event()), timeout=30)
                except grpc.RpcError as error:
                    assert Refusal(error).reason == "UNKNOWN_KEY"
                    return False
                return True

            assert eventually(scores)
        with grpc.secure_channel(server.address, credentials("stranger"), own) as channel:
            stub = scoring_pb2_grpc.ScoringServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetFunnel(api.GetFunnelRequest(), timeout=30)
            assert Refusal(caught.value).reason == "UNKNOWN_CERTIFICATE"


def test_a_server_that_others_reach_asks_for_keys(tmp_path):
    everywhere = ("--listen", "0.0.0.0:0")
    plain = {"BELLWETHER_ALLOW_PLAINTEXT": "true"}
    said = refusal_to_start(tmp_path / "store", arguments=everywhere, settings=plain)
    for part in ["keys", "allow_anonymous", "bellwether key new"]:
        assert part in said
    assert not (tmp_path / "store").exists()


def test_a_keys_file_with_mistakes_keeps_the_server_from_starting(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[[keys]]\nname = "a"\nsha256 = "bellwether_hush"\ntenants = ["*"]\n'
                    'role = "boss"\n', encoding="utf-8")
    said = refusal_to_start(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)})
    assert "keys.toml:3" in said and "keys.toml:5" in said and "hush" not in said
    said = refusal_to_start(tmp_path / "store",
                            settings={"BELLWETHER_KEYS": str(tmp_path / "nowhere")})
    assert "nowhere" in said


def test_a_keys_file_is_checked_as_a_server_reads_it(tmp_path):
    path, model = tmp_path / "keys.toml", tmp_path / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    path.write_text(ROLES + '[[keys]]\nname = "a"\nsha256 = "bellwether_hush"\nrol = "reader"\n'
                    'tenants = ["*"]\n[roles.seller]\ncalls = ["GetProfiles"]\n', encoding="utf-8")
    checked = run("key", "check", path)
    assert checked.returncode == 1 and "4 mistakes" in checked.stderr
    mistakes = checked.stdout.splitlines()
    assert len(mistakes) == 4
    assert all(mistake.startswith(f"{path}:") for mistake in mistakes)
    assert 'did you mean "GetProfile"?' in mistakes[3]
    started = run("serve", "--keys", path, "--store", tmp_path / "store", "--listen", "127.0.0.1:0",
                  "--admin-listen", "127.0.0.1:0")
    assert started.returncode == 2
    assert "\n".join(mistakes) in started.stderr and "hush" not in started.stderr
    path.write_text(ROLES.replace('"prices"', '"price"'), encoding="utf-8")
    Key(path, "acme", "narrow")
    checked = run("key", "check", path)
    assert checked.returncode == 0
    assert "warning: no key, certificate or issuer has the role" in checked.stdout
    assert checked.stdout.endswith(f"{path}: good: 1 key, 0 certificates, 0 issuers\n")
    checked = run("key", "check", path, "--model", model)
    assert checked.returncode == 0
    assert f"{path}:7:11: warning: role " in checked.stdout
    assert 'the topic "price", which no model has; did you mean "prices"?' in checked.stdout
    assert run("key", "check").returncode == 2


def test_a_log_line_names_what_roles_list_and_no_model_has(tmp_path):
    path, model = tmp_path / "keys.toml", tmp_path / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    path.write_text(ROLES, encoding="utf-8")
    key = Key(path, "*", "admin")

    def warnings(server):
        return [line for line in server.output().splitlines() if "no model has" in line]

    with Server(tmp_path / "store", model=model, settings={"BELLWETHER_KEYS": str(path)}) as server:
        assert not warnings(server)
        path.write_text(path.read_text(encoding="utf-8").replace('["interest"]', '["intrest"]'),
                        encoding="utf-8")
        assert eventually(lambda: warnings(server))
        assert "keys.toml:4:11" in warnings(server)[0]
        assert "did you mean" in warnings(server)[0]
        for _ in range(3):
            server.stub.GetFunnel(api.GetFunnelRequest(), metadata=key.metadata)
        models = model_pb2_grpc.ModelServiceStub(server.channel)
        changed = MODEL.replace('"interested"', '"keen"')
        models.ApplyModel(model_pb2.ApplyModelRequest(source=changed), metadata=key.metadata)
        assert eventually(lambda: len(warnings(server)) == 2)
        assert "interested" in warnings(server)[1]
        # Mistakes are told in one line.
        path.write_text("[[keys]]\nname = 1\n[kees]\n", encoding="utf-8")
        assert eventually(lambda: "those of before are kept" in server.output())
        said = [line for line in server.output().splitlines() if "those of before" in line]
        assert "keys.toml:2:8" in said[0] and "keys.toml:3:2" in said[0]


def test_the_command_line_says_nothing_of_what_a_role_does_not_see(world, tmp_path):
    server, keys, _ = world
    for role, key in keys.items():
        token = tmp_path / role
        token.write_text(key.made["secret"], encoding="utf-8")
        asking = ["--server", f"http://{server.address}", "--tenant", "acme", "--token-file", token]
        for command in (["get", "ann", "--full"], ["get", "ann"], ["catalog"], ["funnel"],
                        ["rank", "interested", "--full"], ["influencers", "prices"]):
            shown = run(*command, *asking)
            if shown.returncode:
                assert "PERMISSION_DENIED" in shown.stderr, (role, command, shown.stderr)
            for false in ("asks for nothing", "(by )", " ()", "of at least 0"):
                assert false not in shown.stdout, (role, command, shown.stdout)
            for line in shown.stdout.splitlines():
                assert line.strip() not in ("segments", "interests", "stage")


def test_a_file_of_events_ends_with_the_line_that_a_key_is_not_good_for(world, tmp_path):
    server, keys, _ = world
    events = tmp_path / "events.jsonl"
    line = {"eventId": "r-1", "profileId": "ann", "type": "visit", "time": "2026-01-01T00:00:00Z"}
    update = {"updateProfile": {"profileId": "ann", "attributes": {}}}
    events.write_text(f"\n{json.dumps(line)}\n{json.dumps(update)}\n" * 3, encoding="utf-8")
    token = tmp_path / "token"
    asking = ["--server", f"http://{server.address}", "--token-file", token]
    for role, tenant, missing in (("reader", "acme", "which may not call ScoreEvents"),
                                  ("writer", "other", 'may not call for tenant "other"')):
        token.write_text(keys[role].made["secret"], encoding="utf-8")
        replayed = run("replay", events, "--tenant", tenant, *asking)
        assert replayed.returncode == 1
        assert "stopped at line 2" in replayed.stderr and missing in replayed.stderr
        assert "refused:" not in replayed.stderr
    retracted = run("retract", events, "--tenant", "acme", *asking)
    assert retracted.returncode == 1 and "line 2: PERMISSION_DENIED" in retracted.stderr
    nobody = run("replay", events, "--tenant", "acme", "--server", f"http://{server.address}")
    assert nobody.returncode == 1
    assert "stopped at line 2" in nobody.stderr and "UNAUTHENTICATED" in nobody.stderr


class Signer:
    """A key pair of an issuer of tokens, made by openssl."""

    def __init__(self, directory, kid):
        self.kid, self.key = kid, directory / f"{kid}.key"
        openssl("genrsa", "-out", self.key, 2048)

    def public(self):
        shown = subprocess.run(["openssl", "rsa", "-in", self.key, "-modulus", "-noout"],
                               capture_output=True, check=True, text=True).stdout
        modulus = bytes.fromhex(shown.strip().removeprefix("Modulus="))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                "n": encoded(modulus), "e": "AQAB"}

    def token(self, **claims):
        said = {"iss": "https://idp.example", "aud": "bellwether", "exp": now() + 600,
                "tenants": ["default"], "role": "reader"} | claims
        header = {"alg": "RS256", "kid": self.kid}
        message = ".".join(encoded(json.dumps(part).encode()) for part in (header, said))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=message.encode(), capture_output=True, check=True).stdout
        return [("authorization", f"Bearer {message}.{encoded(signature)}")]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_tokens_of_an_issuer_are_taken_and_its_new_keys_are_looked_for(tmp_path):
    first, second, unlisted = (Signer(tmp_path, kid) for kid in ("first", "second", "unlisted"))
    listed, asked = [first], []

    class Published(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"keys": [signer.public() for signer in listed]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    path = tmp_path / "keys.toml"
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as published:
        threading.Thread(target=published.serve_forever, daemon=True).start()
        path.write_text(
            '[[issuers]]\nname = "idp"\nissuer = "https://idp.example"\n'
            'audience = "bellwether"\nalgorithms = ["RS256"]\n'
            f'jwks = "http://127.0.0.1:{published.server_address[1]}/keys"\n', encoding="utf-8")
        with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
            def reason(metadata, request_=None):
                method = server.stub.ScoreEvent if request_ else server.stub.GetFunnel
                try:
                    method(request_ or api.GetFunnelRequest(), metadata=metadata, timeout=30)
                except grpc.RpcError as error:
                    return Refusal(error).reason
                return None

            assert reason(first.token()) is None
            assert reason(first.token(), api.ScoreEventRequest(event=event())) == "CALL_NOT_ALLOWED"
            assert reason(first.token(tenants=["acme"])) == "TENANT_NOT_ALLOWED"
            assert reason(first.token(exp=now() - 600)) == "EXPIRED"
            assert reason(first.token(aud="other")) == "BAD_TOKEN"
            assert reason(first.token(iss="https://other")) == "BAD_TOKEN"
            forged = Signer(tmp_path, "forged")
            forged.kid = "first"
            assert reason(forged.token()) == "BAD_TOKEN"
            # A key that is new is looked for by the very call that shows it, and the old one is
            # honoured while it is listed.
            before = len(asked)
            listed.append(second)
            assert reason(second.token()) is None
            assert len(asked) == before + 1
            assert reason(first.token()) is None
            # Whoever makes tokens up cannot have it asked all the time.
            for _ in range(5):
                assert reason(unlisted.token()) == "UNKNOWN_TOKEN_KEY"
            assert len(asked) == before + 1
            # What was fetched is kept while nobody answers.
            published.shutdown()
            assert reason(first.token()) is None


def test_tokens_are_trusted_by_a_file_of_keys_that_is_followed(tmp_path):
    first, second = Signer(tmp_path, "first"), Signer(tmp_path, "second")
    keys, path = tmp_path / "jwks.json", tmp_path / "keys.toml"
    keys.write_text(json.dumps({"keys": [first.public()]}), encoding="utf-8")
    path.write_text(
        '[[issuers]]\nname = "idp"\nissuer = "https://idp.example"\naudience = "bellwether"\n'
        'algorithms = ["RS256"]\njwks = "jwks.json"\n', encoding="utf-8")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        def works(signer):
            try:
                server.stub.GetFunnel(api.GetFunnelRequest(), metadata=signer.token(), timeout=30)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED
                return False
            return True

        assert works(first) and not works(second)
        keys.write_text(json.dumps({"keys": [second.public()]}), encoding="utf-8")
        assert eventually(lambda: works(second))
        assert not works(first)


def test_a_tenant_is_held_to_its_quota_and_another_one_is_not(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text("[quotas.slow]\nevents_per_second = 5\n\n[quotas.\"*\"]\n"
                    "calls_per_second = 1000\n", encoding="utf-8")
    key = Key(path, "*", "admin")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        def send(tenant, number):
            asked = api.ScoreEventRequest(tenant=tenant, event=event(f"e-{number}", "ann"))
            try:
                server.stub.ScoreEvent(asked, metadata=key.metadata, timeout=30)
            except grpc.RpcError as error:
                return Refusal(error)
            return None

        def counted(tenant):
            asked = api.GetProfileRequest(tenant=tenant, profile_id="ann", or_default=True)
            answer = server.stub.GetProfile(asked, metadata=key.metadata, timeout=30)
            return answer.profile.event_count

        refusals = [refusal for number in range(50) if (refusal := send("slow", number))]
        assert refusals, "fifty events were sent in ten seconds"
        refusal = refusals[0]
        assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.reason == "QUOTA_EXCEEDED"
        assert refusal.metadata == {"tenant": "slow", "quota": "events_per_second", "limit": "5"}
        assert 0 < refusal.retry_info.retry_delay.ToNanoseconds() < 1_000_000_000
        assert counted("slow") == 50 - len(refusals), "what is refused is not counted"
        assert not any(send("quick", number) for number in range(50))
        # What never fits says so.
        updates = [api.ProfileUpdate(profile_id=f"p-{number}") for number in range(6)]
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.BatchUpdateProfiles(
                api.BatchUpdateProfilesRequest(tenant="slow", updates=updates),
                metadata=key.metadata, timeout=30)
        refusal = Refusal(caught.value)
        assert refusal.reason == "QUOTA_EXCEEDED" and refusal.retry_info is None
        # A stream is held back instead, and loses nothing.
        events = [event(f"s-{number}", "bob") for number in range(12)]
        answers = server.stub.ScoreEvents(
            iter([api.ScoreEventsRequest(tenant="slow", events=events)]),
            metadata=key.metadata, timeout=60)
        results = [result for answer in answers for result in answer.results]
        assert len(results) == 12 and all(result.HasField("response") for result in results)
        # What does not fit into the time that a stream is held back says so.
        many = [event(f"m-{number}", "bob") for number in range(200)]
        with pytest.raises(grpc.RpcError) as caught:
            list(server.stub.ScoreEvents(
                iter([api.ScoreEventsRequest(tenant="slow", events=many)]),
                metadata=key.metadata, timeout=60))
        refusal = Refusal(caught.value)
        assert refusal.reason == "QUOTA_EXCEEDED" and refusal.retry_info is None


@pytest.mark.parametrize("kind", STORES)
def test_a_tenant_has_no_more_profiles_than_its_quota(kind, tmp_path):
    path, token = tmp_path / "keys.toml", tmp_path / "token"

    def allow(profiles):
        entries = path.read_text(encoding="utf-8") if path.exists() else ""
        entries = re.sub(r"\[quotas.*?\n\n", "", entries, flags=re.DOTALL)
        path.write_text(f"[quotas.small]\nprofiles = {profiles}\n\n{entries}", encoding="utf-8")

    allow(10)
    key = Key(path, "*", "admin")
    token.write_text(key.made["secret"], encoding="utf-8")
    model = tmp_path / "model.toml"
    model.write_text(MODEL + "[subjects.account]\n", encoding="utf-8")
    settings = {"BELLWETHER_KEYS": str(path), "BELLWETHER_LOG_LEVEL": "info"}
    with (store_of(kind, tmp_path / "store") as store,
          Server(store, model=model, settings=settings) as server):
        def stream(*events, tenant="small"):
            """Whether each of these events is taken, sent at once."""
            asked = [api.ScoreEventsRequest(tenant=tenant, events=events)]
            answers = server.stub.ScoreEvents(iter(asked), metadata=key.metadata, timeout=60)
            results = [result for answer in answers for result in answer.results]
            return [result.WhichOneof("result") == "response" for result in results]

        def visits(names, event_id, **fields):
            return [event(event_id, name, "visit", **fields) for name in names]

        def refusal(call, **fields):
            with pytest.raises(grpc.RpcError) as caught:
                call(tenant="small", **fields)
            found = Refusal(caught.value)
            assert found.code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (found.reason, found.retry_info) == ("TOO_MANY_PROFILES", None)
            assert found.metadata == {"tenant": "small", "quota": "profiles", "limit": "10"}
            assert '"small" may have 10 profiles' in found.message
            return found

        def asking(stub, request):
            return lambda **fields: stub(request(**fields), metadata=key.metadata, timeout=30)

        score = asking(server.stub.ScoreEvent, api.ScoreEventRequest)
        update = asking(server.stub.UpdateProfile, api.UpdateProfileRequest)
        update_subject = asking(server.stub.UpdateSubject, api.UpdateSubjectRequest)
        get = asking(server.stub.GetProfile, api.GetProfileRequest)

        people = [f"p-{number}" for number in range(20)]
        taken = stream(*visits(people, "first"))
        assert taken.count(True) == 10, taken
        there = [name for name, was_taken in zip(people, taken, strict=True) if was_taken]
        missing = [name for name in people if name not in there]
        assert stream(*visits(people, "first"), tenant="large") == [True] * 20
        assert stream(*visits(there, "second")) == [True] * 10, "those that there are go on"
        assert stream(*visits(missing, "second")) == [False] * 10

        refusal(score, event=event("third", missing[0], "visit"))
        # Neither the author nor the one who engages with her counts anything.
        author = event("fourth", there[0], "visit", author_id=missing[0], text="the price")
        refusal(score, event=author)
        refusal(score, event=event("fifth", missing[0], "visit", author_id=there[0], text="the price"))
        mixed = [*visits(there[:2], "sixth"), author, *visits(missing[:1], "sixth"),
                 *visits(there[:2], "seventh")]
        assert stream(*mixed) == [True, True, False, False, True, True]
        assert get(tenant="small", profile_id=there[0]).profile.event_count == 4
        refusal(update, profile_id=missing[0], attributes={"city": "Ulm"})
        refusal(update_subject, kind="account", subject_id="shop", attributes={"city": "Ulm"})
        update(tenant="small", profile_id=there[0], attributes={"city": "Ulm"})
        with pytest.raises(grpc.RpcError) as caught:
            get(tenant="small", profile_id=missing[0])
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND

        # A file of events goes on behind who is refused.
        events = tmp_path / "events.jsonl"
        lines = [{"eventId": f"r-{number}", "profileId": name, "type": "visit",
                  "time": "2026-01-01T00:00:00Z"}
                 for number, name in enumerate([there[0], missing[0], there[1], missing[1]])]
        events.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        replayed = run("replay", events, "--tenant", "small", "--token-file", token,
                       "--server", f"http://{server.address}")
        assert "line 2" in replayed.stderr and "line 4" in replayed.stderr, replayed.stderr
        assert "TOO_MANY_PROFILES" in replayed.stderr or "may have 10 profiles" in replayed.stderr
        assert get(tenant="small", profile_id=there[1]).profile.event_count == 5
        warning = "a tenant has as many profiles as its quota allows"
        assert warning in server.output() and "small" in server.output()

        allow(15)
        assert eventually(lambda: stream(*visits(missing[:5], "last")) == [True] * 5)
        assert stream(*visits(missing, "again")) == [True] * 5 + [False] * 5


@pytest.mark.parametrize("wrong", ["0", "-5", '"many"', "1.5"])
def test_a_quota_of_profiles_that_is_none_is_told(wrong, tmp_path):
    path = tmp_path / "keys.toml"
    Key(path, "*", "admin")
    entries = path.read_text(encoding="utf-8")
    path.write_text(f"[quotas.small]\nprofiles = {wrong}\n\n{entries}", encoding="utf-8")
    checked = run("key", "check", path)
    assert checked.returncode == 1 and "1 mistake" in checked.stderr
    assert checked.stdout.startswith(f'{path}:2:12: "profiles" must be ')


def test_what_somebody_has_changed_is_kept_without_whom_it_concerns(world, tmp_path):
    server, keys, _ = world
    metadata = keys["admin"].metadata
    retracted = event("audit-1", "planted-person", "visit", NOW - START)
    server.stub.RetractEvent(api.RetractEventRequest(tenant="acme", event=retracted),
                             metadata=metadata)
    server.stub.ReleaseEvents(
        api.ReleaseEventsRequest(tenant="acme", profile_id="ann"), metadata=metadata)
    models = model_pb2_grpc.ModelServiceStub(server.channel)
    models.ApplyModel(model_pb2.ApplyModelRequest(tenant="acme", source=MODEL), metadata=metadata)
    name = keys["admin"].made["entry"].split('name = "')[1].split('"')[0]

    def lines():
        return [line for line in server.lines if "bellwether::audit" in line and name in line]

    assert eventually(lambda: len(lines()) >= 3), server.output()
    said = "".join(lines())
    for part in ["RetractEvent", "ReleaseEvents", "ApplyModel", "acme", "released 0 events"]:
        assert part in said, (part, said)
    assert "planted-person" not in server.output()

    asked = api.GetAuditRequest(tenant="acme", limit=3)
    entries = server.stub.GetAudit(asked, metadata=metadata).entries
    assert [entry.method for entry in entries] == ["ApplyModel", "ReleaseEvents", "RetractEvent"]
    assert {(name in entry.principal, entry.role) for entry in entries} == {(True, "admin")}
    assert entries[0].fingerprint and entries[2].event_id == "audit-1"
    assert "planted-person" not in str(entries)
    secret = tmp_path / "secret.txt"
    secret.write_text(keys["admin"].made["secret"], encoding="utf-8")
    shown = run("audit", "--server", f"http://{server.address}", "--tenant", "acme",
                "--token-file", secret)
    assert shown.returncode == 0, shown.stderr
    assert "event audit-1" in shown.stdout, shown.stdout
    # Who may take events back does not see who else has.
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.GetAudit(asked, metadata=keys["community_manager"].metadata)
    assert Refusal(caught.value).reason == "CALL_NOT_ALLOWED"


def test_who_may_only_write_is_told_of_nobody(world):
    server, keys, _ = world
    for name in ("ScoreEvent", "UpdateProfile", "BatchUpdateProfiles"):
        asked = requests("acme")[name]
        asked.response_view = api.RESPONSE_VIEW_FULL
        answer = getattr(server.stub, name)(asked, metadata=keys["collector"].metadata)
        told = json_format.MessageToJson(answer)
        assert "scores" not in told and "attributes" not in told, told
    asked = requests("fresh")["ScoreEvent"]
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.ScoreEvent(asked, metadata=keys["collector"].metadata)
    assert Refusal(caught.value).reason == "TENANT_NOT_ALLOWED"


def test_a_role_that_sees_no_attributes_does_not_see_what_rules_make_of_them(world):
    server, keys, _ = world
    asked = api.RankSegmentRequest(tenant="acme", segment="by_secret", view="PROFILE_VIEW_FULL")
    everything = server.stub.RankSegment(asked, metadata=keys["admin"].metadata)
    assert "secret_rule" in json_format.MessageToJson(everything)
    answer = server.stub.RankSegment(asked, metadata=keys["product_marketing"].metadata)
    told = json_format.MessageToJson(answer)
    assert len(answer.members) == 1 and "secret_score" in told
    for hidden in ["secret_rule", "secret_value", "secret_attribute"]:
        assert hidden not in told, told


def test_what_a_hidden_rule_holds_is_not_released_by_who_does_not_see_it(world):
    server, keys, _ = world
    for asked in (api.ReleaseEventsRequest(tenant="acme", profile_id="ann"),
                  api.ReleaseEventsRequest(tenant="acme", profile_id="ann", event_id="visit-1"),
                  api.ReleaseEventsRequest(tenant="acme", profile_id="ann",
                                           rule="secret_quarantine")):
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ReleaseEvents(asked, metadata=keys["narrow"].metadata)
        assert Refusal(caught.value).reason == "NOT_SEEN"


def test_an_open_stream_sees_what_its_role_sees_now(tmp_path):
    path, model = tmp_path / "keys.toml", tmp_path / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    role = '[roles.watcher]\ncalls = ["read", "write"]\n'
    path.write_text(role, encoding="utf-8")
    # A tenant that nobody knows yet is made by who sees in part, too.
    key = Key(path, "new-tenant", "watcher")
    with Server(tmp_path / "store", model=model,
                settings={"BELLWETHER_KEYS": str(path)}) as server:
        narrowed = threading.Event()

        def messages():
            yield api.ScoreEventsRequest(tenant="new-tenant", response_view="RESPONSE_VIEW_FULL",
                                         events=[event("e-1", "ann", "visit")])
            narrowed.wait(60)
            yield api.ScoreEventsRequest(tenant="new-tenant", response_view="RESPONSE_VIEW_FULL",
                                         events=[event("e-2", "ann", "visit", 1)])

        answers = server.stub.ScoreEvents(messages(), metadata=key.metadata, timeout=90)
        assert "secret_score" in json_format.MessageToJson(next(answers))
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(role, role + 'scores = ["interest"]\n'), encoding="utf-8")
        asked = api.GetProfileRequest(tenant="new-tenant", profile_id="ann")

        def is_narrow():
            answer = server.stub.GetProfile(asked, metadata=key.metadata, timeout=30)
            return "secret_score" not in json_format.MessageToJson(answer)

        assert eventually(is_narrow)
        narrowed.set()
        told = json_format.MessageToJson(next(answers))
        assert "interest" in told and "secret_score" not in told


def test_who_sees_in_part_makes_a_tenant_by_an_event_as_others_do(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[roles.collector]\ncalls = ["ScoreEvent"]\n', encoding="utf-8")
    key = Key(path, "*", "collector")
    with Server(tmp_path / "store", settings={"BELLWETHER_KEYS": str(path)}) as server:
        asked = api.ScoreEventRequest(tenant="brand-new", event=event())
        answer = server.stub.ScoreEvent(asked, metadata=key.metadata, timeout=30)
        assert answer.outcome == api.EVENT_OUTCOME_APPLIED and not answer.HasField("profile")
