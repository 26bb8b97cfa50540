"""Policies of releases that had no target queues: they hold after the upgrade without being set again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.store.delivery.ordering import happens
from contracts.store.steps import add_pending, add_targets, claimed_ids, settle
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import from_time
from outrider.adapters.sql.schema.migrations import all_migrations, migrate
from outrider.adapters.sql.stores.sqlite import connect, open_sqlite
from outrider.adapters.sql.targets.policy_columns import plain_json, secret_json
from outrider.domain.delivery.target_queue import TargetQueue, with_policy
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import Breaker, OnDead, Ordering, TargetPolicy
from support.builders import INSTANCE, a_settlement, planned
from support.runtime import NOW

SEALING = Sealing(bytes(32))
BEFORE_TARGET_QUEUES = 8
WITH_TARGET_QUEUES = 11
TARGET_QUEUE = (INSTANCE, TargetId("101"))
ONE_AT_A_TIME = TargetPolicy(max_concurrency=1)
IN_ORDER = TargetPolicy(ordering=Ordering.BY_AGGREGATE)
LIMITS = (
    ONE_AT_A_TIME,
    TargetPolicy(rate_per_second=0.5),
    TargetPolicy(rate_per_second=20),
    IN_ORDER,
    TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT),
    TargetPolicy(breaker=Breaker(5, timedelta(seconds=7))),
    TargetPolicy(max_concurrency=3, rate_per_second=2, breaker=Breaker(1, timedelta(seconds=1))),
)
NO_LIMITS = TargetPolicy(headers=(("x", "y"),), on_dead=OnDead.HALT, ordering=Ordering.UNORDERED)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outrider.db"


def make(path, version):
    """The schema of an earlier release."""
    with closing(connect(path)) as connection:
        connection.execute(
            "CREATE TABLE schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in all_migrations()[:version]:
            connection.executescript(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, 0)", (step.version, step.name)
            )


def write(path, sql, *parameters):
    with closing(connect(path)) as connection:
        connection.execute(sql, parameters)


def store_policy(path, policy):
    """A policy of target 101, as that release wrote it."""
    sealed = SEALING.seal(secret_json(policy), belongs_to=f"policy of target {INSTANCE}/101")
    write(
        path,
        "INSERT INTO target_policies VALUES (?, '101', ?, ?, ?)",
        INSTANCE,
        plain_json(policy),
        sealed,
        from_time(NOW),
    )


def pause(path):
    write(path, "INSERT INTO paused_targets VALUES (?, '101', ?)", INSTANCE, from_time(NOW))


def target_queue_of(path):
    """The target queue of target 101 after the upgrade."""
    with closing(connect(path)) as connection:
        migrate(connection, NOW)
        return SqlTargetQueues(connection).get(TARGET_QUEUE)


@pytest.mark.parametrize("policy", LIMITS, ids=repr)
@pytest.mark.parametrize("is_paused", [False, True])
def test_the_target_queue_is_as_if_the_policy_had_been_set_with_this_release(
    path, policy, is_paused
):
    """
    No operator reads in release notes that limits must be set again.
    """
    make(path, BEFORE_TARGET_QUEUES)
    store_policy(path, policy)
    if is_paused:
        pause(path)
    expected = with_policy(TargetQueue(is_paused=is_paused), policy, NOW)
    found = target_queue_of(path)

    assert expected.is_paused == found.is_paused
    assert policy == TargetPolicy(
        max_concurrency=found.max_concurrency,
        rate_per_second=found.rate_per_second,
        breaker=found.breaker,
        ordering=policy.ordering if found.is_ordered else Ordering.UNSPECIFIED,
        on_dead=OnDead.HALT if found.halts_on_dead else OnDead.UNSPECIFIED,
    )
    assert expected.state == found.state
    if policy.rate_per_second:
        assert (expected.tokens, expected.tokens_at) == (found.tokens, found.tokens_at)


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_policy_without_limits_makes_no_target_queue(path, is_paused):
    """
    A target queue for each of a hundred thousand targets would cost every claim.
    """
    make(path, BEFORE_TARGET_QUEUES)
    store_policy(path, NO_LIMITS)
    if is_paused:
        pause(path)

    found = target_queue_of(path)

    assert is_paused == (found is not None)
    assert found is None or (found.is_paused and not replace(found, is_paused=False).is_limited)


def test_a_target_queue_of_a_later_release_keeps_its_state(path):
    """
    A breaker that is open stays open, and a bucket that is empty is not filled.
    """
    policy = TargetPolicy(rate_per_second=2, breaker=Breaker(3, timedelta(seconds=9)))
    make(path, WITH_TARGET_QUEUES)
    store_policy(path, policy)
    write(
        path,
        "INSERT INTO lanes VALUES (?, '101', 0, 0, 2, 0, 0, 3, 9000000, 3, 77, 0.25, 66, 4, 55, 44,"
        " NULL, 0)",
        INSTANCE,
    )
    with closing(connect(path)) as connection:
        expected = connection.execute("SELECT * FROM lanes").fetchall()
        migrate(connection, NOW)

        assert expected == connection.execute("SELECT * FROM target_queues").fetchall()


async def test_what_waited_before_the_upgrade_obeys_the_limit(path):
    """
    One call at a time, as the operator had asked for.
    """
    make(path, BEFORE_TARGET_QUEUES)
    store_policy(path, ONE_AT_A_TIME)
    write(
        path,
        "INSERT INTO events (number, instance_id, id, type, body, created_at)"
        " VALUES (1, ?, 'e', 'a.happened', '{}', ?)",
        INSTANCE,
        from_time(NOW),
    )
    for number in (1, 2, 3):
        write(
            path,
            "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"
            " due_at) VALUES (?, ?, 1, '101', 1, ?, ?)",
            number,
            INSTANCE,
            from_time(NOW),
            from_time(NOW),
        )
    async with open_sqlite(path, SEALING, now=NOW) as store:
        await add_targets(store)
        claims = [await claimed_ids(store) for _ in range(3)]
        await settle(store, a_settlement("1"))
        claims.append(await claimed_ids(store))

    assert 1 == sum(map(len, claims[:3]))
    assert ["2"] == claims[3]


async def test_events_after_the_upgrade_are_in_order(path):
    """
    The second event of an aggregate waits for the first, and other aggregates for none.
    """
    make(path, BEFORE_TARGET_QUEUES)
    store_policy(path, IN_ORDER)
    async with open_sqlite(path, SEALING, now=NOW) as store:
        await add_targets(store)
        await add_pending(store, planned("9", "102"), event="another")
        for number, aggregate in (("1", "a"), ("2", "a"), ("3", "b")):
            await happens(store, number, aggregate)
        first = await claimed_ids(store) + await claimed_ids(store)
        await settle(store, a_settlement("1"))
        then = await claimed_ids(store)

    assert ["1", "3", "9"] == sorted(first)
    assert ["2"] == then
