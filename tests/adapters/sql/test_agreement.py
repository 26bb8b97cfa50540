"""Every store does what the memory store does, whatever is asked of both in whatever order."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from itertools import chain
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.memory.store import MemoryStore
from outrider.domain.delivery.delivery import DeliveryState, Dependents, Settlement, plan_deliveries
from outrider.domain.delivery.replay import Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import ROLLUP_LAG, StatsSearch
from outrider.domain.ids import DeliveryId, TargetId
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import (
    DEFAULT_POLICY,
    Breaker,
    OnDead,
    Ordering,
    TargetPolicy,
)
from support.builders import INSTANCE, a_stored_event, a_target, an_attempt, an_event
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

TARGETS = [str(number) for number in range(101, 105)]
OWNERS = st.sampled_from(["worker-1", "worker-1", "worker-1", "worker-2"])
INDEXES = st.integers(0, 11)

POLICIES = [
    DEFAULT_POLICY,
    TargetPolicy(max_concurrency=1),
    TargetPolicy(rate_per_second=1.0),
    TargetPolicy(breaker=Breaker(2, timedelta(seconds=2))),
    TargetPolicy(ordering=Ordering.BY_AGGREGATE),
    TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT),
]

# What an attempt can lead to: state, and what becomes of those behind.
ENDINGS = st.sampled_from(
    [
        (DeliveryState.DELIVERED, Dependents.RELEASE),
        (DeliveryState.RETRYING, Dependents.RELEASE),
        (DeliveryState.RETRYING, Dependents.WAIT),
        (DeliveryState.DEAD, Dependents.RELEASE),
        (DeliveryState.DEAD, Dependents.CANCEL),
        (DeliveryState.CANCELLED, Dependents.RELEASE),
    ]
)
PUBLISH = st.tuples(
    st.just("publish"),
    st.permutations(TARGETS),
    # Mostly awaited: chains of dependents are what can go wrong.
    st.lists(st.sampled_from([True, True, True, False]), min_size=1, max_size=4),
)
CLAIM = st.tuples(st.just("claim"), OWNERS, st.integers(1, 4))
SETTLE = st.tuples(
    st.just("settle"), OWNERS, INDEXES, ENDINGS, st.sampled_from([0, 0, 0, 0, 1, 2, None])
)
RARE = st.one_of(
    st.tuples(st.just("release"), OWNERS, INDEXES),
    st.tuples(st.just("delete"), st.sampled_from(TARGETS)),
    st.tuples(st.just("pause"), st.sampled_from(TARGETS)),
    st.tuples(st.just("resume"), st.sampled_from(TARGETS)),
    st.tuples(st.just("renew"), OWNERS, st.integers(-3, 3)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("cancel"), OWNERS, INDEXES),
    st.tuples(st.just("cancel"), OWNERS, INDEXES),
    st.tuples(st.just("replay"), OWNERS, INDEXES, st.booleans()),
    st.tuples(st.just("replay"), OWNERS, INDEXES, st.booleans()),
    st.tuples(st.just("retry"), OWNERS, INDEXES),
    st.tuples(st.just("delete expired"), st.sampled_from([4, 5, 6]), st.integers(1, 3)),
    st.tuples(st.just("roll_up"), st.integers(1, 3)),
    st.tuples(st.just("roll_up"), st.integers(1, 3)),
    # Target queues: limits, order and breakers come and go.
    st.tuples(st.just("policy"), st.sampled_from(TARGETS), st.sampled_from(range(6))),
    st.tuples(st.just("policy"), st.sampled_from(TARGETS), st.sampled_from(range(6))),
)
ROUNDS = st.lists(
    st.tuples(PUBLISH, CLAIM, SETTLE, st.lists(RARE, max_size=2), CLAIM, SETTLE, SETTLE).map(
        lambda drawn: [*drawn[:3], *drawn[3], *drawn[4:]]
    ),
    min_size=1,
    max_size=6,
)

# Too rare to be drawn: the rollup has passed a delivery when an older one ends in the same moment.
DEAD_BEHIND_THE_ROLLUP = [
    [
        ("publish", TARGETS, [False, False]),
        ("claim", "worker-1", 2),
        ("settle", "worker-1", 2, (DeliveryState.DEAD, Dependents.RELEASE), 0),
        ("roll_up", 1),
        ("settle", "worker-1", 1, (DeliveryState.DEAD, Dependents.RELEASE), 0),
    ]
]


class Script:
    """Turns drawn steps into units of work, the same for both stores."""

    def __init__(self) -> None:
        self.now = NOW
        self.published = 0
        self.ids: list[DeliveryId] = []
        self.claimed: dict[str, list[DeliveryId]] = {}

    def note(self, step, result):
        """Remember which worker claimed what, so that many settlements are about claims."""
        if step[0] == "claim":
            self.claimed.setdefault(step[1], []).extend(delivery.id for delivery in result)

    def unit(self, step):
        kind, *drawn = step
        if kind == "wait":
            self.now += timedelta(seconds=drawn[0])
            return lambda unit: unit.deliveries.next_due()
        return getattr(self, f"_{kind.replace(' ', '_')}")(*drawn)

    def _publish(self, targets, awaited):
        self.published += 1
        first = len(self.ids) + 1
        ids = [DeliveryId(str(number)) for number in range(first, first + len(awaited))]
        self.ids += ids
        plan = plan_deliveries(list(zip(ids, map(TargetId, targets), awaited, strict=False)))
        event = a_stored_event(*plan, event=self._event())
        return lambda unit, now=self.now: unit.events.append(INSTANCE, [event], now)

    def _event(self):
        """Of one of two aggregates, so that deliveries wait where a policy asks for order."""
        return an_event(f"event-{self.published}", aggregate_id=str(self.published % 2 + 1))

    def _claim(self, owner, limit):
        return lambda unit, now=self.now: list(unit.deliveries.claim(owner, now, limit))

    def _settle(self, owner, index, ending, number):
        """An attempt of that number, of the right one for 0, or none at all."""
        now, delivery, (state, dependents) = self.now, self._id(owner, index), ending
        due_at = now + timedelta(seconds=2) if state is DeliveryState.RETRYING else None

        def work(unit):
            log = unit.deliveries.get(INSTANCE, delivery)
            tried = log.attempt_count if log else 0
            attempt = None if number is None else an_attempt(number or tried + 1, Outcome.FAILED)
            settlement = Settlement(delivery, state, attempt, due_at, dependents)
            return unit.deliveries.settle(owner, [settlement], now)

        return work

    def _release(self, owner, index):
        released = [self._id(owner, index)]
        return lambda unit, now=self.now: unit.deliveries.release_claims(owner, released, now)

    def _delete(self, target):
        def work(unit, now=self.now):
            if unit.targets.get(INSTANCE, TargetId(target)) is not None:
                unit.targets.delete(INSTANCE, TargetId(target), now)

        return work

    def _pause(self, target):
        return lambda unit, now=self.now: unit.policies.pause(INSTANCE, TargetId(target), now)

    def _resume(self, target):
        return lambda unit: unit.policies.resume(INSTANCE, TargetId(target))

    def _policy(self, target, number):
        policy, now = POLICIES[number], self.now
        return lambda unit: unit.policies.put(INSTANCE, TargetId(target), policy, now)

    def _cancel(self, owner, index):
        stopped = self._id(owner, index)
        return lambda unit, now=self.now: unit.cancellations.cancel(INSTANCE, stopped, now)

    def _retry(self, owner, index):
        numbers = [self._id(owner, index)]
        return lambda unit, now=self.now: list(unit.deliveries.make_due(INSTANCE, numbers, now))

    def _replay(self, owner, index, include):
        """Of one that may be open: then the number stays unused."""
        again, of = DeliveryId(str(len(self.ids) + 1)), self._id(owner, index)
        self.ids.append(again)

        def work(unit, now=self.now):
            written = unit.replays.add(INSTANCE, [Replay(again, of)], now, include_replayed=include)
            return written, unit.deliveries.resume_keys(INSTANCE, written)

        return work

    def _delete_expired(self, state, limit):
        before = self.now + timedelta(seconds=1)
        return lambda unit: unit.retention.delete_expired_deliveries(
            DeliveryState(state), before, limit
        )

    def _roll_up(self, limit):
        def work(unit, later=self.now + ROLLUP_LAG):
            unit.delivery_counts.roll_up(later, limit)

        return work

    def _renew(self, owner, seconds):
        until = self.now + timedelta(seconds=seconds, microseconds=1)
        return lambda unit: unit.leases.renew(owner, until)

    def _id(self, owner, index):
        """Mostly something that the owner once claimed, sometimes anything."""
        ids = self.claimed.get(owner) if index % 4 else self.ids
        return ids[-1 - index % len(ids)] if ids else DeliveryId("1")


def numbers(stats):
    """What is counted. A retry without an attempt, which nothing makes, may count as pending."""

    def merged(counts):
        waiting = (DeliveryState.PENDING, DeliveryState.RETRYING)
        rest = {state: count for state, count in counts.items() if state not in waiting}
        return rest, sum(counts.get(state, 0) for state in waiting)

    targets = [
        (
            target.target_id,
            target.name,
            merged(target.counts),
            target.oldest_open_at,
            target.suspension,
        )
        for target in stats.targets
    ]
    return merged(stats.counts), stats.oldest_open_at, targets, [*stats.suspended]


def what_shows(now):
    """All that the port shows of deliveries."""

    def work(unit):
        rows = unit.deliveries.search(INSTANCE, DeliverySearch(limit=1000))
        orphans = sorted(unit.leases.orphans(now, 1000), key=lambda orphan: int(orphan.claimed.id))
        return (
            [unit.deliveries.get(INSTANCE, row.id) for row in rows],
            orphans,
            unit.deliveries.next_due(),
            unit.routing_revision(),
            list(unit.log_scans.named(INSTANCE, [row.id for row in rows])),
            numbers(unit.delivery_counts.get(INSTANCE, StatsSearch(), now)),
        )

    return work


def add_targets(unit):
    for target in TARGETS:
        unit.targets.add(INSTANCE, a_target(target))


@settings(max_examples=120)
@example(DEAD_BEHIND_THE_ROLLUP)
@given(ROUNDS)
async def test_both_stores_tell_the_same_story(rounds):
    """
    The fake is trusted everywhere else: here it is the reference, and neither may differ.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "outrider.db"
        async with empty_sqlite(path) as sqlite:
            await compare(MemoryStore(), sqlite, rounds)


@settings(max_examples=15)
@example(rounds=DEAD_BEHIND_THE_ROLLUP)
@given(rounds=ROUNDS)
async def test_postgresql_tells_what_sqlite_tells(shared_postgres, rounds):
    """
    Its statements are the same, and its rows come in no other order.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "outrider.db"
        async with empty_sqlite(path) as sqlite:
            await compare(sqlite, shared_postgres.emptied(), rounds)


async def compare(reference, store, rounds):
    """Take the same steps with both, and compare all that they answer."""
    script = Script()
    await reference.write(add_targets)
    await store.write(add_targets)
    for step in chain.from_iterable(rounds):
        unit = script.unit(step)
        expected, actual = await reference.write(unit), await store.write(unit)
        assert expected == actual, step
        script.note(step, expected)
    shows = what_shows(script.now)
    expected = await reference.read(shows)

    assert expected == await store.read(shows)
