"""Fill the store before the worst calls come, and make the calls that need it.

One instance has thousands of targets, all of them paused, so that nothing but the calls themselves
is work; deliveries to replay and to cancel; and targets with a backlog, to be deleted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from benchmarks import stores
from benchmarks.options import Options
from benchmarks.stall_calls import JSON, StallCall
from outrider.bootstrap.app_context import AppContext, open_store
from outrider.config.loading import from_environ
from outrider.domain.delivery.delivery import MAX_DELIVERIES, MAX_TARGETS, plan_deliveries
from outrider.domain.events.event import render_body
from outrider.domain.ids import DeliveryId, ExecutionId, InstanceId, TargetId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.store import Unit
from support.builders import a_target, an_execution

_FIRST = 1001
_EVENTS = 1000
_AT_ONCE = 2000
_TARGET_SERVICE = "/zitadel.action.v2.ActionService"
_DELIVERY_SERVICE = "/outrider.v1.DeliveryService"


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of everything: `backlog` is of each of `deleted` targets that calls delete."""

    targets: int
    backlog: int
    deleted: int
    cancelled: int
    finished: int

    @classmethod
    def of(cls, options: Options) -> Sizes:
        """The worst, or a little of it."""
        if options.is_quick:
            return cls(targets=100, backlog=600, deleted=2, cancelled=2, finished=600)
        return cls(MAX_TARGETS, backlog=20_000, deleted=5, cancelled=60, finished=20_000)


@dataclass(frozen=True, slots=True)
class State:
    """The names that the calls use."""

    targets: Sequence[TargetId]
    to_delete: Sequence[TargetId]
    to_cancel: Sequence[DeliveryId]
    replayed: TargetId


def prepare(data_dir: Path, options: Options) -> State:
    """A data directory for the benchmark."""
    data_dir.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_prepare(from_environ(stores.environ(data_dir)), Sizes.of(options)))


