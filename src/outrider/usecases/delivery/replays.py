"""Making deliveries again, a bounded part of them in each transaction and in each call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.replay import (
    BulkCounts,
    LogEntry,
    LogRange,
    PagedResult,
    Replay,
    SkipReason,
    replay_skip,
)
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.runtime import Runtime
from outrider.usecases.delivery.log_pages import MAX_FOUND, LogPages, ids_of, named, skips_of
from outrider.usecases.ports.store import Load, Store, Unit


@dataclass(frozen=True, slots=True)
class ReplayDeliveries:
    """New deliveries of the same events to the same targets.

    A replay is due immediately, goes to the target as it is then, and depends on none; but it takes
    the place of a dead delivery that halts its ordering key. What is not finished, or whose target
    is deleted, is skipped.
    """

    store: Store
    runtime: Runtime

    async def named(self, actor: Actor, ids: Collection[DeliveryId]) -> PagedResult:
        """Replay these, however often they were replayed before.

        Raise `NotFound` when one of them does not exist: none is made then.
        """

        def work(unit: Unit) -> BulkCounts:
            entries = named(unit, actor.instance_id, ids)
            return self._add(unit, actor.instance_id, entries, include_replayed=True)

        done = await self.store.write(work, load=Load(actor.instance_id, len(ids)))
        return PagedResult(done)

    async def found(
        self,
        actor: Actor,
        query: DeliverySearch,
        rest: LogRange | None = None,
        limit: int = MAX_FOUND,
        *,
        include_replayed: bool = False,
    ) -> PagedResult:
        """Replay what is found, oldest first, at most `limit` of it; see `LogPages`.

        What has a replay that is open or was delivered is skipped, unless `include_replayed`: the
        same call again makes no second copy.
        """
        instance = actor.instance_id

        async def add(found: Sequence[LogEntry]) -> BulkCounts:
            skips = skips_of(
                [replay_skip(entry, include_replayed=include_replayed) for entry in found]
            )
            if skips.total() == len(found):
                return BulkCounts(0, skips)
            return await self.store.write(
                lambda unit: self._add(
                    unit,
                    instance,
                    unit.log_scans.named(instance, ids_of(found)),
                    include_replayed=include_replayed,
                ),
                load=Load(instance, len(found)),
            )

        return await LogPages(self.store, self.runtime).run(instance, query, rest, limit, add)

    def _add(
        self,
        unit: Unit,
        instance: InstanceId,
        entries: Sequence[LogEntry],
        *,
        include_replayed: bool,
    ) -> BulkCounts:
        reasons = [replay_skip(entry, include_replayed=include_replayed) for entry in entries]
        replays = [
            Replay(DeliveryId(str(self.runtime.new_id())), entry.id)
            for entry, reason in zip(entries, reasons, strict=True)
            if reason is None
        ]
        written = unit.replays.add(
            instance, replays, self.runtime.now(), include_replayed=include_replayed
        )
        unit.deliveries.resume_keys(instance, written)
        skips = skips_of(reasons)
        if len(written) < len(replays):
            # Of several that go back to the same one, the first was replayed.
            skips[SkipReason.REPLAYED] += len(replays) - len(written)
        return BulkCounts(len(written), skips)
