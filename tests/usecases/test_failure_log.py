"""An unavailable store is reported when that begins, from time to time, and when it is over."""

from __future__ import annotations

import pytest

from outrider.errors import Unavailable
from outrider.usecases.failure_log import REPEAT_EVERY_S, FailureLog
from outrider.usecases.ports.store import WriteRefused


class Lines:
    """What was logged: level, event and fields."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __getattr__(self, level: str):
        return lambda event, /, **fields: self.lines.append((level, event, fields))


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
def clock() -> list[float]:
    """What the monotonic clock shows."""
    return [100.0]


@pytest.fixture
def failures(log: Lines, clock: list[float]) -> FailureLog:
    return FailureLog(log, lambda: clock[0])


def read_only() -> WriteRefused:
    refused = WriteRefused("the database is read-only", "name the primary")
    refused.__cause__ = OSError("cannot execute\n INSERT")
    return refused


def test_a_store_that_stays_away_is_one_line_a_minute(failures, log, clock):
    """
    A worker tries twice a second: that is 170 000 lines a day.
    """
    for _ in range(3):
        failures.failed("worker.poll_failed", read_only(), owner="w")
    clock[0] += REPEAT_EVERY_S
    failures.failed("worker.poll_failed", read_only(), owner="w")
    reason = (
        "the database is read-only: nothing of this call was stored; cannot execute INSERT; name"
        " the primary"
    )

    assert [
        ("error", "worker.poll_failed", {"reason": reason, "failures": 1, "owner": "w"}),
        ("error", "worker.poll_failed", {"reason": reason, "failures": 4, "owner": "w"}),
    ] == log.lines


def test_another_reason_is_logged_immediately(failures, log):
    """
    A database that restarts while its disk is full.
    """
    failures.failed("cleaner.failed", Unavailable("it cannot be reached"))
    failures.failed("cleaner.failed", Unavailable("its disk is full"))

    assert ["it cannot be reached", "its disk is full"] == [
        fields["reason"] for _, _, fields in log.lines
    ]


def test_the_end_is_logged_once(failures, log):
    """
    Else an operator still looks for a problem that is over.
    """
    failures.succeeded()
    failures.failed("rescuer.failed", read_only())
    failures.failed("rescuer.failed", read_only())
    failures.succeeded()
    failures.succeeded()
    failures.failed("rescuer.failed", read_only())

    assert ["rescuer.failed", "store.recovered", "rescuer.failed"] == [
        event for _, event, _ in log.lines
    ]
    assert ("info", "store.recovered", {"activity": "rescuer.failed", "failures": 2}) in log.lines


def test_a_bug_is_logged_each_time(failures, log):
    """
    With its traceback, which `exception` adds.
    """
    failures.failed("cleaner.failed", ValueError("a bug"))
    failures.failed("cleaner.failed", ValueError("a bug"))

    assert [("exception", "cleaner.failed", {})] * 2 == log.lines
