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
from usecases.interception.barriers import GatedStore
from usecases.interception.faults import new_web_key
from usecases.interception.harness import Harness, call_target, open_harness

ACTOR = an_actor()
T1, T2 = TargetId("101"), TargetId("102")


def managing(rig: Harness) -> ManageTargets:
    return ManageTargets(rig.store, rig.runtime, rig.routing, EgressPolicy(EgressProfile.DEV))


@pytest.fixture
async def two() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """Two receivers, each of which answers with its name."""
    async with (
        Receiver(lambda _: Answer(body=b'{"by":"first"}')) as first,
        Receiver(lambda _: Answer(body=b'{"by":"second"}')) as second,
    ):
        yield first, second


async def test_a_changed_endpoint_counts_for_the_next_call(stored_rig, two):
    """
    Nobody repairs a target and sees it fail again.
    """
    rig, (first, second) = stored_rig, two
    await rig.bind("request", call_target(first.url))
    before = await rig.run("request")
    await managing(rig).update(ACTOR, T1, TargetChange(endpoint=second.url))
    after = await rig.run("request")

    assert ({"by": "first"}, {"by": "second"}) == (before.message, after.message)


async def test_a_rotated_signing_key_signs_the_next_call(stored_rig):
    """
    With grace both sign; without it the old one is dropped at once, as for a leaked key.
    """
    rig = stored_rig
    async with Receiver(now=rig.clock) as receiver:
        await rig.bind("request", call_target(receiver.url))
        await rig.run("request")
        for grace in (timedelta(hours=1), timedelta(0)):
            await managing(rig).update(ACTOR, T1, TargetChange(key_grace=grace))
            await rig.run("request")
        signatures = [call.header("zitadel-signature").count("v1=") for call in receiver.calls]

    assert [1, 2, 1] == signatures


async def test_a_key_in_grace_ends_without_anybody_changing_anything(rig):
    """
    What is kept knows when it ends.
    """
    async with Receiver(now=rig.clock) as receiver:
        await rig.bind("request", call_target(receiver.url))
        await managing(rig).update(ACTOR, T1, TargetChange(key_grace=timedelta(hours=1)))
        await rig.run("request")
        rig.clock.advance(timedelta(hours=1))
        await rig.run("request")

        assert [2, 1] == [call.header("zitadel-signature").count("v1=") for call in receiver.calls]


async def test_a_deleted_target_is_not_called_again(stored_rig, two):
    """
    The others are; without any the execution does not fire.
    """
    rig, (first, second) = stored_rig, two
    await rig.bind("request", call_target(first.url, T1), call_target(second.url, T2))
    await rig.run("request")
    await managing(rig).delete(ACTOR, T1)
    one = await rig.run("request")
    await managing(rig).delete(ACTOR, T2)
    none = await rig.run("request")

    assert (1, 2) == (len(first.calls), len(second.calls))
    assert [T2] == [call.target_id for call in one.calls]
    assert (None, ()) == (none.execution, none.calls)


async def test_a_target_that_another_node_deleted_is_left_out(rig, two):
    """
    Before this node has seen it: the target cannot be loaded any more, and nobody is called.
    """
    first, second = two
    await rig.bind("request", call_target(first.url, T1), call_target(second.url, T2))
    await delete_target(rig.store, T1)
    done = await rig.run("request")

    assert [T2] == [call.target_id for call in done.calls]
    assert {"by": "second"} == done.message


async def test_a_changed_policy_counts(stored_rig):
    """
    Its choice for the unreachable, and its headers.
    """
    rig = stored_rig
    async with Receiver([Answer(), *[Answer(body=b"{}", cut_at=1)] * 2]) as receiver:
        await rig.bind("request", call_target(receiver.url))
        await rig.policy(T1, headers=(("X-Tenant", "a"),))
        await rig.run("request")
        await rig.policy(T1, headers=(("X-Tenant", "b"),))
        with pytest.raises(OutriderError):
            await rig.run("request")
        await rig.policy(T1, on_unreachable=OnUnreachable.CONTINUE)
        done = await rig.run("request")

        assert ["a", "b", None] == [call.header("x-tenant") for call in receiver.calls]
    assert ["UNREACHABLE"] == [call.outcome.name for call in done.calls]


async def test_changed_keys_count(stored_rig):
    """
    The web key that signs, and the public key that is encrypted to.
    """
    rig = stored_rig
    public_keys = ManagePublicKeys(rig.store, rig.runtime, read_public_key)
    async with Receiver() as receiver:
        await rig.bind(
            "request",
            call_target(receiver.url, T1, payload_type=PayloadType.JWT),
            call_target(receiver.url, T2, payload_type=PayloadType.JWE),
        )
        kids = []
        for copy in (0, 1):
            web_key = await new_web_key(rig)
            await ManageWebKeys(rig.store, rig.runtime, KeyPairs()).activate(ACTOR, web_key)
            added = await public_keys.add(ACTOR, T2, key_files("P-256", copy).public_pem, None)
            await public_keys.activate(ACTOR, T2, added.id)
            await rig.routing.refresh()
            await rig.run("request")
            kids += [web_key, added.id]

        assert kids == [header_of(call.body.decode())["kid"] for call in receiver.calls]


