"""The admin address: probes that follow what the server and its store are up to."""

import socket

import pytest
from server import START_SECONDS, Server, eventually, refusal_to_start
from stores import RedisServer

OK = (200, "ok\n")


def test_a_server_that_still_starts_is_alive_and_not_ready():
    # A Redis that never answers.
    with socket.create_server(("127.0.0.1", 0)) as redis:
        redis.settimeout(START_SECONDS)
        host, port = redis.getsockname()
        server = Server(f"redis://{host}:{port}", wait=False)
        try:
            connection, _ = redis.accept()
            with connection:
                assert server.probe("/healthz") == OK
                assert server.probe("/readyz") == (503, "starting\n")
                assert server.probe("/metrics")[0] == 200
        finally:
            server.kill()


def test_readiness_follows_redis_and_liveness_does_not(tmp_path):
    with RedisServer(tmp_path / "redis") as redis, Server(redis.url) as server:
        assert server.probe("/readyz") == OK
        redis.pause()
        assert eventually(lambda: server.probe("/readyz")[0] == 503)
        status, reason = server.probe("/readyz")
        assert status == 503 and "the store" in reason and reason.endswith("the log says why\n")
        assert server.probe("/healthz") == OK
        redis.go_on()
        assert eventually(lambda: server.probe("/readyz") == OK)
        redis.kill()
        assert eventually(lambda: server.probe("/readyz")[0] == 503)
        assert server.probe("/healthz") == OK


def test_readiness_follows_the_directory_of_the_embedded_store(tmp_path):
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    with Server(store) as server:
        assert server.probe("/readyz") == OK
        store.rename(elsewhere)
        assert eventually(lambda: server.probe("/readyz")[0] == 503)
        assert server.probe("/healthz") == OK
        elsewhere.rename(store)
        assert eventually(lambda: server.probe("/readyz") == OK)


def test_an_admin_address_that_is_taken_is_said_before_the_store_is_opened(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        said = refusal_to_start(tmp_path / "store",
                                arguments=["--admin-listen", f"{host}:{port}"])
    for part in [f"{host}:{port}", "--admin-listen takes another address"]:
        assert part in said
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_all_addresses_are_taken_without_tls_and_the_log_names_the_port(tmp_path, log_format):
    with Server(tmp_path / "store", arguments=["--admin-listen", "0.0.0.0:0"],
                settings={"BELLWETHER_LOG_FORMAT": log_format}) as server:
        assert server.probe("/readyz") == OK
