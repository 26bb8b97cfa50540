"""What is kept in memory for callers that wait is as fresh as the routing, and never mixed up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.crypto.openssl import key_files
from adapters.crypto.reference import header_of
from adapters.http.hostile import Hostile, hangs
from contracts.store.steps import add_targets, delete_target
from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.public_keys import read_public_key
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.targets.policy import OnUnreachable
from outrider.domain.targets.target import PayloadType, TargetChange
from outrider.errors import OutriderError
from outrider.testing.receiver import Answer, Receiver
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.routing.target_cache import ResolvedTargetCache
from outrider.usecases.targets.public_keys import ManagePublicKeys
from outrider.usecases.targets.targets import ManageTargets
from support.builders import INSTANCE, a_target, an_actor
from usecases.interception.barriers import BarrierStore
from usecases.interception.faults import new_web_key
from usecases.interception.harness import Harness, call_target, open_harness

ACTOR = an_actor()
T1, T2 = TargetId("101"), TargetId("102")


def managing(harness: Harness) -> ManageTargets:
    return ManageTargets(
        harness.store, harness.runtime, harness.routing, EgressPolicy(EgressProfile.DEV)
    )


@pytest.fixture
async def two() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """Two receivers, each of which answers with its name."""
    async with (
        Receiver(lambda _: Answer(body=b'{"by":"first"}')) as first,
        Receiver(lambda _: Answer(body=b'{"by":"second"}')) as second,
    ):
        yield first, second


async def test_a_changed_endpoint_counts_for_the_next_call(stored_harness, two):
    """
    An operator who repairs a target does not see it fail again.
    """
    harness, (first, second) = stored_harness, two
    await harness.bind("request", call_target(first.url))
    before = await harness.run("request")
    await managing(harness).update(ACTOR, T1, TargetChange(endpoint=second.url))
    after = await harness.run("request")

    assert ({"by": "first"}, {"by": "second"}) == (before.message, after.message)


async def test_a_rotated_signing_key_signs_the_next_call(stored_harness):
    """
    With grace both sign; without it the old one is dropped immediately, as for a leaked key.
    """
    harness = stored_harness
    async with Receiver(now=harness.clock) as receiver:
        await harness.bind("request", call_target(receiver.url))
        await harness.run("request")
        for grace in (timedelta(hours=1), timedelta(0)):
            await managing(harness).update(ACTOR, T1, TargetChange(key_grace=grace))
            await harness.run("request")
        signatures = [call.header("zitadel-signature").count("v1=") for call in receiver.calls]

    assert [1, 2, 1] == signatures


async def test_a_key_in_grace_ends_without_a_change(harness):
    """
    What is kept knows when it ends.
    """
    async with Receiver(now=harness.clock) as receiver:
        await harness.bind("request", call_target(receiver.url))
        await managing(harness).update(ACTOR, T1, TargetChange(key_grace=timedelta(hours=1)))
        await harness.run("request")
        harness.clock.advance(timedelta(hours=1))
        await harness.run("request")

        assert [2, 1] == [call.header("zitadel-signature").count("v1=") for call in receiver.calls]


async def test_a_deleted_target_is_not_called_again(stored_harness, two):
    """
    The others are; without any the execution does not match.
    """
    harness, (first, second) = stored_harness, two
    await harness.bind("request", call_target(first.url, T1), call_target(second.url, T2))
    await harness.run("request")
    await managing(harness).delete(ACTOR, T1)
    one = await harness.run("request")
    await managing(harness).delete(ACTOR, T2)
    none = await harness.run("request")

    assert (1, 2) == (len(first.calls), len(second.calls))
    assert [T2] == [call.target_id for call in one.calls]
    assert (None, ()) == (none.execution, none.calls)


async def test_a_target_that_another_node_deleted_is_left_out(harness, two):
    """
    Before this node has seen it: the target cannot be loaded any more, and is not called.
    """
    first, second = two
    await harness.bind("request", call_target(first.url, T1), call_target(second.url, T2))
    await delete_target(harness.store, T1)
    done = await harness.run("request")

    assert [T2] == [call.target_id for call in done.calls]
    assert {"by": "second"} == done.message


async def test_a_changed_policy_counts(stored_harness):
    """
    Its choice for the unreachable, and its headers.
    """
    harness = stored_harness
    async with Receiver([Answer(), *[Answer(body=b"{}", cut_at=1)] * 2]) as receiver:
        await harness.bind("request", call_target(receiver.url))
        await harness.policy(T1, headers=(("X-Tenant", "a"),))
        await harness.run("request")
        await harness.policy(T1, headers=(("X-Tenant", "b"),))
        with pytest.raises(OutriderError):
            await harness.run("request")
        await harness.policy(T1, on_unreachable=OnUnreachable.CONTINUE)
        done = await harness.run("request")

        assert ["a", "b", None] == [call.header("x-tenant") for call in receiver.calls]
    assert ["UNREACHABLE"] == [call.outcome.name for call in done.calls]


async def test_changed_keys_count(stored_harness):
    """
    The web key that signs, and the public key that is encrypted to.
    """
    harness = stored_harness
    public_keys = ManagePublicKeys(harness.store, harness.runtime, read_public_key)
    async with Receiver() as receiver:
        await harness.bind(
            "request",
            call_target(receiver.url, T1, payload_type=PayloadType.JWT),
            call_target(receiver.url, T2, payload_type=PayloadType.JWE),
        )
        kids = []
        for copy in (0, 1):
            web_key = await new_web_key(harness)
            await ManageWebKeys(harness.store, harness.runtime, KeyPairs()).activate(ACTOR, web_key)
            added = await public_keys.add(ACTOR, T2, key_files("P-256", copy).public_pem, None)
            await public_keys.activate(ACTOR, T2, added.id)
            await harness.routing.refresh()
            await harness.run("request")
            kids += [web_key, added.id]

        assert kids == [header_of(call.body.decode())["kid"] for call in receiver.calls]


async def test_a_public_key_that_expires_is_used_no_more(harness, receiver):
    """
    Time alone ends it: nothing has to be loaded for that.
    """
    await harness.bind("request", call_target(receiver.url, payload_type=PayloadType.JWE))
    await new_web_key(harness)
    public_keys = ManagePublicKeys(harness.store, harness.runtime, read_public_key)
    pem, until = key_files("P-256").public_pem, harness.clock() + timedelta(hours=1)
    added = await public_keys.add(ACTOR, T1, pem, until)
    await public_keys.activate(ACTOR, T1, added.id)
    await harness.routing.refresh()
    await harness.run("request")
    harness.clock.advance(timedelta(hours=1))
    with pytest.raises(OutriderError, match="No encryption key found for target"):
        await harness.run("request")

    assert 1 == len(receiver.calls)


async def test_a_change_in_the_middle_of_a_run_counts_for_the_next(harness):
    """
    A run goes to the end with the targets that it began with.
    """
    async with Hostile(hangs) as slow, Receiver() as old, Receiver() as new:
        await harness.bind(
            "request",
            call_target(slow.url(), T1, seconds=0.1, interrupt_on_error=False),
            call_target(old.url, T2),
        )
        running = asyncio.create_task(harness.run("request"))
        await slow.heard.wait()
        await managing(harness).update(ACTOR, T2, TargetChange(endpoint=new.url))
        await running
        assert (1, 0) == (len(old.calls), len(new.calls))
        await harness.run("request")

        assert (1, 1) == (len(old.calls), len(new.calls))


async def test_nothing_is_loaded_twice(receiver):
    """
    Also not the key that signs: several targets share it.
    """
    async with open_harness() as opened:
        barrier_store = BarrierStore(opened.store)
        harness = Harness(barrier_store, opened.http_client)
        await harness.routing.refresh()
        targets = [
            call_target(receiver.url, str(101 + number), payload_type=PayloadType.JWT)
            for number in range(3)
        ]
        await harness.bind("request", *targets)
        await new_web_key(harness)
        barrier_store.reads = 0
        for _ in range(3):
            await harness.run("request")

        assert (1, 9) == (barrier_store.reads, len(receiver.calls))


def routed(*targets: str) -> list[RoutedTarget]:
    return [RoutedTarget(TargetId(target), is_awaited=True) for target in targets]


async def ids_of(known: ResolvedTargetCache, *targets: str) -> list[str]:
    return [
        resolved_target.target.id for resolved_target in await known.of(INSTANCE, routed(*targets))
    ]


async def test_when_memory_is_full_no_target_is_forgotten(harness):
    """
    The bound is for what is kept, and not for what a call needs.
    """
    await add_targets(harness.store, *(a_target(str(101 + number)) for number in range(5)))
    known = ResolvedTargetCache(harness.store, harness.routing, most=2)

    assert ["101", "102"] == await ids_of(known, "101", "102")
    assert ["102", "103", "101"] == await ids_of(known, "102", "103", "101")
    assert ["105", "104", "103", "102", "101"] == await ids_of(
        known, "105", "104", "103", "102", "101"
    )
    assert ["101"] == await ids_of(known, "101")


async def test_who_loads_while_another_makes_room_gets_all_of_his(harness):
    """
    Two concurrent calls, one of which empties the cache that the other reads.
    """
    await add_targets(harness.store, *(a_target(str(101 + number)) for number in range(4)))
    known = ResolvedTargetCache(harness.store, harness.routing, most=2)
    await ids_of(known, "101", "102")
    found = await asyncio.gather(ids_of(known, "101", "103"), ids_of(known, "102", "104"))

    assert [["101", "103"], ["102", "104"]] == found


async def test_targets_of_two_instances_are_never_mixed_up(harness):
    """
    Their ids may be the same.
    """
    other = InstanceId("instance-b")
    await add_targets(harness.store, a_target("101", endpoint="https://a.example"))
    await add_targets(harness.store, a_target("101", endpoint="https://b.example"), instance=other)
    known = ResolvedTargetCache(harness.store, harness.routing)
    [ours], [theirs] = [await known.of(instance, routed("101")) for instance in (INSTANCE, other)]

    assert ("https://a.example", "https://b.example") == (
        ours.target.endpoint,
        theirs.target.endpoint,
    )


async def test_what_was_loaded_before_a_change_is_not_kept_after_it(harness):
    """
    A slow read must not bring back what is no longer true.
    """
    await harness.bind("request", a_target("101", endpoint="https://old.example"))
    barrier_store = SlowRead(harness.store)
    known = ResolvedTargetCache(barrier_store, harness.routing)
    loading = asyncio.create_task(known.of(INSTANCE, routed("101")))
    await barrier_store.has_read.wait()
    changed = replace(a_target("101"), endpoint="https://new.example")
    await harness.store.write(lambda unit: unit.targets.replace(INSTANCE, changed))
    await harness.routing.refresh()
    [fresh] = await ResolvedTargetCache(harness.store, harness.routing).of(INSTANCE, routed("101"))
    await known.of(INSTANCE, ())
    barrier_store.may_return.set()
    [stale] = await loading
    [again] = await known.of(INSTANCE, routed("101"))

    endpoints = [resolved_target.target.endpoint for resolved_target in (fresh, stale, again)]
    assert ["https://new.example", "https://old.example", "https://new.example"] == endpoints


class SlowRead(BarrierStore):
    """The first read has its result long before it gives it."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.has_read, self.may_return = asyncio.Event(), asyncio.Event()

    async def read(self, work):
        result = await super().read(work)
        self.has_read.set()
        await self.may_return.wait()
        return result
