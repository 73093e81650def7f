"""Fixtures of the client tests: one server on each store for all, a fresh tenant for each test."""

import itertools

import pytest
from server import Server
from stores import STORES, store_of

tenants = itertools.count(1)


@pytest.fixture(scope="session", params=STORES)
def server(request, tmp_path_factory):
    """A server with the built-in model, shared by the tests that do not stop it."""
    with store_of(request.param, tmp_path_factory.mktemp("server")) as store:
        with Server(store) as running:
            yield running


@pytest.fixture
def stub(server):
    return server.stub


@pytest.fixture
def tenant():
    """A tenant that no other test uses."""
    return f"test-{next(tenants)}"
