"""Calls that are encrypted: whom the server takes in, and certificates that change meanwhile."""

import re
import shutil
import ssl
import threading

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from bellwether.v1 import scoring_pb2_grpc
from certificates import Authority
from server import REPOSITORY, Server, eventually, refusal_to_start, run

CALL_SECONDS = 10
COMMUNITY = REPOSITORY / "examples" / "data" / "conlang.jsonl"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(directory):
    return Authority(directory, "authority")


@pytest.fixture(scope="module")
def stranger(directory):
    """An authority that nobody trusts."""
    return Authority(directory, "stranger")


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.server()


def credentials(authority, own=None):
    """To trust an authority, and to show a certificate of one's own."""
    key, chain = (own.key.read_bytes(), own.certificate.read_bytes()) if own else (None, None)
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, chain)


def settings(certificate, client_authority=None):
    named = {"BELLWETHER_TLS_CERT": str(certificate.certificate),
             "BELLWETHER_TLS_KEY": str(certificate.key)}
    if client_authority is not None:
        named["BELLWETHER_TLS_CLIENT_CA"] = str(client_authority.certificate)
    return named


# Otherwise channels to one address share their connections.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def call(address, trusted=None):
    """Makes one call on a connection of its own; the code that it ends with."""
    channel = (grpc.insecure_channel(address, OWN_CONNECTION) if trusted is None
               else grpc.secure_channel(address, trusted, OWN_CONNECTION))
    with channel:
        stub = scoring_pb2_grpc.ScoringServiceStub(channel)
        try:
            stub.GetFunnel(api.GetFunnelRequest(), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def refused_start(store, arguments=(), settings=None):
    """What a server says that must not start, before it has made anything."""
    said = refusal_to_start(store, arguments=arguments, settings=settings)
    assert not store.exists(), "nothing is made before the mistake is known"
    return said


def test_who_trusts_the_authority_calls_and_nobody_else(tmp_path, authority, stranger,
                                                        certificate):
    trusted = credentials(authority)
    with Server(tmp_path / "store", settings=settings(certificate), credentials=trusted) as server:
        assert call(server.address, trusted) == grpc.StatusCode.OK
        # Whoever probes speaks no TLS.
        assert server.probe("/readyz") == (200, "ok\n")
        assert call(server.address, credentials(stranger)) == grpc.StatusCode.UNAVAILABLE
        assert call(server.address) == grpc.StatusCode.UNAVAILABLE
        assert call(server.address, trusted) == grpc.StatusCode.OK


def test_a_caller_without_a_certificate_of_the_authority_is_not_taken_in(
        tmp_path, authority, stranger, certificate):
    own = credentials(authority, authority.client())
    with Server(tmp_path / "store", settings=settings(certificate, authority),
                credentials=own) as server:
        assert call(server.address, own) == grpc.StatusCode.OK
        assert call(server.address, credentials(authority)) == grpc.StatusCode.UNAVAILABLE
        foreign = credentials(authority, stranger.client())
        assert call(server.address, foreign) == grpc.StatusCode.UNAVAILABLE


def test_a_certificate_is_replaced_under_load_without_a_lost_call(tmp_path, authority, stranger):
    before, after = authority.server("before"), stranger.server("after")
    current = tmp_path / "server.pem", tmp_path / "server.key"
    put(before, current)
    both = authority.certificate.read_bytes() + stranger.certificate.read_bytes()
    trusted = grpc.ssl_channel_credentials(both)
    files = {"BELLWETHER_TLS_CERT": str(current[0]), "BELLWETHER_TLS_KEY": str(current[1])}
    # Whoever trusts the old authority alone could not connect again after the change.
    with Server(tmp_path / "store", settings=files, credentials=credentials(authority)) as server:
        stop, failed, answered = threading.Event(), [], [0, 0]

        def on_the_old_connection():
            while not stop.is_set():
                try:
                    server.stub.GetFunnel(api.GetFunnelRequest(), timeout=CALL_SECONDS)
                    answered[0] += 1
                except grpc.RpcError as error:
                    failed.append(error)

        def on_new_connections():
            while not stop.is_set():
                code = call(server.address, trusted)
                answered[1] += 1
                if code != grpc.StatusCode.OK:
                    failed.append(code)

        callers = [threading.Thread(target=each)
                   for each in (on_the_old_connection, on_new_connections)]
        for caller in callers:
            caller.start()
        try:
            assert shown(server.address) == in_file(before)
            put(after, current)
            assert eventually(lambda: shown(server.address) == in_file(after))
            assert call(server.address, credentials(authority)) == grpc.StatusCode.UNAVAILABLE
            seen = list(answered)
            assert eventually(lambda: all(now > then for now, then in zip(answered, seen)))
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        assert not failed


def test_files_that_cannot_be_used_leave_the_certificate_of_before(tmp_path, authority,
                                                                   certificate):
    current = tmp_path / "server.pem", tmp_path / "server.key"
    put(certificate, current)
    trusted = credentials(authority)
    files = {"BELLWETHER_TLS_CERT": str(current[0]), "BELLWETHER_TLS_KEY": str(current[1])}
    with Server(tmp_path / "store", settings=files, credentials=trusted) as server:
        other = authority.server("other")
        for damage in [lambda: current[0].write_text("no certificate", encoding="utf-8"),
                       lambda: shutil.copy(other.certificate, current[0]),
                       current[1].unlink]:
            said = server.output().count("are kept")
            damage()
            assert eventually(lambda: server.output().count("are kept") > said), server.output()
            assert call(server.address, trusted) == grpc.StatusCode.OK
        put(other, current)
        assert eventually(lambda: shown(server.address) == in_file(other))


def test_authorities_of_callers_are_followed_and_open_connections_go_on(tmp_path, authority,
                                                                        stranger, certificate):
    accepted = tmp_path / "callers.pem"
    shutil.copy(authority.certificate, accepted)
    old, new = (credentials(authority, each.client("rotating")) for each in (authority, stranger))
    named = settings(certificate) | {"BELLWETHER_TLS_CLIENT_CA": str(accepted)}
    with Server(tmp_path / "store", settings=named, credentials=old) as server:
        assert call(server.address, old) == grpc.StatusCode.OK
        assert call(server.address, new) == grpc.StatusCode.UNAVAILABLE
        shutil.copy(stranger.certificate, accepted)
        assert eventually(lambda: call(server.address, new) == grpc.StatusCode.OK)
        assert call(server.address, old) == grpc.StatusCode.UNAVAILABLE
        server.stub.GetFunnel(api.GetFunnelRequest(), timeout=CALL_SECONDS)


def put(certificate, paths):
    """Writes files as a deployment does: each complete at once, one after the other."""
    for source, path in zip((certificate.certificate, certificate.key), paths):
        whole = path.with_suffix(".new")
        shutil.copy(source, whole)
        whole.replace(path)


def shown(address):
    host, port = address.rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port)), timeout=CALL_SECONDS).strip()


