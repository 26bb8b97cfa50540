"""Receivers that publish what they received: a circle, which ends."""

from __future__ import annotations

import asyncio

import pytest

from outrider.embed import Engine, Event, on_event
from outrider.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from outrider.testing.receiver import OK, Receiver


async def test_a_circle_of_receivers_ends_at_the_limit(tmp_path):
    """
    Each call makes another event, as a synchronization in both directions does.
    """
    refusals, publishing = [], set()
    ended = asyncio.Event()

    async def publish(hops):
        try:
            await engine.publish(Event(event_type="order.changed"), hops=hops)
        except FailedPrecondition as refusal:
            refusals.append(str(refusal))
            ended.set()

    def pass_on(call):
        publishing.add(asyncio.create_task(publish(call.verified.hops)))
        return OK

    async with (
        Receiver(pass_on) as receiver,
        Engine.open(data_dir=tmp_path, dev=True) as engine,
    ):
        target = await engine.create_target("hook", receiver.url, type="webhook")
        receiver.signing_keys = [target.signing_key]
        await engine.register_event_types(["order.changed"])
        await engine.set_execution(on_event("order.changed"), [target])
        await engine.publish(Event(event_type="order.changed"))
        await asyncio.wait_for(ended.wait(), 30)

        assert [str(number) for number in range(1, 17)] == [
            call.header("Outrider-Hops") for call in receiver.calls
        ]
        assert [True] == [text.startswith("Outrider-Hops is 16, ") for text in refusals]


async def test_an_id_of_another_event_is_refused(engine):
    """
    With the tree of errors that an application knows.
    """
    first = Event(event_type="order.created", id="order-7", payload={"total": 3})
    other = Event(event_type="order.created", id="order-7", payload={"total": 4})
    await engine.publish(first)

    with pytest.raises(AlreadyExists, match=r'^Events\[1\]: the id "order-7"'):
        await engine.publish([Event(event_type="order.created", id="new"), other])
    assert not (await engine.publish(Event(event_type="order.created", id="new"))).is_duplicate


async def test_hops_below_zero_are_refused(engine):
    """
    A programming error, and no header.
    """
    with pytest.raises(InvalidRequest, match="invalid hops: -1 must be a number from 0"):
        await engine.publish(Event(event_type="order.created"), hops=-1)
