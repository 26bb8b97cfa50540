"""Several nodes on one PostgreSQL: what a node may rely on, whatever the others do."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from contracts.store.steps import add_targets, states
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import DEFAULT_POLICY
from outrider.errors import AlreadyExists, Unavailable
from outrider.usecases.delivery.known_events import EventWriter
from support.builders import (
    DIGEST,
    INSTANCE,
    a_settlement,
    a_stored_event,
    a_target,
    an_event,
    planned,
)
from support.postgres import postgres_server
from support.postgres_databases import SEALING
from support.runtime import NOW

WORKERS = ("worker-1", "worker-2", "worker-3")


@pytest.fixture
async def nodes(postgres_url):
    """Three nodes of one database, opened at the same time."""
    async with AsyncExitStack() as stack:
        yield await asyncio.gather(
            *(
                stack.enter_async_context(open_postgres(postgres_url, SEALING, now=NOW))
                for _ in WORKERS
            )
        )


def publish(*ids):
    """A unit that publishes events, with one delivery of the same number to target 101."""
    events = [a_stored_event(planned(str(id_)), event=an_event(f"event-{id_}")) for id_ in ids]
    return lambda unit: unit.events.append(INSTANCE, events, NOW)


async def test_of_two_contents_under_one_id_one_is_stored_whichever_node_is_asked(nodes):
    """
    The node that comes second waits for the first, and compares.
    """

    async def store_content(number):
        event = an_event("contested", payload_json=f'{{"a":{number % 2}}}')
        stored = [a_stored_event(event=an_event(f"own {number}")), a_stored_event(event=event)]
        return await nodes[number % 3].write(
            lambda unit: EventWriter(unit, INSTANCE, NOW, DIGEST).write(stored), shared=True
        )

    for _ in range(5):
        outcomes = await asyncio.gather(*map(store_content, range(30)), return_exceptions=True)
        refused = [isinstance(outcome, AlreadyExists) for outcome in outcomes]
        assert refused in ([False, True] * 15, [True, False] * 15)
    known = await nodes[0].read(
        lambda unit: unit.events.known(INSTANCE, [f"own {number}" for number in range(30)])
    )
    stored = [f"own {number}" for number in range(30) if not refused[number]]
    assert stored == list(known)


async def drain(node, owner, limit):
    """Claim and settle until nothing is due; return what was delivered, in order."""
    delivered = []
    while True:
        claimed = await node.write(
            lambda unit: unit.deliveries.claim(owner, NOW, limit), shared=True
        )
        if not claimed:
            return delivered
        settlements = [a_settlement(delivery.id) for delivery in claimed]
        await node.write(
            lambda unit, all_=settlements: unit.deliveries.settle(owner, all_, NOW), shared=True
        )
        delivered += [delivery.id for delivery in claimed]


async def test_nodes_that_claim_concurrently_share_and_none_gets_what_another_has(nodes):
    """
    Batches by SKIP LOCKED: none waits for another, and every delivery is made once.
    """
    await add_targets(nodes[0])
    for first in range(1, 401, 100):
        await nodes[first % 3].write(publish(*range(first, first + 100)), shared=True)
    batches = await asyncio.gather(
        *(drain(node, owner, 7) for node, owner in zip(nodes, WORKERS, strict=True))
    )
    rest = await drain(nodes[0], "worker-4", 100)

    assert list(range(1, 401)) == sorted(
        int(delivery_id) for batch in (*batches, rest) for delivery_id in batch
    )
    assert {"DELIVERED"} == set((await states(nodes[0])).values())


async def test_the_concurrency_of_a_target_holds_over_all_nodes(nodes):
    """
    A receiver that can take two calls does not care how many machines we have.
    """
    policy = replace(DEFAULT_POLICY, max_concurrency=2)
    await add_targets(nodes[0])
    await nodes[0].write(lambda unit: unit.policies.put(INSTANCE, TargetId("101"), policy, NOW))
    await nodes[0].write(publish(*range(1, 41)), shared=True)
    claims = await asyncio.gather(
        *(
            node.write(lambda unit, o=owner: unit.deliveries.claim(o, NOW, 10), shared=True)
            for _ in range(5)
            for node, owner in zip(nodes, WORKERS, strict=True)
        )
    )

    assert 2 == sum(map(len, claims))


@pytest.mark.parametrize("has_target_queues", [False, True])
async def test_of_two_nodes_that_find_the_same_orphans_one_secures_them(nodes, has_target_queues):
    """
    The one that has them may say that it recorded them: the other waits, and gets the rest.
    """
    policy = replace(DEFAULT_POLICY, max_concurrency=9)
    await add_targets(nodes[0])
    if has_target_queues:
        await nodes[0].write(lambda unit: unit.policies.put(INSTANCE, TargetId("101"), policy, NOW))
    await nodes[0].write(publish(1, 2, 3), shared=True)
    await nodes[0].write(lambda unit: unit.deliveries.claim("dead", NOW, 3), shared=True)
    secured, goes_on = threading.Event(), threading.Event()

    def settle_two(unit):
        mine = unit.leases.secure(unit.leases.orphans(NOW, 2))
        secured.set()
        assert goes_on.wait(20)
        settlements = [a_settlement(orphan.claimed.id) for orphan in mine]
        return unit.deliveries.settle("dead", settlements, NOW).count

    def secure_three(unit):
        found = unit.leases.orphans(NOW, 3)
        goes_on.set()
        secured_ids = [orphan.claimed.id for orphan in unit.leases.secure(found)]
        return [orphan.claimed.id for orphan in found], secured_ids

    first = asyncio.create_task(nodes[0].write(settle_two, shared=True))
    await asyncio.to_thread(secured.wait, 20)
    found, mine = await nodes[1].write(secure_three, shared=True)

    assert (2, ["1", "2", "3"], ["3"]) == (await first, found, mine)


async def test_the_same_events_published_on_all_nodes_concurrently_count_once(nodes):
    """
    A publisher tries again elsewhere. Groups in a deadlock are run again.
    """
    await add_targets(nodes[0])
    ids = list(range(1, 31))
    answers = await asyncio.gather(
        nodes[0].write(publish(*ids), shared=True),
        nodes[1].write(
            lambda unit: unit.events.append(
                INSTANCE,
                [
                    a_stored_event(planned(str(1000 - i)), event=an_event(f"event-{i}"))
                    for i in ids[::-1]
                ],
                NOW,
            ),
            shared=True,
        ),
    )

    assert 30 == sum(count or 0 for answer in answers for count in answer)
    assert 30 == len(await states(nodes[2]))


async def test_units_that_do_not_share_happen_one_after_the_other_on_all_nodes(nodes):
    """
    What one of them has read is still so when it writes.
    """
    await add_targets(nodes[0], a_target("101", timeout=timedelta()))

    def lengthen(unit):
        target = unit.targets.get(INSTANCE, TargetId("101"))
        unit.targets.replace(
            INSTANCE, replace(target, timeout=target.timeout + timedelta(seconds=1))
        )

    await asyncio.gather(*(node.write(lengthen) for node in nodes for _ in range(15)))
    target = await nodes[1].read(lambda unit: unit.targets.get(INSTANCE, TargetId("101")))

    assert timedelta(seconds=45) == target.timeout


async def test_a_commit_elsewhere_is_notified(nodes):
    """
    Else a delivery that was published on another node waits for the next poll, a second later.
    """
    here, there, _ = nodes
    await add_targets(there)
    before = await here.changes()
    await there.write(publish(1), shared=True)
    async with asyncio.timeout(5):
        while await here.changes() == before:
            await asyncio.sleep(0.001)


async def test_subscribers_are_notified_of_commits(nodes):
    """
    By whichever node, its own included: an engine delivers what it publishes.
    """
    here, there, _ = nodes
    await add_targets(there)
    notified = threading.Semaphore(0)
    here.subscribe(notified.release)
    for number, node in enumerate((there, here), start=1):
        await node.write(publish(number), shared=True)
        assert await asyncio.to_thread(notified.acquire, timeout=5)


async def test_nodes_number_themselves(nodes):
    """
    Two that made the same identifier would be refused one of two deliveries.
    """
    assert 3 == len({node.node for node in nodes})


async def test_connections_that_were_cut_are_made_again(nodes, postgres_url):
    """
    A firewall that forgets, a fail-over: the next call must not be the one that finds out.
    """
    node = nodes[0]
    await add_targets(node)
    for first in (1, 2, 3):
        with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'outrider' AND datname = current_database()"
            )
        assert [1] == await node.write(publish(first), shared=True)
        assert first == len(await states(node))
    # The listening connection, too.
    seen = await node.changes()
    async with asyncio.timeout(10):
        while await node.changes() == seen:
            await nodes[1].write(publish(seen), shared=True)
            await asyncio.sleep(0.05)


async def test_a_server_that_is_killed_loses_nothing_that_was_answered():
    """
    Amid commits: a call is answered, unavailable, or made again as a duplicate.
    """
    with postgres_server() as server:
        async with open_postgres(server.url(), SEALING, now=NOW) as node:
            await add_targets(node)
            answered, failed = set(), set()

            async def publish_one(number):
                try:
                    await node.write(publish(number), shared=True)
                except Unavailable:
                    failed.add(number)
                else:
                    answered.add(number)

            async def publish_many(numbers):
                for number in numbers:
                    await publish_one(number)

            publishing = [
                asyncio.create_task(publish_many(range(first, 4001, 8))) for first in range(1, 9)
            ]
            while len(answered) < 200:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(server.kill)
            while not failed:
                await asyncio.sleep(0.001)
            refused = await asyncio.gather(
                node.read(lambda unit: unit.routing_revision()), return_exceptions=True
            )
            await asyncio.to_thread(server.start)
            await asyncio.gather(*publishing)
            await until_it_answers(node)
            stored = {int(state) for state in await all_states(node)}
            again = await node.write(publish(*sorted(failed)[:500]), shared=True)

    assert isinstance(refused[0], Unavailable)
    assert set() == answered - stored
    assert again.count(None) == len(stored & set(sorted(failed)[:500]))


async def test_a_connection_that_refuses_everything_is_made_again(nodes):
    """
    When its server dies amid many statements it does not count as broken, and stays unusable.
    """
    node = nodes[0]
    await add_targets(node)
    unusable = node._committer._connection
    unusable.raw.pgconn.enter_pipeline_mode()
    with suppress(Unavailable):
        await node.write(publish(1), shared=True)
    await until_it_answers(node)

    assert None not in await node.write(publish(2), shared=True)
    assert unusable.is_lost


async def until_it_answers(node):
    async with asyncio.timeout(20):
        while True:
            try:
                await node.read(lambda unit: unit.routing_revision())
                await node.write(lambda unit: unit.routing_revision())
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def all_states(node):
    """As `states`, however many there are."""
    found = await node.read(
        lambda unit: unit._connection.execute("SELECT id FROM deliveries").fetchall()
    )
    return [number for (number,) in found]
