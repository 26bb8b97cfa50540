"""`outrider top` against a server, on a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from cli.conftest import clean_environ
from outrider.cli.dashboard.frame import History, StatsSample, frame
from outrider.cli.terminal.errors import ExitCode

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WITHIN_S = 30.0
NOWHERE = "http://127.0.0.1:9/hook"


def counts(**states: int) -> list[dict]:
    return [
        {"state": f"DELIVERY_STATE_{name.upper()}", "count": str(n)} for name, n in states.items()
    ]


STATS = {
    "counts": counts(pending=3, retrying=2, delivered=1200, dead=1),
    "oldestOpenAt": "2026-01-02T00:59:00.123456789Z",
    "rates": [
        {"window": "60s", "deliveredPerSecond": 12345.6},
        {"window": "300s", "deliveredPerSecond": 3.25, "deadPerSecond": 0.05},
    ],
    "targets": [
        {
            "targetId": "101",
            "targetName": "bad\x1b[2Jname",
            "counts": counts(retrying=2, dead=1, delivered=9),
            "oldestOpenAt": "2026-01-02T00:59:00Z",
        },
        {"targetId": "102", "targetName": "fine", "counts": counts(delivered=900)},
        {"targetId": "103", "counts": counts(pending=3), "oldestOpenAt": "2026-01-02T03:04:00Z"},
    ],
}


def drawn(sample: StatsSample, history: History | None = None, *, color: bool = False) -> str:
    console = Console(width=140, force_terminal=color, color_system="standard" if color else None)
    with console.capture() as captured:
        console.print(frame(sample, history or History()), highlight=False)
    return captured.get()


def a_sample(at: float = 0.0, stats=STATS, **changes) -> StatsSample:
    return StatsSample("http://h", at, NOW + timedelta(seconds=at), stats, **changes)


def test_a_frame_shows_rates_states_and_failing_targets():
    """
    What an operator asks at night: is it slow, since when, and which target causes it.
    """
    lines = drawn(a_sample(errors={"101": "500 the answer\nwas bad"})).splitlines()
    text = "\n".join(line.rstrip() for line in lines)

    assert "oldest open 2 h" in text
    assert re.search(r"1 min  delivered/s +12 345  dead/s +0", text)
    assert re.search(r"5 min  delivered/s +3\.25  dead/s +0\.05", text)
    assert "pending 3  delivering 0  retrying 2  delivered 1200  dead 1  cancelled 0" in text
    assert re.search(r"101 +bad\\x1b\[2Jname +2 +2 +1 +2 h +500 the answer was bad", text)
    assert re.search(r"103 +\(deleted\) +3 +0 +0 +5 s", text)
    assert "fine" not in text
    assert "\x1b" not in text


def test_a_frame_shows_suspended_targets_and_why():
    """
    An operator need not read each target's policy to learn why nothing is delivered.
    """
    first = {"targetId": "101", "targetName": "first", "counts": counts(pending=7)}
    stats = {
        "targets": [
            {**first, "breakerOpenUntil": "2026-01-02T03:04:35Z"},
            {"targetId": "102", "counts": counts(delivered=9)},
        ],
        "suspendedTargets": [
            {**first, "breakerOpenUntil": "2026-01-02T03:04:35Z"},
            {"targetId": "103", "targetName": "quiet", "pausedAt": "2026-01-01T00:00:00Z"},
            {
                "targetId": "104",
                "targetName": "both",
                "pausedAt": "2026-01-01T00:00:00Z",
                "breakerOpenUntil": "2026-01-02T03:04:04.999999999Z",
            },
        ],
    }
    rows = [line.rstrip() for line in drawn(a_sample(stats=stats)).splitlines()[-4:]]

    assert re.fullmatch(r"TARGET +NAME +STATE +OPEN +RETRYING +DEAD +OLDEST +LAST ERROR", rows[0])
    assert re.fullmatch(r"101 +first +breaker open +7 +0 +0 +-", rows[1])
    assert re.fullmatch(r"103 +quiet +paused +0 +0 +0 +-", rows[2])
    assert re.fullmatch(r"104 +both +paused, breaker half open +0 +0 +0 +-", rows[3])


def test_colours_are_for_terminals():
    """
    A log file full of escapes is of no use.
    """
    assert "\x1b[31m" in drawn(a_sample(), color=True)
    assert "\x1b[2J" not in drawn(a_sample(), color=True)


def test_the_rate_is_of_what_was_settled_between_two_samples():
    """
    And is never below zero, although retention deletes deliveries.
    """
    history = History()
    for at, delivered in ((0, 100), (1, 110), (3, 210), (4, 5)):
        history.add(a_sample(at, {"counts": counts(delivered=delivered, pending=9)}))
    shown = drawn(a_sample(), history)

    assert [10, 50, 0] == history.rates
    assert re.search(r"settled/s now +0  ▂█▁", shown)


def test_a_frame_without_open_deliveries_says_so():
    """
    An empty table would look like a defect of the view.
    """
    shown = drawn(a_sample(stats={}))

    assert "no target has open or dead deliveries" in shown
    assert "oldest open none" in shown


@pytest.fixture
def failing(server) -> str:
    """The name of a target that cannot be reached, with three pending deliveries.

    Last errors are read for the first failing targets only; those of other tests have one each.
    """
    name, event_type = (f"{kind}-{uuid.uuid4().hex[:10]}" for kind in ("target", "type"))
    target = server.ok("target", "create", name, "--endpoint", NOWHERE)["id"]
    server.ok("event", "publish", event_type)
    server.ok("execution", "set", f"event/{event_type}", target)
    for _ in range(3):
        server.ok("event", "publish", event_type)
    return name


def test_one_frame_for_a_script(server, failing: str):
    """
    What went wrong last is there, too, on one line for each target.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        result = server.run("top", "--once", "--targets", "100")
        assert 0 == result.code, result.err
        [line] = [line for line in result.out.splitlines() if failing in line] or [""]
        if re.search(r" 3 +3 +0 .*refused", line) or time.monotonic() > deadline:
            break

    assert re.search(r" 3 +3 +0 +\d+ (s|min) .*refused", line), result.out
    assert "\x1b" not in result.out