async def test_a_public_key_that_expires_is_used_no_more(rig, receiver):
    """
    Time alone ends it: nothing has to be loaded for that.
    """
    await rig.bind("request", call_target(receiver.url, payload_type=PayloadType.JWE))
    await new_web_key(rig)
    public_keys = ManagePublicKeys(rig.store, rig.runtime, read_public_key)
    pem, until = key_files("P-256").public_pem, rig.clock() + timedelta(hours=1)
    added = await public_keys.add(ACTOR, T1, pem, until)
    await public_keys.activate(ACTOR, T1, added.id)
    await rig.routing.refresh()
    await rig.run("request")
    rig.clock.advance(timedelta(hours=1))
    with pytest.raises(OutriderError, match="No encryption key found for target"):
        await rig.run("request")

    assert 1 == len(receiver.calls)


async def test_a_change_in_the_middle_of_a_run_counts_for_the_next(rig):
    """
    A run goes to the end with the targets that it began with.
    """
    async with Hostile(hangs) as slow, Receiver() as old, Receiver() as new:
        await rig.bind(
            "request",
            call_target(slow.url(), T1, seconds=0.1, interrupt_on_error=False),
            call_target(old.url, T2),
        )
        running = asyncio.create_task(rig.run("request"))
        await slow.heard.wait()
        await managing(rig).update(ACTOR, T2, TargetChange(endpoint=new.url))
        await running
        assert (1, 0) == (len(old.calls), len(new.calls))
        await rig.run("request")

        assert (1, 1) == (len(old.calls), len(new.calls))


async def test_nothing_is_loaded_twice(receiver):
    """
    Also not the key that signs: several targets share it (sheet, section 8.8).
    """
    async with open_harness() as opened:
        gated = GatedStore(opened.store)
        rig = Harness(gated, opened.caller)
        await rig.routing.refresh()
        targets = [
            call_target(receiver.url, str(101 + number), payload_type=PayloadType.JWT)
            for number in range(3)
        ]
        await rig.bind("request", *targets)
        await new_web_key(rig)
        gated.reads = 0
        for _ in range(3):
            await rig.run("request")

        assert (1, 9) == (gated.reads, len(receiver.calls))


def routed(*targets: str) -> list[RoutedTarget]:
    return [RoutedTarget(TargetId(target), is_awaited=True) for target in targets]


async def ids_of(known: ResolvedTargetCache, *targets: str) -> list[str]:
    return [each.target.id for each in await known.of(INSTANCE, routed(*targets))]


async def test_when_memory_is_full_nobody_is_forgotten(rig):
    """
    The bound is for what is kept, and not for what a call needs.
    """
    await add_targets(rig.store, *(a_target(str(101 + number)) for number in range(5)))
    known = ResolvedTargetCache(rig.store, rig.routing, most=2)

    assert ["101", "102"] == await ids_of(known, "101", "102")
    assert ["102", "103", "101"] == await ids_of(known, "102", "103", "101")
    assert ["105", "104", "103", "102", "101"] == await ids_of(
        known, "105", "104", "103", "102", "101"
    )
    assert ["101"] == await ids_of(known, "101")


async def test_who_loads_while_another_makes_room_gets_all_of_his(rig):
    """
    Two calls at once, one of which empties the memory under the other's hands.
    """
    await add_targets(rig.store, *(a_target(str(101 + number)) for number in range(4)))
    known = ResolvedTargetCache(rig.store, rig.routing, most=2)
    await ids_of(known, "101", "102")
    found = await asyncio.gather(ids_of(known, "101", "103"), ids_of(known, "102", "104"))

    assert [["101", "103"], ["102", "104"]] == found


async def test_targets_of_two_instances_are_never_mixed_up(rig):
    """
    Their ids may be the same.
    """
    other = InstanceId("instance-b")
    await add_targets(rig.store, a_target("101", endpoint="https://a.example"))
    await add_targets(rig.store, a_target("101", endpoint="https://b.example"), instance=other)
    known = ResolvedTargetCache(rig.store, rig.routing)
    [ours], [theirs] = [await known.of(each, routed("101")) for each in (INSTANCE, other)]

    assert ("https://a.example", "https://b.example") == (
        ours.target.endpoint,
        theirs.target.endpoint,
    )


async def test_what_was_loaded_before_a_change_is_not_kept_after_it(rig):
    """
    A slow read must not bring back what is no longer true.
    """
    await rig.bind("request", a_target("101", endpoint="https://old.example"))
    gated = SlowRead(rig.store)
    known = ResolvedTargetCache(gated, rig.routing)
    loading = asyncio.create_task(known.of(INSTANCE, routed("101")))
    await gated.has_read.wait()
    changed = replace(a_target("101"), endpoint="https://new.example")
    await rig.store.write(lambda unit: unit.targets.replace(INSTANCE, changed))
    await rig.routing.refresh()
    [fresh] = await ResolvedTargetCache(rig.store, rig.routing).of(INSTANCE, routed("101"))
    await known.of(INSTANCE, ())
    gated.may_return.set()
    [stale] = await loading
    [again] = await known.of(INSTANCE, routed("101"))

    endpoints = [each.target.endpoint for each in (fresh, stale, again)]
    assert ["https://new.example", "https://old.example", "https://new.example"] == endpoints


class SlowRead(GatedStore):
    """The first read has its result long before it gives it."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.has_read, self.may_return = asyncio.Event(), asyncio.Event()

    async def read(self, work):
        result = await super().read(work)
        self.has_read.set()
        await self.may_return.wait()
        return result
