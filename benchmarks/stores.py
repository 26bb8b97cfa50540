"""Data directories that are filled before anything is measured."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from benchmarks.options import Options
from outrider.bootstrap.app_context import open_store
from outrider.config.loading import from_environ
from outrider.domain.delivery.delivery import DeliveryState, plan_deliveries
from outrider.domain.events.event import Event, render_body
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.runtime import Runtime
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.store import Unit
from support.builders import a_target, an_execution

EVENT_TYPE = "user.human.added"
TARGET = TargetId("101")
BODY_BYTES = 340
_AT_ONCE = 1000


def environ(data_dir: Path, **more: str) -> Mapping[str, str]:
    """Settings of a server or worker on this directory, as environment variables."""
    return {"OUTRIDER_DATA_DIR": str(data_dir), "OUTRIDER_DEV": "true", **more}


def an_event(event_id: str = "", *, body_bytes: int = BODY_BYTES) -> Event:
    """An event whose body, as targets get it, has `body_bytes` bytes in an 18-digit instance."""
    event = Event(
        id=EventId(event_id),
        event_type=EVENT_TYPE,
        created_at_ns=1_735_787_045_678_901_000,
        aggregate_id="300000000000000002",
        aggregate_type="user",
        resource_owner="300000000000000003",
        version="v2",
        sequence=7,
        user_id="300000000000000004",
        payload_json='{"userName":""}',
    )
    filler = body_bytes - len(render_body(event, InstanceId("3" * 18)))
    if filler < 0:
        raise ValueError(f"a body has at least {body_bytes - filler} bytes")
    return replace(event, payload_json=event.payload_json.replace('""', f'"{"a" * filler}"'))


@contextmanager
def database(options: Options) -> Iterator[Mapping[str, str]]:
    """The settings of `options`, with an empty database of the kind that they ask for."""
    if options.database == "sqlite":
        yield options.environ
        return
    from support.postgres import postgres_server  # noqa: PLC0415 - the others do without

    with postgres_server(is_durable=True) as server:
        yield {**options.environ, "OUTRIDER_DATABASE_URL": server.url()}


def prepare(
    data_dir: Path, endpoint: str, more: Mapping[str, str] | None = None, *, targets: int = 1
) -> None:
    """A data directory with targets, and an execution that calls the first for `EVENT_TYPE`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(_prepare(environ(data_dir, **(more or {})), endpoint, nth_targets(targets)))


def add_target(data_dir: Path, target: TargetId, endpoint: str) -> None:
    """One more target, which no execution calls: `add_pending` names it."""
    asyncio.run(_add_target(environ(data_dir), target, endpoint))


def nth_targets(count: int) -> Sequence[TargetId]:
    """The ids of the targets that `prepare` makes; the first is `TARGET`."""
    return [TargetId(str(int(TARGET) + number)) for number in range(count)]


def add_pending(
    data_dir: Path,
    count: int,
    *,
    due_in: timedelta,
    more: Mapping[str, str] | None = None,
    targets: int = 1,
    to: TargetId | None = None,
) -> datetime:
    """Add events with one delivery each, to one target after the other; return when all fall due."""
    receivers = nth_targets(targets) if to is None else [to]
    return asyncio.run(_add_pending(environ(data_dir, **(more or {})), count, due_in, receivers))


def wait_for_retries(
    data_dir: Path, count: int, *, due_in: timedelta, more: Mapping[str, str] | None = None
) -> None:
    """Deliveries that were attempted once, and lie there until their retry is due.

    A delivery that was never attempted would be due immediately, at any time: such a time is that of a
    clock that has gone back since.
    """
    add_pending(data_dir, count, due_in=due_in, more=more)
    url = environ(data_dir, **(more or {})).get("OUTRIDER_DATABASE_URL")
    connection = _connected(data_dir, is_reader=False) if url is None else _connected_to(url)
    connection.execute(
        f"UPDATE deliveries SET attempt_count = 1, state = {DeliveryState.RETRYING.value}"
    )
    connection.close()


async def _add_pending(
    settings: Mapping[str, str], count: int, due_in: timedelta, targets: Sequence[TargetId]
) -> datetime:
    async with open_store(from_environ(settings)) as opened:
        due_at = opened.runtime.now() + due_in
        for first in range(0, count, _AT_ONCE):
            events = [
                _stored(opened.instance, opened.runtime, targets[number % len(targets)])
                for number in range(first, min(first + _AT_ONCE, count))
            ]
            await opened.store.write(
                lambda unit, events=events: unit.events.append(opened.instance, events, due_at)
            )
    return due_at


async def _prepare(settings: Mapping[str, str], endpoint: str, targets: Sequence[TargetId]) -> None:
    async with open_store(from_environ(settings)) as opened:

        def add(unit: Unit) -> None:
            for target in targets:
                unit.targets.add(opened.instance, a_target(target, endpoint=endpoint))
            unit.executions.put(opened.instance, an_execution(TARGET))

        await opened.store.write(add)


async def _add_target(settings: Mapping[str, str], target: TargetId, endpoint: str) -> None:
    async with open_store(from_environ(settings)) as opened:
        added = a_target(target, endpoint=endpoint)
        await opened.store.write(lambda unit: unit.targets.add(opened.instance, added))


def _stored(instance: InstanceId, runtime: Runtime, target: TargetId) -> StoredEvent:
    event = an_event(str(runtime.new_id()))
    planned = plan_deliveries([(DeliveryId(str(runtime.new_id())), target, True)])
    body = render_body(event, instance)
    return StoredEvent(event, body, ExecutionId(f"event/{EVENT_TYPE}"), planned)


def _connected(data_dir: Path, *, is_reader: bool = True) -> Any:
    connection = sqlite3.connect(data_dir / "outrider.db", isolation_level=None)
    connection.execute(f"PRAGMA query_only = {int(is_reader)}")
    return connection


def _connected_to(url: str) -> Any:
    import psycopg  # noqa: PLC0415 - the others do without

    return psycopg.connect(url, autocommit=True)


class DeliveryTable:
    """A view of a store from another process, while others work on it."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        url = (environ or {}).get("OUTRIDER_DATABASE_URL")
        self._connection = _connected(data_dir) if url is None else _connected_to(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def workers(self) -> int:
        """Return how many have begun their lease."""
        return self._number("SELECT count(*) FROM leases")

    def has_open_deliveries(self, until: datetime | None = None) -> bool:
        """Return whether any is due, scheduled (until then) or being attempted."""
        due = "due_at IS NOT NULL"
        if until is not None:
            due = f"due_at <= {int(until.timestamp() * 1e6)}"
        query = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE {})"
        return any(
            self._number(query.format(condition)) for condition in (due, "owner IS NOT NULL")
        )

    def delivered(self) -> int:
        """Return how many were delivered by their first attempt."""
        return self._number("SELECT count(*) FROM deliveries WHERE state = 4 AND attempt_count = 1")

    def finished_at(self) -> list[int]:
        """When each was recorded, in microseconds since 1970, first to last."""
        rows = self._connection.execute(
            "SELECT finished_at FROM deliveries WHERE finished_at IS NOT NULL ORDER BY finished_at"
        )
        return [at for (at,) in rows]

    def _number(self, query: str) -> int:
        return self._connection.execute(query).fetchone()[0]
