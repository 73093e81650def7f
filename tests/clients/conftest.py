"""Fixtures of the client tests: one server on each store for all, a fresh tenant for each test."""

import contextlib
import itertools

import pytest
from redis_server import RedisServer
from server import Server

tenants = itertools.count(1)


@pytest.fixture(scope="session", params=["embedded", "redis"])
def server(request, tmp_path_factory):
    """A server with the built-in model, shared by the tests that do not stop it."""
    directory = tmp_path_factory.mktemp("server")
    with contextlib.ExitStack() as stack:
        store = directory / "store"
        if request.param == "redis":
            store = stack.enter_context(RedisServer(directory / "redis")).url
        yield stack.enter_context(Server(store))


@pytest.fixture
def stub(server):
    return server.stub


@pytest.fixture
def tenant():
    """A tenant that no other test uses."""
    return f"test-{next(tenants)}"
