"""What must be true after every fault: one function that each of the tests ends with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from faults.deployment import Deployment
from outrider.testing.receiver import ReceivedCall
from outrider.worker.worker import LEASE
from system.ledger import calls_by_delivery, event_of, unsigned

Rows = Callable[[str], list[tuple[Any, ...]]]
LOST, ACCEPTED = 8, 1
DELIVERED = 4
# On a connection that had been used and is cut before the answer, an attempt is sent once more.
SENT = 2
# The lease, the wait for the rescuer's next run, and the time that a busy machine needs.
RESCUED_WITHIN = LEASE + timedelta(seconds=15)


@dataclass(frozen=True)
class DeliveryReport:
    """What the store has recorded when everything is delivered.

    `attempts` are the outcomes of each delivery, in order; `repeated` how often receivers got
    something again; `longest_takeover` how long a dead worker kept others from a delivery, at most.
    """

    attempts: Mapping[int, list[int]] = field(repr=False)
    repeated: int
    longest_takeover: timedelta

    @property
    def lost(self) -> int:
        """How many attempts have no known end."""
        return sum(attempt.count(LOST) for attempt in self.attempts.values())


async def check_invariants(
    deployment: Deployment, rows: Rows | None = None, *, most_repeated: int, within: float = 120.0
) -> DeliveryReport:
    """Wait until all is delivered, stop the server, and compare its promises with what is there.

    Every event that was answered has arrived; what arrived twice is the same delivery, as the log
    tells, and that is so for `most_repeated` calls at most; no row is claimed and no lease is left;
    no log has a secret. `rows` queries the store, the server's file when None.
    """
    await deployment.api.settled(within=within)
    rows = rows or rows_of(deployment.server.data_dir)
    await leases_end(rows, len(deployment.nodes))
    codes = [await node.stop() for node in deployment.nodes]
    attempts = check_log(rows)
    repeated = check_calls(deployment, rows, attempts)

    assert {0} == set(codes)
    assert repeated <= most_repeated
    assert [] == rows("SELECT id, owner FROM deliveries WHERE owner IS NOT NULL")
    assert [] == rows("SELECT owner FROM leases")
    for data_dir in {node.data_dir for node in (*deployment.nodes, *deployment.dead)}:
        assert set() == leaks(logs_of(data_dir), deployment.secrets)
    return DeliveryReport(attempts, repeated, longest_takeover(rows))


async def leases_end(rows: Rows, living: int) -> None:
    """Wait until only this number of workers have a lease; a dead one keeps its lease until the end."""
    async with asyncio.timeout(RESCUED_WITHIN.total_seconds()):
        while len(await asyncio.to_thread(rows, "SELECT owner FROM leases")) > living:
            await asyncio.sleep(0.1)


def longest_takeover(rows: Rows) -> timedelta:
    """From the claim of an attempt that was lost to the one that followed it."""
    [(longest,)] = rows(
        "SELECT max(later.started_at - lost.started_at) FROM attempts AS lost JOIN attempts AS later"
        " ON later.delivery_id = lost.delivery_id AND later.number = lost.number + 1"
        f" WHERE lost.outcome = {LOST}"
    )
    return timedelta(microseconds=longest or 0)


def check_log(rows: Rows) -> dict[int, list[int]]:
    """Every delivery is delivered, once; its attempts are numbered without a gap."""
    states = Counter(state for (state,) in rows("SELECT state FROM deliveries"))
    attempts: dict[int, list[int]] = defaultdict(list)
    for delivery, number, outcome in rows(
        "SELECT delivery_id, number, outcome FROM attempts ORDER BY delivery_id, number"
    ):
        attempts[delivery].append(outcome)
        assert len(attempts[delivery]) == number

    assert {DELIVERED} == set(states)
    assert states.total() == len(attempts)
    assert all(
        [ACCEPTED] == attempt[-1:] and ACCEPTED not in attempt[:-1] for attempt in attempts.values()
    )
    return attempts


def check_calls(deployment: Deployment, rows: Rows, attempts: Mapping[int, list[int]]) -> int:
    """What was answered has arrived, and repetitions are explained; return how many there are."""
    stored = dict(
        rows(
            "SELECT events.id, deliveries.id FROM events"
            " JOIN deliveries ON deliveries.event_number = events.number"
        )
    )
    calls = deployment.receiver.calls
    arrived = calls_by_delivery(calls)

    assert set() == deployment.answered - stored.keys()
    assert {event: {str(delivery)} for event, delivery in stored.items()} == ids_by_event(calls)
    assert [] == unsigned(calls)
    assert all(count <= SENT * len(attempts[int(delivery)]) for delivery, count in arrived.items())
    return arrived.total() - len(arrived)


def ids_by_event(calls: Iterable[ReceivedCall]) -> dict[str, set[str]]:
    """By which delivery ids an event came: one, however often."""
    found: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        found[event_of(call)].add(call.header("webhook-id"))
    return found


def rows_of(data_dir: Path) -> Rows:
    """Query the database of a server that is not running."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        database = f"file:{data_dir}/outrider.db?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return connection.execute(query).fetchall()

    return rows


def logs_of(data_dir: Path) -> dict[str, bytes]:
    """All that servers on this directory have written, to their output and their log."""
    logs = data_dir.parent / f"{data_dir.name}-logs"
    found = {path.name: path.read_bytes() for path in logs.iterdir()}
    assert any(found.values())
    return found


def leaks(texts: Mapping[str, bytes], secrets: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Which text has which secret."""
    return {
        (source, name)
        for source, text in texts.items()
        for name, secret in secrets.items()
        if secret in text
    }