def state_calls(state: State) -> Iterator[StallCall]:
    """Calls at the limits of deliveries, targets and backlogs. Some end when all are used up."""
    publish = "/outrider.v1.EventService/PublishEvents"
    every = len(state.targets)
    few = max(1, MAX_DELIVERIES // _EVENTS)
    yield _call(f"publish, 1 event to {every} targets", publish, lambda: _events(1, "many"))
    yield _call(f"publish, {_EVENTS} events to {few} targets", publish, lambda: _few(_EVENTS))
    yield _call(
        "publish, more than one call may make",
        publish,
        lambda: _events(_EVENTS, "many"),
        is_refused=True,
    )
    condition = {"event": {"event": "stall.set"}}
    lists = _alternating(state.targets)
    yield _call(
        f"SetExecution, {every} targets",
        f"{_TARGET_SERVICE}/SetExecution",
        lambda: _json({"condition": condition, "targets": next(lists)}),
    )
    yield _call("AddEntries, 1000 of 3.5 KB", "/v1/catalogue", _entries)
    yield _call(
        "replay, 10 000 by filters",
        f"{_DELIVERY_SERVICE}/ReplayDeliveries",
        lambda: _json({"targetId": state.replayed, "states": ["DELIVERY_STATE_DELIVERED"]}),
    )
    yield _call("stats, all", f"{_DELIVERY_SERVICE}/GetDeliveryStats", lambda: b"{}")
    yield _call(
        "stats of a type",
        f"{_DELIVERY_SERVICE}/GetDeliveryStats",
        lambda: b'{"eventType":"none.such"}',
    )
    yield _call(
        "deliveries of a type that has none",
        f"{_DELIVERY_SERVICE}/ListDeliveries",
        lambda: b'{"eventType":"none.such","pageSize":1000}',
    )
    cancelled = iter(state.to_cancel)
    yield _call(
        f"cancel, {every - 1} dependents",
        f"{_DELIVERY_SERVICE}/CancelDelivery",
        lambda: _json({"id": next(cancelled)}),
    )
    deleted = iter(state.to_delete)
    yield _call(
        "DeleteTarget with a backlog",
        f"{_TARGET_SERVICE}/DeleteTarget",
        lambda: _json({"id": next(deleted)}),
    )


def _call(
    name: str, path: str, body: Callable[[], bytes], *, is_refused: bool = False
) -> StallCall:
    return StallCall(name, "POST", path, JSON, body, is_refused=is_refused)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _events(count: int, execution: str) -> bytes:
    return _json(
        {"events": [{"eventType": f"stall.{execution}", "eventPayload": {"a": 1}}] * count}
    )


def _few(count: int) -> bytes:
    payload = {"value": "x" * 3800}
    return _json({"events": [{"eventType": "stall.few", "eventPayload": payload}] * count})


def _entries() -> bytes:
    example = {"value": "x" * 3500}
    entries = [
        {"kind": "CATALOGUE_KIND_EVENT_TYPE", "name": f"stall.e{number}", "example": example}
        for number in range(1000)
    ]
    return _json({"entries": entries})


def _alternating(targets: Sequence[TargetId]) -> Iterator[Sequence[TargetId]]:
    """Another list each time: the same one changes nothing."""
    while True:
        yield targets
        yield list(reversed(targets))


async def _prepare(settings: object, sizes: Sizes) -> State:
    async with open_store(settings) as opened:
        targets = _ids(_FIRST, sizes.targets)
        to_delete = _ids(_FIRST + sizes.targets, sizes.deleted)
        replayed = TargetId(str(_FIRST + sizes.targets + sizes.deleted))
        await _add_targets(opened, [*targets, *to_delete, replayed])
        await _add_executions(opened, targets)
        for target in to_delete:
            await _add_backlog(opened, target, sizes.backlog)
        await _add_backlog(opened, replayed, sizes.finished)
        to_cancel = [await _add_dependents(opened, targets) for _ in range(sizes.cancelled)]
    _finish(settings.data_dir, replayed)
    return State(targets, to_delete, to_cancel, replayed)


def _ids(first: int, count: int) -> list[TargetId]:
    return [TargetId(str(first + number)) for number in range(count)]


async def _add_targets(opened: AppContext, targets: Sequence[TargetId]) -> None:
    def add(unit: Unit) -> None:
        for target in targets:
            unit.targets.add(opened.instance, a_target(target, endpoint="http://127.0.0.1:9/"))
            unit.policies.pause(opened.instance, target, opened.runtime.now())

    await opened.store.write(add)


async def _add_executions(opened: AppContext, targets: Sequence[TargetId]) -> None:
    few = max(1, MAX_DELIVERIES // _EVENTS)
    lists = {"many": targets, "few": targets[:few], "set": targets[:1]}

    def add(unit: Unit) -> None:
        for name, members in lists.items():
            event_type = f"stall.{name}"
            unit.catalogue.put(opened.instance, [Entry(kind=EntryKind.EVENT_TYPE, name=event_type)])
            condition = Condition(ConditionKind.EVENT, Scope.EVENT, event_type)
            unit.executions.put(opened.instance, an_execution(*members, condition=condition))

    await opened.store.write(add)


async def _add_backlog(opened: AppContext, target: TargetId, count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        events = [
            _stored(opened, [(target, True)]) for _ in range(first, min(first + _AT_ONCE, count))
        ]
        await _append(opened, events)


async def _add_dependents(opened: AppContext, targets: Sequence[TargetId]) -> DeliveryId:
    """An event whose first delivery all the others wait for."""
    event = _stored(opened, [(targets[0], True), *((target, False) for target in targets[1:])])
    await _append(opened, [event])
    return event.deliveries[0].id


async def _append(opened: AppContext, events: Sequence[StoredEvent]) -> None:
    now = opened.runtime.now() - timedelta(minutes=1)
    await opened.store.write(lambda unit: unit.events.append(opened.instance, events, now))


def _stored(opened: AppContext, targets: Sequence[tuple[TargetId, bool]]) -> StoredEvent:
    instance: InstanceId = opened.instance
    event = replace(stores.an_event(str(opened.runtime.new_id())), event_type="stall.before")
    plan = plan_deliveries(
        [
            (DeliveryId(str(opened.runtime.new_id())), target, is_awaited)
            for target, is_awaited in targets
        ]
    )
    return StoredEvent(event, render_body(event, instance), ExecutionId("event"), plan)


def _finish(data_dir: Path, target: TargetId) -> None:
    connection = stores._connected(data_dir, is_reader=False)  # noqa: SLF001 - the same package
    connection.execute(
        "UPDATE deliveries SET state = 4, finished_at = created_at, due_at = NULL,"
        " queued_due_at = NULL WHERE target_id = ?",
        (target,),
    )
    connection.close()
