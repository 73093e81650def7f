"""Fixtures of the client tests: one server for all, a fresh tenant for each test."""

import itertools

import pytest
from server import Server

tenants = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server with the built-in model, shared by the tests that do not stop it."""
    with Server(tmp_path_factory.mktemp("server") / "store") as running:
        yield running


@pytest.fixture
def stub(server):
    return server.stub


@pytest.fixture
def tenant():
    """A tenant that no other test uses."""
    return f"test-{next(tenants)}"
