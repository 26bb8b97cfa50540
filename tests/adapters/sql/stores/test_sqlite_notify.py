"""Processes on one file tell each other of news, whoever else died there before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from contracts.store.steps import add_pending, add_targets
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.adapters.sql.stores.sqlite_notify import SqliteNotifier
from support.builders import planned
from support.runtime import NOW

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
    return tmp_path / "hints"


@pytest.fixture
def speaker(directory):
    hints = SqliteNotifier(directory)
    yield hints
    hints.close()


@pytest.fixture
def listener(directory):
    hints = SqliteNotifier(directory)
    yield hints
    hints.close()


def test_everybody_who_listens_is_told(directory, speaker, listener):
    """
    Also who came later, and the speaker itself: an engine delivers what it publishes.
    """
    first, second, own = threading.Event(), threading.Event(), threading.Event()
    listener.listen(first.set)
    speaker.tell()
    assert first.wait(WITHIN_S)
    first.clear()
    listener.listen(second.set)
    speaker.listen(own.set)

    speaker.tell()

    assert all(each.wait(WITHIN_S) for each in (first, second, own))
    assert 3 == len(list(directory.iterdir()))


def test_who_stopped_leaves_nothing_behind(directory, speaker):
    """
    Nobody cleans the data directory.
    """
    leaving = SqliteNotifier(directory)
    leaving.listen(lambda: None)
    speaker.tell()
    leaving.close()
    speaker.tell()

    assert [] == list(directory.iterdir())


def test_what_a_killed_process_left_is_removed(directory, speaker, listener):
    """
    Killed workers would add up, and each would cost every commit a write.
    """
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(directory)], stdout=subprocess.PIPE
    ) as killed:
        killed.stdout.readline()
        speaker.tell()
        killed.kill()
    told = threading.Event()
    listener.listen(told.set)

    speaker.tell()  # to who is gone since it was last told
    os.mkfifo(directory / "1-left-over-from-before")
    speaker.tell()

    assert told.wait(WITHIN_S)
    assert 1 == len(list(directory.iterdir()))


def test_a_listener_that_hangs_holds_nobody_up(speaker, listener):
    """
    A stopped worker must not stop who publishes: its pipe is full after 65 536 hints.
    """
    heard, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        heard.set()
        go_on.wait(WITHIN_S)

    listener.listen(hang)
    speaker.tell()
    assert heard.wait(WITHIN_S)
    for _ in range(70_000):
        speaker.tell()
    heard.clear()
    go_on.set()

    assert heard.wait(WITHIN_S)


async def test_without_pipes_there_are_no_hints_and_nothing_else_is_missing(tmp_path):
    """
    Not every file system has named pipes, and who looks finds what nobody told.
    """
    (tmp_path / "hints").write_text("in the way")
    async with open_sqlite(tmp_path / "outrider.db", Sealing(bytes(32)), now=NOW) as store:
        store.subscribe(lambda: None)
        await add_targets(store)
        await add_pending(store, planned("1"))


async def test_only_what_may_be_due_is_told(tmp_path):
    """
    A worker takes a turn for each hint; settling what it delivered is no news to it.
    """
    told = threading.Semaphore(0)
    async with open_sqlite(tmp_path / "outrider.db", Sealing(bytes(32)), now=NOW) as store:
        await add_targets(store)
        store.subscribe(told.release)
        await store.write(lambda unit: unit.leases.renew("worker-a", NOW))
        await add_pending(store, planned("1"))
        assert told.acquire(timeout=WITHIN_S)

    assert not told.acquire(blocking=False)
