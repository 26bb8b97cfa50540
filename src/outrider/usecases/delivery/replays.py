"""Making deliveries again, a bounded part of them in each transaction and in each call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.delivery import delivery_not_found
from outrider.domain.delivery.replay import Replay, ReplayRange, ReplayResult, ReplaySource
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Load, Store, Unit

MAX_FOUND = 10_000
_AT_ONCE = 500
# A call that finds nothing ends, too: then it has scanned 200 000 deliveries.
_SCANS = 400


@dataclass(frozen=True, slots=True)
class ReplayDeliveries:
    """New deliveries of the same events to the same targets.

    A replay is due at once, goes to the target as it is then, and depends on none; but it takes
    the place of a dead delivery that halts its ordering key. What is not finished, or whose target
    is deleted, is skipped.
    """

    store: Store
    runtime: Runtime

    async def named(self, actor: Actor, ids: Collection[DeliveryId]) -> ReplayResult:
        """Replay these. Raise `NotFound` when one of them does not exist: none is made then."""

        def work(unit: Unit) -> ReplayResult:
            sources = unit.replays.named(actor.instance_id, ids)
            if len(sources) < len(set(ids)):
                raise delivery_not_found(*(set(ids) - {source.id for source in sources}))
            made = self._add(unit, actor.instance_id, sources)
            return ReplayResult(made, len(sources) - made)

        return await self.store.write(work, load=Load(actor.instance_id, len(ids)))

    async def found(
        self,
        actor: Actor,
        query: DeliverySearch,
        rest: ReplayRange | None = None,
        limit: int = MAX_FOUND,
    ) -> ReplayResult:
        """Replay what is found, oldest first, at most `limit` of it.

        `rest` is where the call before ended; None: this is the first. `rest` of the result is
        None when all has been scanned. Each part is committed on its own: a call that is cut off
        has made some.
        """
        within = rest or ReplayRange(DeliveryId("0"), DeliveryId(str(self.runtime.new_id())))
        done = ReplayResult(rest=within)
        for _ in range(_SCANS):
            left = limit - done.made - done.skipped
            if done.rest is None or left <= 0:
                break
            done = await self._part(actor.instance_id, query, done, min(_AT_ONCE, left))
        return done

    async def _part(
        self, instance: InstanceId, query: DeliverySearch, done: ReplayResult, limit: int
    ) -> ReplayResult:
        within = done.rest
        if within is None:
            return done
        # Searched beside the writer, and checked again when they are written.
        window = await self.store.read(
            lambda unit: unit.replays.scan(instance, query, within, limit)
        )
        made = 0
        if any(source.is_replayable for source in window.found):
            made = await self.store.write(
                lambda unit: self._add(unit, instance, window.found),
                load=Load(instance, len(window.found)),
            )
        return ReplayResult(
            done.made + made,
            done.skipped + len(window.found) - made,
            None if window.reached is None else replace(within, after=window.reached),
            window.reached_at or done.reached_at,
        )

    def _add(self, unit: Unit, instance: InstanceId, sources: Sequence[ReplaySource]) -> int:
        replays = [
            Replay(DeliveryId(str(self.runtime.new_id())), source.id)
            for source in sources
            if source.is_replayable
        ]
        written = unit.replays.add(instance, replays, self.runtime.now())
        unit.deliveries.resume_keys(instance, written)
        return len(written)
