"""Whether the server is ready, for callers who may ask as often as they like."""

from __future__ import annotations

import asyncio

import pytest

from outrider.api.asgi.shutdown import Shutdown
from outrider.api.endpoints.health import store_ready
from outrider.errors import Unavailable
from outrider.usecases.ports.store import Store, WriteRefused


class AskedStore:
    """A store that counts how often it is asked, and answers once it may."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def read(self, work):
        del work

    async def check_writable(self) -> None:
        self.asked += 1
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure


FAILURES = [
    (WriteRefused("the store's disk is full"), "the store's disk is full"),
    (Unavailable("the database cannot be reached"), "the database cannot be reached"),
]


def asked(failure: Exception | None = None):
    """A store, and the check of a server that serves from it."""
    store = AskedStore()
    store.failure = failure
    as_store: Store = store
    return store, store_ready(as_store, Shutdown())


@pytest.mark.parametrize(("failure", "reason"), FAILURES)
async def test_a_store_that_takes_no_writes_is_the_reason(failure, reason):
    _, ready = asked(failure)

    assert reason == await ready()


async def test_many_probes_are_one_write():
    """Any client may ask: the disk must not sync for each of them."""
    store, ready = asked()
    store.may_answer.clear()
    probes = [asyncio.create_task(ready()) for _ in range(100)]
    await asyncio.sleep(0)
    store.may_answer.set()
    reasons = await asyncio.gather(*probes)

    assert {None} == set(reasons)
    assert 1 == store.asked


async def test_a_probe_that_leaves_does_not_end_the_check_of_the_others():
    store, ready = asked(FAILURES[0][0])
    store.may_answer.clear()
    leaves, stays = (asyncio.create_task(ready()) for _ in range(2))
    while not store.asked:
        await asyncio.sleep(0)
    leaves.cancel()
    store.may_answer.set()

    assert FAILURES[0][1] == await stays


async def test_a_stopping_server_is_not_ready_whatever_its_store_says():
    shutdown = Shutdown()
    shutdown.announce()

    assert "the server is stopping" == await store_ready(AskedStore(), shutdown)()
