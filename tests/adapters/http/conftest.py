"""Fixtures for the tests of the HTTP client. Every test runs on both event loops: they differ in the edges."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from adapters.http.names import ALLOW_LOOPBACK
from outrider.adapters.http.client import EgressClient
from outrider.adapters.http.connect.tls import client_context


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def open_http_client():
    """Opens clients that may call loopback; closes them after the test, and proves it."""
    clients = []

    def open_one(policy=ALLOW_LOOPBACK, **parts):
        clients.append(EgressClient(policy, user_agent="outrider/test", **parts))
        return clients[-1]

    yield open_one
    for client in clients:
        await client.aclose()
        assert repr(client).endswith("[busy 0 | idle 0]>")


@pytest.fixture(scope="session")
def default_context():
    """Reading the system's authorities takes longer than most tests."""
    return client_context()


@pytest.fixture
def client(open_http_client, default_context):
    return open_http_client(ssl_context=default_context)
