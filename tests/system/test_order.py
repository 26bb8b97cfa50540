"""The order inside an execution, through a real server."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
import pytest_asyncio

from outrider.testing.receiver import OK, Answer, ReceivedCall, Receiver
from system.api import Api
from system.ledger import EVENT_TYPE, event_of
from system.server import Server

FAILURE = Answer(status=500)
GONE = Answer(status=410)
NUMBERS = count(1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class TargetSequence:
    """Targets in order, `a` first, each a path of one receiver that answers by its script.

    When a script is over, the target answers 200.
    """

    api: Api
    scripts: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    receiver: Receiver | None = None
    targets: dict[str, str] = field(default_factory=dict)
    call_counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def answer(self, call: ReceivedCall) -> Answer:
        """The next answer of the target that is called."""
        name = name_of(call)
        self.call_counts[name] += 1
        script = self.scripts.get(name, ())
        return script[self.call_counts[name] - 1] if self.call_counts[name] <= len(script) else OK

    async def add(self, name: str, kind: str = "restWebhook", *, interrupt: bool = False) -> None:
        """Add a target at the end."""
        endpoint = f"{self.receiver.url}/{name}"
        unique = f"{name} {next(NUMBERS)}"
        created = await self.api.create_target(unique, endpoint, kind=kind, interrupt=interrupt)
        self.targets[name] = created.id
        await self.api.set_execution(EVENT_TYPE, *self.targets.values())

    async def publish(self, events: int = 1) -> list[str]:
        """Publish; return the ids."""
        ids = [f"event-{next(NUMBERS)}" for _ in range(events)]
        await self.api.publish(EVENT_TYPE, ids)
        return ids

    async def called(self, calls: int) -> list[str]:
        """Wait for a number of calls; return the targets they were for."""
        return [name_of(call) for call in await self.receiver.wait_for(calls)]

    async def states(self, event: str) -> dict[str, str]:
        """The state of each target's delivery of an event, in order."""
        found = {
            delivery["targetId"]: delivery["state"]
            for delivery in await self.api.deliveries(eventId=event)
        }
        prefix = "DELIVERY_STATE_"
        return {name: found[target].removeprefix(prefix) for name, target in self.targets.items()}

    async def reaches(self, event: str, *states: str) -> None:
        """Wait until the deliveries of an event have these states, in order."""
        async with asyncio.timeout(20):
            while list((await self.states(event)).values()) != list(states):
                await asyncio.sleep(0.02)


def name_of(call: ReceivedCall) -> str:
    """Which target a call was for."""
    return call.path.rpartition("/")[2]


@pytest_asyncio.fixture(loop_scope="module")
async def make_sequence(server: Server):
    """Make an empty sequence whose targets will answer by their scripts."""
    # Every test sets the execution again, with its own targets.
    sequence = TargetSequence(server.api)
    async with Receiver(sequence.answer) as sequence.receiver:

        def scripted(**scripts: Sequence[Answer]) -> TargetSequence:
            sequence.scripts = scripts
            return sequence

        yield scripted


async def test_those_after_an_interrupting_target_wait_until_it_has_it(make_sequence):
    """
    The order has a reason: the second target must not know before the first one does.
    """
    sequence = make_sequence(a=[FAILURE])
    await sequence.add("a", interrupt=True)
    await sequence.add("b")
    await sequence.add("c")
    [event] = await sequence.publish()
    await sequence.reaches(event, "RETRYING", "PENDING", "PENDING")
    heard = await sequence.called(4)
    await sequence.reaches(event, "DELIVERED", "DELIVERED", "DELIVERED")

    assert ["a", "a", "b", "c"] == heard


async def test_a_failure_that_does_not_interrupt_delays_no_other(make_sequence):
    """
    It is tried again on its own; the others have theirs immediately, and in order.
    """
    sequence = make_sequence(a=[FAILURE])
    await sequence.add("a")
    await sequence.add("b")
    await sequence.add("c")
    [event] = await sequence.publish()
    heard = await sequence.called(3)
    await sequence.reaches(event, "RETRYING", "DELIVERED", "DELIVERED")

    assert ["a", "b", "c"] == heard


