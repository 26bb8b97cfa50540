"""Processes on one file notify one another, whichever of them died before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from contracts.store.steps import add_pending, add_targets, claim, settle
from outrider.adapters.sql.stores.sqlite_notify import SqliteNotifier
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import Replay
from outrider.domain.ids import DeliveryId
from support.builders import INSTANCE, a_settlement, planned
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

WITHIN_S = 20.0
LISTEN = """
import sys, time
from pathlib import Path
from outrider.adapters.sql.stores.sqlite_notify import SqliteNotifier
SqliteNotifier(Path(sys.argv[1])).listen(lambda: None)
print("listening", flush=True)
time.sleep(600)
"""


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "notifications"


@pytest.fixture
def sender(directory):
    notifier = SqliteNotifier(directory)
    yield notifier
    notifier.close()


@pytest.fixture
def listener(directory):
    notifier = SqliteNotifier(directory)
    yield notifier
    notifier.close()


def test_all_listeners_are_notified(directory, sender, listener):
    """
    Also later ones, and the sender itself: an engine delivers what it publishes.
    """
    first, second, own = threading.Event(), threading.Event(), threading.Event()
    listener.listen(first.set)
    sender.notify()
    assert first.wait(WITHIN_S)
    first.clear()
    listener.listen(second.set)
    sender.listen(own.set)

    sender.notify()

    assert all(notified.wait(WITHIN_S) for notified in (first, second, own))
    assert 3 == len(list(directory.iterdir()))


def test_a_closed_listener_leaves_nothing_behind(directory, sender):
    """
    No job cleans the data directory.
    """
    leaving = SqliteNotifier(directory)
    leaving.listen(lambda: None)
    sender.notify()
    leaving.close()
    sender.notify()

    assert [] == list(directory.iterdir())


def test_what_a_killed_process_left_is_removed(directory, sender, listener):
    """
    Killed workers would add up, and every one would cost every commit a write.
    """
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(directory)], stdout=subprocess.PIPE
    ) as killed:
        killed.stdout.readline()
        sender.notify()
        killed.kill()
    notified = threading.Event()
    listener.listen(notified.set)

    sender.notify()  # to the process that was killed since the last notification
    os.mkfifo(directory / "1-left-over-from-before")
    sender.notify()

    assert notified.wait(WITHIN_S)
    assert 1 == len(list(directory.iterdir()))


def test_a_listener_that_hangs_blocks_no_sender(sender, listener):
    """
    A stopped worker must not stop publishers: its pipe is full after 65 536 notifications.
    """
    called, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        called.set()
        go_on.wait(WITHIN_S)

    listener.listen(hang)
    sender.notify()
    assert called.wait(WITHIN_S)
    for _ in range(70_000):
        sender.notify()
    called.clear()
    go_on.set()

    assert called.wait(WITHIN_S)


async def test_without_pipes_only_notifications_are_missing(tmp_path):
    """
    Not every file system has named pipes; a worker that polls finds its work all the same.
    """
    (tmp_path / "notifications").write_text("in the way")
    async with empty_sqlite(tmp_path / "outrider.db") as store:
        store.subscribe(lambda: None)
        await add_targets(store)
        await add_pending(store, planned("1"))


async def test_replays_retries_and_cancellations_notify(tmp_path):
    """
    Each makes something due immediately: a worker must not find it only by its next poll.
    """
    notified = threading.Semaphore(0)
    one = [DeliveryId("1")]
    async with empty_sqlite(tmp_path / "outrider.db") as store:
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store)
        later = NOW + timedelta(hours=1)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=later))
        store.subscribe(notified.release)
        for change in (
            lambda unit: unit.deliveries.make_due(INSTANCE, one, NOW),
            lambda unit: unit.cancellations.cancel_some(INSTANCE, one, NOW),
            lambda unit: unit.replays.add(INSTANCE, [Replay(DeliveryId("2"), one[0])], NOW),
        ):
            await store.write(change)
            assert notified.acquire(timeout=WITHIN_S)
        # What changes nothing wakes none.
        await store.write(lambda unit: unit.deliveries.make_due(INSTANCE, one, NOW))
        await store.write(lambda unit: unit.cancellations.cancel_some(INSTANCE, one, NOW))

    assert not notified.acquire(blocking=False)


async def test_only_commits_by_which_work_may_be_due_notify(tmp_path):
    """
    A worker polls at every notification; settling what it delivered needs no poll.
    """
    notified = threading.Semaphore(0)
    async with empty_sqlite(tmp_path / "outrider.db") as store:
        await add_targets(store)
        store.subscribe(notified.release)
        await store.write(lambda unit: unit.leases.renew("worker-a", NOW))
        await add_pending(store, planned("1"))
        assert notified.acquire(timeout=WITHIN_S)

    assert not notified.acquire(blocking=False)
