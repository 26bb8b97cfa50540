"""The clock of two running programs jumps back and forth by an hour (libfaketime, preloaded)."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from faults.invariants import check_log, ids_by_event, leaks, rows_of
from outrider.testing.receiver import OK, Answer, ReceivedCall, Receiver
from outrider_receiver import verify
from system.ledger import calls_by_delivery, event_of

HOST = Path(__file__).with_name("clock_host.py")
HOUR = 3600
EVENTS = 50
# What the two programs have in flight, at each of three jumps.
MOST_REPEATED = 3 * 2 * 16
# A lease of 15 s, then a run of the rescuer every 5 s, on a busy machine.
RESCUED_WITHIN_S = 40.0


class Clock:
    """What the programs that are started with `environ` take for the time of day."""

    def __init__(self, directory: Path) -> None:
        self._offset = directory / "offset"
        library = Path(find_spec("libfaketime").origin).with_name("vendor")
        self.environ = {
            "LD_PRELOAD": str(library / "libfaketime" / "src" / "libfaketime.so.1"),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            # Read again every second: two threads that read together may get the true time instead.
            "FAKETIME_CACHE_DURATION": "1",
            # The kernel's other clock never jumps.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.show(0)

    def show(self, seconds: int) -> None:
        """Jump by a number of seconds before or after the true time."""
        written = self._offset.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.rename(self._offset)


@dataclass
class Host:
    """A program that publishes and delivers."""

    process: asyncio.subprocess.Process
    log: Path
    signing_key: str = ""
    answered: list[str] = field(default_factory=list)

    async def line(self) -> str:
        """The next line that it writes."""
        async with asyncio.timeout(60):
            line = (await self.process.stdout.readline()).decode().strip()
        if not line:
            raise EOFError(self.log.read_text())
        return line

    async def publish(self, events: int) -> None:
        """Return when a number of calls are answered."""
        self.process.stdin.write(f"{events}\n".encode())
        while (line := await self.line()) != "published":
            self.answered.append(line)

    async def stop(self) -> int:
        """Let it end by itself."""
        self.process.stdin.close()
        return await asyncio.wait_for(self.process.wait(), 60)


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What is done when the test is over."""
    with ExitStack() as stack:
        yield stack


async def host(directory: Path, clock: Clock, ends: ExitStack, url: str = "") -> Host:
    """A program on `directory` that is ready; with a URL it makes the target."""
    log = directory.with_name(f"host{'-first' if url else ''}.log")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HOST), str(directory), url),
            env={**os.environ, **clock.environ},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    ends.callback(lambda: process.returncode is None and os.kill(process.pid, signal.SIGKILL))
    made = Host(process, log)
    if url:
        made.signing_key = await made.line()
    assert await made.line() == "ready"
    return made


async def arrived(receiver: Receiver, expected: set[str], *, within: float) -> None:
    """Wait until every one of these events has come."""
    async with asyncio.timeout(within):
        while expected - {event_of(call) for call in receiver.calls}:
            await receiver.wait_for(len(receiver.calls) + 1, within=within)


async def test_a_clock_that_jumps_by_an_hour_delays_and_repeats_little(tmp_path, ends):
    """
    A machine that boots with a wrong clock, or one whose clock is set while it works.
    """
    clock, release, hang = Clock(tmp_path), asyncio.Event(), asyncio.Event()

    def answer(_: ReceivedCall) -> Answer:
        return Answer(hang_until=release) if hang.is_set() else OK

    async with Receiver(answer) as receiver:
        first = await host(tmp_path / "data", clock, ends, receiver.url)
        second = await host(tmp_path / "data", clock, ends)
        await first.publish(EVENTS)
        clock.show(HOUR)
        await first.publish(EVENTS)
        await arrived(receiver, set(first.answered), within=60)

        # Some are in flight, the others wait; one of two that claimed them dies; the clock goes back.
        hang.set()
        await first.publish(EVENTS)
        await receiver.wait_for(len(receiver.calls) + 1)
        second.process.send_signal(signal.SIGKILL)
        clock.show(-HOUR)
        hang.clear()
        release.set()
        await arrived(receiver, set(first.answered), within=RESCUED_WITHIN_S)
        await noticed(first)
        await first.publish(EVENTS)
        clock.show(0)
        await first.publish(EVENTS)
        await arrived(receiver, set(first.answered), within=60)
        await nothing_open(tmp_path / "data")
        code = await first.stop()
        await second.process.wait()

    attempts = check_log(rows_of(tmp_path / "data"))
    calls = calls_by_delivery(receiver.calls)
    assert 0 == code
    assert 5 * EVENTS == len(first.answered) == len(attempts)
    assert all(len(ids) == 1 for ids in ids_by_event(receiver.calls).values())
    assert calls.total() - len(calls) <= MOST_REPEATED
    assert all(is_signed_for_its_time(call, first.signing_key) for call in receiver.calls)
    assert [] == rows_of(tmp_path / "data")("SELECT owner FROM leases")
    assert set() == leaks(logs(tmp_path), secrets(tmp_path, first))


async def noticed(program: Host) -> None:
    """Wait until the program knows that the clock went back: it compares every few seconds."""
    async with asyncio.timeout(RESCUED_WITHIN_S):
        while b"clock.moved_backwards" not in program.log.read_bytes():
            await asyncio.sleep(0.1)


async def nothing_open(directory: Path) -> None:
    """Wait until every delivery is recorded as delivered, and the dead program has no lease."""
    rows = rows_of(directory)
    async with asyncio.timeout(RESCUED_WITHIN_S):
        while (
            rows("SELECT 1 FROM deliveries WHERE state <> 4 LIMIT 1")
            or len(rows("SELECT owner FROM leases")) > 1
        ):
            await asyncio.sleep(0.1)


def is_signed_for_its_time(call: ReceivedCall, signing_key: str) -> bool:
    """Whether the signature holds for a receiver whose clock shows the time of the call."""
    at = float(call.header("webhook-timestamp"))
    return bool(verify(call.body, call.headers, signing_keys=[signing_key], now=at))


def logs(directory: Path) -> dict[str, bytes]:
    """What both programs logged."""
    return {path.name: path.read_bytes() for path in directory.glob("host*.log")}


def secrets(directory: Path, first: Host) -> dict[str, bytes]:
    """What must be in no log."""
    master_key = (directory / "data" / "master.key").read_bytes().strip()
    return {
        "signing key": first.signing_key.encode(),
        "master key": master_key,
        "its bytes": base64.b64decode(master_key),
    }