async def test_the_next_one_starts_when_the_first_attempt_has_ended(make_sequence):
    """
    Not when it begins: a slow first target is a slow execution. Other events do not wait.
    """
    release = asyncio.Event()
    sequence = make_sequence(a=[Answer(hang_until=release)])
    await sequence.add("a")
    await sequence.add("b")
    [first] = await sequence.publish()
    await sequence.called(1)
    # It overtakes, so there was time enough for the other b.
    await sequence.publish()
    before = await sequence.called(3)
    states = await sequence.states(first)
    release.set()
    after = await sequence.called(4)

    assert ["a", "a", "b"] == before
    assert {"a": "DELIVERING", "b": "PENDING"} == states
    assert "b" == after[-1]
    assert first == event_of(sequence.receiver.calls[-1])


async def test_no_target_waits_for_rest_async(make_sequence):
    """
    That is its purpose. The target after it waits for the awaited one before it.
    """
    release = asyncio.Event()
    sequence = make_sequence(b=[Answer(hang_until=release)])
    await sequence.add("a")
    await sequence.add("b", "restAsync")
    await sequence.add("c")
    [event] = await sequence.publish()
    heard = await sequence.called(3)
    await sequence.reaches(event, "DELIVERED", "DELIVERING", "DELIVERED")
    release.set()
    await sequence.reaches(event, "DELIVERED", "DELIVERED", "DELIVERED")

    assert "a" == heard[0]
    assert ["a", "b", "c"] == sorted(heard)


async def test_an_interrupting_target_that_will_never_have_it_cancels_those_after(make_sequence):
    """
    410 is final. No target is called in another order than the one that was set.
    """
    sequence = make_sequence(a=[GONE])
    await sequence.add("a", interrupt=True)
    await sequence.add("b")
    await sequence.add("c")
    [event] = await sequence.publish()
    await sequence.reaches(event, "DEAD", "CANCELLED", "CANCELLED")

    assert ["a"] == await sequence.called(1)


async def test_a_deleted_target_is_called_no_more_and_delays_no_other(make_sequence):
    """
    An operator deletes a failing target so that the others are called.
    """
    sequence = make_sequence(a=[FAILURE])
    await sequence.add("a", interrupt=True)
    await sequence.add("b")
    [event] = await sequence.publish()
    await sequence.reaches(event, "RETRYING", "PENDING")
    await sequence.api.delete_target(sequence.targets["a"])
    await sequence.reaches(event, "CANCELLED", "DELIVERED")

    assert ["a", "b"] == await sequence.called(2)


async def test_those_after_a_deleted_target_still_wait_for_the_one_before(make_sequence):
    """
    The gap closes: the third now waits for the first.
    """
    release = asyncio.Event()
    sequence = make_sequence(a=[Answer(hang_until=release)])
    await sequence.add("a")
    await sequence.add("b")
    await sequence.add("c")
    [event] = await sequence.publish()
    await sequence.called(1)
    await sequence.api.delete_target(sequence.targets["b"])
    waiting = await sequence.states(event)
    release.set()
    await sequence.reaches(event, "DELIVERED", "CANCELLED", "DELIVERED")

    assert {"a": "DELIVERING", "b": "CANCELLED", "c": "PENDING"} == waiting
    assert ["a", "c"] == await sequence.called(2)


async def test_every_event_keeps_the_order_for_itself(make_sequence):
    """
    Under load, too: hundreds of deliveries are in flight, some of them slow.
    """
    sequence = make_sequence(a=[Answer(delay=0.05)] * 50)
    await sequence.add("a")
    await sequence.add("b")
    await sequence.add("c")
    events = await sequence.publish(100)
    await sequence.called(300)
    heard = defaultdict(list)
    for call in sequence.receiver.calls:
        heard[event_of(call)].append(name_of(call))

    assert {event: ["a", "b", "c"] for event in events} == heard
