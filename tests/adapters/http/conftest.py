"""Parts for the egress tests. Every test runs on both event loops: they differ in the edges."""

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
    """Opens callers that may call loopback; closes them after the test, and proves it."""
    callers = []

    def open_one(policy=ALLOW_LOOPBACK, **parts):
        callers.append(EgressClient(policy, user_agent="outrider/test", **parts))
        return callers[-1]

    yield open_one
    for caller in callers:
        await caller.aclose()
        assert repr(caller).endswith("[busy 0 | idle 0]>")


@pytest.fixture(scope="session")
def usual_context():
    """Reading the system's authorities takes longer than most tests."""
    return client_context()


@pytest.fixture
def caller(open_http_client, usual_context):
    return open_http_client(ssl_context=usual_context)