def in_file(certificate):
    return certificate.certificate.read_text(encoding="utf-8").strip()


def test_the_command_line_speaks_tls(tmp_path, authority, stranger, certificate):
    own = authority.client("operator")
    with Server(tmp_path / "store", settings=settings(certificate, authority),
                credentials=credentials(authority, own)) as server:
        at = ("funnel", "--server", f"https://{server.address}")
        trusted = ("--ca", authority.certificate)
        shows = ("--cert", own.certificate, "--key", own.key)
        asked = run(*at, *trusted, *shows)
        assert asked.returncode == 0, asked.stderr
        healthy = run("health", *at[1:], *trusted, *shows)
        assert (healthy.returncode, healthy.stdout) == (0, "serving\n"), healthy.stderr
        assert run("health", *at[1:], *trusted).returncode == 1
        for arguments, parts in [
            ((*at, *shows), ["--ca"]),
            ((*at, "--ca", stranger.certificate, *shows), ["--ca"]),
            ((*at, *trusted), ["--cert"]),
            (("funnel", "--server", f"http://{server.address}", *trusted), ["https://"]),
            (("funnel", "--server", f"http://{server.address}"), ["https://"]),
            ((*at, "--ca", own.key, *shows), [str(own.key), "no certificate"]),
            ((*at, *trusted, "--cert", own.certificate, "--key", own.certificate),
             [str(own.certificate), "no private key"]),
            ((*at, *trusted, "--cert", own.certificate, "--key", authority.key), ["key"]),
            ((*at, "--ca", tmp_path / "missing.pem"), ["missing.pem"]),
            ((*at, *trusted, "--cert", own.certificate), ["--key"]),
        ]:
            refused = run(*arguments)
            assert refused.returncode != 0
            for part in parts:
                assert part in refused.stderr, (arguments, refused.stderr)
        replayed = run("replay", COMMUNITY, *at[1:], *shows, seconds=20)
        assert replayed.returncode != 0 and "--ca" not in replayed.stdout
    with Server(tmp_path / "plaintext") as server:
        refused = run("funnel", "--server", f"https://{server.address}", *trusted)
        assert refused.returncode != 0 and "http://" in refused.stderr, refused.stderr