def test_a_server_that_is_not_there_is_told_from_one_that_refuses(server):
    """
    Exit codes are those of every other command.
    """
    gone = server.run("top", "--once", "--url", "http://127.0.0.1:9", "--token", "x")
    unauthenticated = server.run("top", "--once", "--token", "otr_wrong")

    assert (3, 4) == (gone.code, unauthenticated.code)


class Terminal:
    """A terminal of 120 columns with a command in it."""

    def __init__(self, server, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environ = clean_environ(TERM="xterm", OUTRIDER_URL=server.url)
        for name in ("COLUMNS", "NO_COLOR"):
            environ.pop(name)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "outrider",
                "top",
                "--data-dir",
                str(server.data_dir),
                *arguments,
            ],
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call
        )
        os.close(theirs)
        self.shown = ""

    def shows(self, text: str) -> None:
        """Wait until this was written."""
        deadline = time.monotonic() + WITHIN_S
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
            if not ready:
                raise TimeoutError(self.shown)
            self.shown += os.read(self._ours, 65536).decode("utf-8", "replace")

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda terminal: terminal.types("q"), ExitCode.OK),
        (lambda terminal: terminal.types("\x03"), ExitCode.INTERRUPTED),
        (lambda terminal: terminal.process.terminate(), ExitCode.TERMINATED),
    ],
    ids=["q", "Ctrl-C", "SIGTERM"],
)
def test_the_live_view_ends_and_leaves_the_terminal_as_it_was(server, end, code: ExitCode):
    """
    It draws on the alternate screen, again and again, with colours.
    """
    terminal = Terminal(server, "--every", "0.2")
    try:
        terminal.shows("oldest open")
        terminal.shows("settled/s now        0")
        end(terminal)
        terminal.shows("\x1b[?1049l")
        found = terminal.process.wait(WITHIN_S)
    finally:
        terminal.close()

    assert code == found
    assert terminal.shown.startswith("\x1b[?1049h")
    assert "\x1b[32m" in terminal.shown
    assert "Traceback" not in terminal.shown
