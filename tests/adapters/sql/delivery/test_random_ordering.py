"""Whatever fails, in whatever order workers come: events of an aggregate arrive in their order."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.store.delivery.ordering import HALTS, SKIPS, happens
from contracts.store.delivery.target_queues import set_policy
from contracts.store.steps import add_targets, log_of, release_claims
from fakes.memory.store import MemoryStore
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import OnDead
from support.builders import a_settlement, an_attempt
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

STEP = timedelta(seconds=1)
# Of the attempts of one delivery: what comes of them, until one is final.
FATES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.lists(st.sampled_from(["retry", "release"]), max_size=3),
        st.sampled_from([DeliveryState.DELIVERED] * 3 + [DeliveryState.DEAD]),
    ),
    min_size=1,
    max_size=12,
)


class Receiver:
    """Takes what workers claim, and sees to it that no promise about order is broken."""

    def __init__(self, store, fates):
        self.store = store
        self.fates = {str(number): fate for number, fate in enumerate(fates, 1)}
        self.troubles = {number: list(fate[1]) for number, fate in self.fates.items()}
        self.finished = defaultdict(list)
        self.attempts = Counter()

    async def publish(self):
        for number, (aggregate, _, _) in self.fates.items():
            await happens(self.store, number, aggregate)

    async def take(self, limit, now):
        """One claim, by a worker that ends all that it got before the next one."""
        claimed = await self.store.write(
            lambda unit: list(unit.deliveries.claim("worker-1", now, limit))
        )
        numbers = [delivery.id for delivery in claimed]
        aggregates = [self.fates[number][0] for number in numbers]
        assert len(set(aggregates)) == len(aggregates), "two of one aggregate at a time"
        for number in numbers:
            await self._end(number, now)
        return numbers

    async def _end(self, number, now):
        aggregate, _, state = self.fates[number]
        due_at = None
        if self.troubles[number]:
            if self.troubles[number].pop() == "release":
                await release_claims(self.store, number, now=now)
                return
            state, due_at = DeliveryState.RETRYING, now + STEP
        else:
            self.finished[aggregate].append(number)
        self.attempts[number] += 1
        is_delivered = state is DeliveryState.DELIVERED
        outcome = Outcome.ACCEPTED if is_delivered else Outcome.FAILED
        attempt = an_attempt(self.attempts[number], outcome)
        settlement = a_settlement(number, state, attempt=attempt, due_at=due_at)
        await self.store.write(lambda unit: unit.deliveries.settle("worker-1", [settlement], now))

    def expected(self, on_dead):
        """What is finished of each aggregate in the end: all, or all up to the first dead one."""
        finished = defaultdict(list)
        stopped = set()
        for number, (aggregate, _, final) in self.fates.items():
            if aggregate in stopped:
                continue
            finished[aggregate].append(number)
            if final is DeliveryState.DEAD and on_dead is OnDead.HALT:
                stopped.add(aggregate)
        return finished


@pytest.mark.parametrize("policy", [SKIPS, HALTS], ids=["skip", "halt"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=25)
@given(fates=FATES, limits=st.lists(st.integers(1, 5), min_size=1, max_size=4))
async def test_an_aggregate_arrives_in_order_whatever_fails(kind, policy, fates, limits):
    """A user who is deleted before he was added is one that a receiver keeps for ever."""
    async with a_store(kind) as store:
        receiver = await deliver(store, policy, fates, limits)
        expected = receiver.expected(policy.on_dead)
        finished = set(chain.from_iterable(expected.values()))

        assert expected == receiver.finished
        for number in receiver.fates.keys() - finished:
            log = await log_of(store, number)
            assert (DeliveryState.PENDING, 0) == (log.state, log.attempt_count)


@asynccontextmanager
async def a_store(kind):
    """An empty one, by the name of its kind."""
    if kind == "memory":
        yield MemoryStore()
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "outrider.db"
        async with empty_sqlite(path) as store:
            yield store


async def deliver(store, policy, fates, limits):
    """Claim and end until nothing comes any more, the clock a second later each time."""
    await add_targets(store)
    await set_policy(store, policy)
    receiver = Receiver(store, fates)
    await receiver.publish()
    idle = 0
    # Each round ends an attempt, or it is one of those that wait for a retry.
    for number in range(12 * 5 * 2):
        taken = await receiver.take(limits[number % len(limits)], NOW + number * STEP)
        idle = 0 if taken else idle + 1
        if idle > 3:
            break
    return receiver
