"""Turn calls of asynchronous targets into deliveries, stored and retried like an event's."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from outrider.domain.delivery.delivery import plan_deliveries
from outrider.domain.events.event import Event
from outrider.domain.hops import check_hops
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.errors import Unavailable
from outrider.runtime import Runtime
from outrider.usecases.failure_log import explained
from outrider.usecases.ports.deliveries import StoredEvent
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Load, Store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOPS: ContextVar[int] = ContextVar("outrider_hops", default=0)


def continue_hops(hops: int) -> None:
    """From now on deliveries that this task makes have come through so many outriders before.

    Raise `FailedPrecondition` when that is too many (`check_hops`).
    """
    check_hops(hops)
    _HOPS.set(hops)


@dataclass(slots=True)
class DeliveryEnqueuer:
    """Writes deliveries in the background. Its owner calls `aclose` before it closes the store."""

    store: Store
    runtime: Runtime
    log: Log
    _writing: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    def enqueue(
        self,
        instance: InstanceId,
        execution: ExecutionId,
        lookup_id: ExecutionId,
        target: TargetId,
        body: bytes,
        *,
        trace: str = "",
    ) -> None:
        """Create a delivery of `body` to one target; return at once.

        In the delivery log its event type is the lookup id, such as
        `request/package.Service/Method`. When the store fails, the delivery is lost and the log has
        a line.
        """
        now = self.runtime.now()
        event = Event(
            id=EventId(str(self.runtime.new_id())),
            event_type=lookup_id,
            created_at_ns=(now - _EPOCH) // timedelta(microseconds=1) * 1000,
            hops=_HOPS.get(),
        )
        plan = plan_deliveries([(DeliveryId(str(self.runtime.new_id())), target, False)])
        stored = StoredEvent(event, body, execution, plan, trace)
        task = asyncio.create_task(self._write(instance, stored))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def aclose(self) -> None:
        """Wait until every delivery is on disk."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _write(self, instance: InstanceId, stored: StoredEvent) -> None:
        now = self.runtime.now()
        try:
            await self.store.write(
                lambda unit: unit.events.append(instance, [stored], now),
                shared=True,
                load=Load(instance, 2),
            )
        except Unavailable as failure:
            reason = explained(failure)
            self.log.error("interception.enqueue_failed", execution=stored.execution, reason=reason)  # noqa: TRY400 - no bug
        except Exception:
            self.log.exception("interception.enqueue_failed", execution=stored.execution)