def test_what_cannot_be_used_is_told_at_the_start(tmp_path, authority, certificate):
    store, other = tmp_path / "store", authority.server("another")
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nnothing\n", encoding="utf-8")
    cert, key = str(certificate.certificate), str(certificate.key)
    for variables, parts in [
        ({"TLS_CERT": cert}, ["tls_key"]),
        ({"TLS_KEY": key}, ["tls_cert"]),
        ({"TLS_CLIENT_CA": cert}, ["tls_cert"]),
        ({"TLS_CERT": str(tmp_path / "none.pem"), "TLS_KEY": key}, ["none.pem"]),
        ({"TLS_CERT": str(damaged), "TLS_KEY": key}, ["damaged.pem", "certificate"]),
        ({"TLS_CERT": key, "TLS_KEY": key}, ["holds no certificate in PEM"]),
        ({"TLS_CERT": cert, "TLS_KEY": cert}, ["private key"]),
        ({"TLS_CERT": cert, "TLS_KEY": str(other.key)}, [cert, str(other.key)]),
        ({"TLS_CERT": cert, "TLS_KEY": key, "TLS_CLIENT_CA": key},
         ["holds no certificate in PEM"]),
        ({"TLS_CERT": str(tmp_path), "TLS_KEY": key}, [str(tmp_path), "no file"]),
    ]:
        named = {f"BELLWETHER_{name}": value for name, value in variables.items()}
        said = refused_start(store, settings=named)
        for part in parts:
            assert part in said, (variables, said)


def test_what_other_machines_reach_is_encrypted_unless_somebody_says_so(tmp_path, authority,
                                                                        certificate):
    everywhere = ("--listen", "0.0.0.0:0", "--allow-anonymous", "true")
    said = refused_start(tmp_path / "store", everywhere)
    for part in ["0.0.0.0:0", "tls_cert", "allow_plaintext"]:
        assert part in said
    for number, (variables, taken, refused) in enumerate([
            ({"BELLWETHER_ALLOW_PLAINTEXT": "true"}, None, credentials(authority)),
            (settings(certificate), credentials(authority), None)]):
        server = Server(tmp_path / f"store-{number}", wait=False, arguments=everywhere,
                        settings=variables)
        try:
            assert eventually(lambda: "listening" in server.output()), server.output()
            [port] = re.findall(r"listening.*address\W+0\.0\.0\.0:(\d+)", server.output())
            assert call(f"127.0.0.1:{port}", taken) == grpc.StatusCode.OK
            assert call(f"127.0.0.1:{port}", refused) == grpc.StatusCode.UNAVAILABLE
        finally:
            server.kill()
    demo = run("demo", "--once", *everywhere[:2])
    assert demo.returncode != 0 and "allow_plaintext" in demo.stderr, demo.stderr


def test_authorities_that_are_none_are_not_taken_for_nobody_asks(tmp_path, certificate):
    named = settings(certificate)
    said = refused_start(tmp_path / "store", ("--tls-client-ca", ""), named)
    assert "--tls-client-ca" in said and "empty" in said
