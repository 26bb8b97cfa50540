"""What was accepted is done: once if all goes well, again if not."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from outrider_receiver import Receiver, VerifiedCall
from outrider_receiver.inbox import Inbox
from outrider_receiver.testing import SIGNING_KEY, Sender
from support.copied_calls import COPIES, copy


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def inbox(tmp_path, clock):
    inbox = Inbox(tmp_path / "inbox.db", attempts=3, clock=clock)
    yield inbox
    inbox.close()


@pytest.fixture
def receiver(inbox):
    receiver = Receiver(signing_keys=SIGNING_KEY)
    receiver.accept_and_queue(inbox)
    return receiver


def test_an_event_is_answered_before_its_work_is_done(inbox, receiver):
    """
    Slow work must not make the sender give up.
    """
    done: list[tuple[str, VerifiedCall]] = []

    @receiver.event()
    def work(event, call) -> None:
        done.append((event.event_type, call))

    sent = Sender().event("a.b")
    assert 202 == receiver.handle(*sent).status
    assert [] == done
    assert [True, False] == [inbox.work_once(receiver) for _ in range(2)]
    assert "a.b" == done[0][0]
    assert ("delivery-1", 1) == (done[0][1].delivery_id, done[0][1].attempt)


def test_a_file_of_a_release_before_is_read(tmp_path, clock):
    """
    It did not know how many outriders an event had come through.
    """
    path = tmp_path / "old.db"
    Inbox(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE outrider_inbox DROP COLUMN hops")
        connection.execute(
            "INSERT INTO outrider_inbox (delivery_id, signed_at, is_signed_id, body, state, due)"
            """ VALUES ('7', 1700000000, 1, CAST('{"event_type":"a.b"}' AS BLOB), 'pending', 0)"""
        )
        connection.commit()
    seen: list[tuple[str | None, int]] = []
    receiver = Receiver(signing_keys=SIGNING_KEY)
    with closing(Inbox(path, clock=clock)) as inbox:
        receiver.accept_and_queue(inbox)
        receiver.event()(lambda event, call: seen.append((call.delivery_id, call.hops)))
        receiver.handle(*Sender().call({"event_type": "a.b"}, delivery_id="8", hops=5))
        while inbox.work_once(receiver):
            pass

    assert [("7", 0), ("8", 5)] == seen


def test_the_same_delivery_again_is_written_once(inbox, receiver, clock):
    """
    Before its work was done, and after.
    """
    done: list[object] = []
    receiver.event()(done.append)
    sent = Sender().event()
    assert [202, 202] == [receiver.handle(*sent).status for _ in range(2)]
    assert [True, False] == [inbox.work_once(receiver) for _ in range(2)]
    assert 202 == receiver.handle(*sent).status
    assert not inbox.work_once(receiver)
    assert 1 == len(done)

    clock.now += 8 * 86_400
    receiver.handle(*Sender().call({"event_type": "x"}, delivery_id="other"))
    assert inbox.work_once(receiver)
    assert 1 == inbox._connection.execute("SELECT count(*) FROM outrider_inbox").fetchone()[0]


def test_of_zitadel_the_same_bytes_are_the_same_event(inbox, receiver):
    """
    It sends no id; an event has its own time and number in it.
    """
    seen: list[object] = []

    @receiver.event("user.human.added")
    def work(_event, call) -> None:
        seen.append(call.delivery_id)

    sender = Sender(as_zitadel=True)
    for call in (sender.event(), sender.event(), sender.event(sequence=8)):
        assert 202 == receiver.handle(*call).status
    assert [True, True, False] == [inbox.work_once(receiver) for _ in range(3)]
    assert [None, None] == seen


def test_a_call_without_its_id_is_known_by_its_signature(inbox, receiver):
    """
    An attacker who recorded it leaves out any header, before or after it came whole.
    """
    done: list[object] = []
    receiver.event()(done.append)
    sender = Sender()
    for number, order in enumerate((("whole", *COPIES), (*COPIES, "whole")), start=1):
        call = sender.event(sequence=number)
        for name in order:
            assert 202 == receiver.handle(call.body, copy(call.headers, name)).status
        while inbox.work_once(receiver):
            pass
        assert number == len(done), order


def test_two_deliveries_of_the_same_bytes_are_two(inbox, receiver):
    """
    A replay in the same second has its own id.
    """
    sender = Sender()
    for delivery_id in ("1", "2", "1", "2"):
        receiver.handle(*sender.call({"event_type": "a"}, delivery_id=delivery_id))

    assert [True, True, False] == [inbox.work_once(receiver) for _ in range(3)]


def test_an_event_is_queued_once_over_targets_and_replays(inbox):
    """
    When the receiver wants that; whatever is said of it later, its deliveries are known.
    """
    done: list[tuple[str | None, str | None]] = []
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate_by="event")
    receiver.accept_and_queue(inbox)

    @receiver.event()
    def work(_event, call) -> None:
        done.append((call.event_id, call.replay_of))

    event, sender = {"event_type": "a"}, Sender()
    first = sender.call(event, delivery_id="2", event_id="ü/1", replay_of="1")
    again = sender.call(event, delivery_id="3", event_id="ü/1")
    other = sender.call(event, delivery_id="4", event_id="ü/2")
    made_up = again.body, {**again.headers, "Outrider-Event": "made-up"}
    for call in (first, again, made_up, other):
        assert 202 == receiver.handle(*call).status

    assert [True, True, False] == [inbox.work_once(receiver) for _ in range(3)]
    assert [("ü/1", "1"), ("ü/2", None)] == done


def test_what_is_forgotten_is_forgotten_under_every_name(inbox, receiver, clock):
    """
    A file that keeps every name is full some day.
    """
    receiver.event()(lambda _: None)
    receiver.handle(*Sender().event())
    inbox.work_once(receiver)
    clock.now += 8 * 86_400
    receiver.handle(*Sender().call({"event_type": "x"}, delivery_id="other"))
    inbox.work_once(receiver)

    count = "SELECT count(*) FROM outrider_inbox_names WHERE place NOT IN (SELECT place FROM outrider_inbox)"
    assert (0,) == inbox._connection.execute(count).fetchone()
    assert (2,) == inbox._connection.execute("SELECT count(*) FROM outrider_inbox_names").fetchone()


def test_a_file_of_the_release_before_is_gone_on_with(tmp_path):
    """
    What it has is done, and what it knows is known.
    """
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript(
            "CREATE TABLE outrider_inbox (place INTEGER PRIMARY KEY, delivery_id TEXT NOT NULL UNIQUE,"
            " signed_at INTEGER NOT NULL, is_signed_id INTEGER NOT NULL, body BLOB,"
            " state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL);"
            "INSERT INTO outrider_inbox (delivery_id, signed_at, is_signed_id, body, state, due)"
            " VALUES ('7', 1700000000, 1, CAST('{\"event_type\":\"a\"}' AS BLOB), 'pending', 0);"
        )
    old.close()
    done: list[object] = []
    for _ in range(2):
        inbox, receiver = Inbox(path), Receiver(signing_keys=SIGNING_KEY)
        receiver.accept_and_queue(inbox)
        receiver.event()(done.append)
        receiver.handle(*Sender().call({"event_type": "a"}, delivery_id="7"))
        while inbox.work_once(receiver):
            pass
        inbox.close()

    assert 1 == len(done)


def test_work_that_fails_comes_again_after_waits_that_double_and_then_stays(inbox, receiver, clock):
    """
    A bad hour of the database is survived; a bad event does not come for ever.
    """
    attempts: list[float] = []

    @receiver.event()
    def fail(_event) -> None:
        attempts.append(clock.now - 1_700_000_000)
        raise OSError("down")

    sent = Sender().event()
    receiver.handle(*sent)
    for _ in range(40):
        inbox.work_once(receiver)
        clock.now += 0.5

    assert [0, 1, 3] == attempts
    assert [sent.body] == inbox.failed()


def test_one_that_fails_does_not_hold_up_the_others(inbox, receiver):
    """
    While it waits, the next one is worked on.
    """
    done: list[str] = []

    @receiver.event()
    def work(event) -> None:
        if event.event_type == "bad":
            raise OSError("down")
        done.append(event.event_type)

    for number, name in enumerate(("bad", "good.1", "good.2")):
        receiver.handle(*Sender().call({"event_type": name}, delivery_id=str(number)))
    assert [True, True, True, False] == [inbox.work_once(receiver) for _ in range(4)]
    assert ["good.1", "good.2"] == done


def test_what_a_worker_left_when_it_died_is_taken_by_the_next(inbox, receiver, clock):
    """
    The lease ends, the work is done.
    """

    class Killed(BaseException):
        """As a signal would: nothing is settled."""

    done: list[object] = []

    @receiver.event()
    def work(event) -> None:
        if not done:
            done.append("died")
            raise Killed
        done.append(event.event_type)

    receiver.handle(*Sender().event("a"))
    with pytest.raises(Killed):
        inbox.work_once(receiver)
    assert not inbox.work_once(receiver)
    clock.now += 301
    assert inbox.work_once(receiver)
    assert ["died", "a"] == done


def test_a_worker_waits_for_events_and_stops_when_told(inbox, receiver):
    """
    As a thread next to the server.
    """
    done = threading.Event()
    receiver.event()(lambda _: done.set())
    worker = threading.Thread(target=inbox.work, args=(receiver,))
    worker.start()
    assert 202 == receiver.handle(*Sender().event()).status
    assert done.wait(10)
    inbox.stop()
    worker.join(10)

    assert not worker.is_alive()


def test_a_worker_continues_after_its_file_could_not_be_used(inbox, receiver, tmp_path):
    """
    Without it everything would be accepted and nothing done, from a moment of a full disk on.
    """
    done, log_handler = threading.Event(), logging.Handler()
    failed = threading.Event()
    log_handler.emit = lambda _record: failed.set()
    receiver.event()(lambda _: done.set())
    receiver.handle(*Sender().event())
    other = sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)
    other.execute("ALTER TABLE outrider_inbox RENAME TO away")
    worker = threading.Thread(target=inbox.work, args=(receiver,), daemon=True)
    logging.getLogger("outrider_receiver").addHandler(log_handler)
    try:
        worker.start()
        assert failed.wait(10)
        other.execute("ALTER TABLE away RENAME TO outrider_inbox")
        assert done.wait(10)
    finally:
        logging.getLogger("outrider_receiver").removeHandler(log_handler)
        inbox.stop()
        worker.join(10)
        other.close()


def test_interceptions_are_answered_and_never_queued(inbox, receiver):
    """
    A program waits for them.
    """
    receiver.function("preuserinfo")(lambda _: None)

    assert 204 == receiver.handle(*Sender().function("preuserinfo")).status
    assert not inbox.work_once(receiver)


def test_without_its_disk_an_event_comes_again(inbox, receiver):
    """
    What is not kept is not accepted.
    """
    inbox.close()

    assert 503 == receiver.handle(*Sender().event()).status


def test_what_was_answered_survives_a_kill(tmp_path):
    """
    Accepted is on the disk, whatever happens to the process right after.
    """
    script = (
        "import os, sys\n"
        "from outrider_receiver import Receiver\n"
        "from outrider_receiver.inbox import Inbox\n"
        "from outrider_receiver.testing import SIGNING_KEY, Sender\n"
        "receiver = Receiver(signing_keys=SIGNING_KEY)\n"
        "receiver.accept_and_queue(Inbox(sys.argv[1]))\n"
        "for number in range(10):\n"
        "    assert receiver.handle(*Sender().call({'event_type': 'a'}, delivery_id=str(number))).status == 202\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "inbox.db"
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert -9 == killed.returncode

    inbox, receiver = Inbox(path), Receiver(signing_keys=SIGNING_KEY)
    done: list[object] = []

    @receiver.event()
    def work(_event, call) -> None:
        done.append(call.delivery_id)

    while inbox.work_once(receiver):
        pass
    inbox.close()
    assert [str(number) for number in range(10)] == done
