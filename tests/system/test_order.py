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
class Line:
    """Targets in a row, `a` first, each a path of one receiver that answers by its script.

    When a script is over, the target answers 200.
    """

    api: Api
    scripts: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    receiver: Receiver | None = None
    targets: dict[str, str] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def answer(self, call: ReceivedCall) -> Answer:
        """The next answer of the target that is called."""
        name = name_of(call)
        self.heard[name] += 1
        script = self.scripts.get(name, ())
        return script[self.heard[name] - 1] if self.heard[name] <= len(script) else OK

    async def add(self, name: str, kind: str = "restWebhook", *, interrupt: bool = False) -> None:
        """Put a target at the end of the row."""
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

    async def heard_of(self, calls: int) -> list[str]:
        """Wait for so many calls; return whom they were for."""
        return [name_of(call) for call in await self.receiver.wait_for(calls)]

    async def states(self, event: str) -> dict[str, str]:
        """Where each target's delivery of an event stands, in the order of the row."""
        found = {
            delivery["targetId"]: delivery["state"]
            for delivery in await self.api.deliveries(eventId=event)
        }
        prefix = "DELIVERY_STATE_"
        return {name: found[target].removeprefix(prefix) for name, target in self.targets.items()}

    async def reaches(self, event: str, *states: str) -> None:
        """Wait until the deliveries of an event stand so, in the order of the row."""
        async with asyncio.timeout(20):
            while list((await self.states(event)).values()) != list(states):
                await asyncio.sleep(0.02)


def name_of(call: ReceivedCall) -> str:
    """Which target of the row a call was for."""
    return call.path.rpartition("/")[2]


@pytest_asyncio.fixture(loop_scope="module")
async def make_line(server: Server):
    """Lay out an empty row whose targets will answer by their scripts."""
    # Every test sets the execution anew, with targets of its own.
    line = Line(server.api)
    async with Receiver(line.answer) as line.receiver:

        def laid_out(**scripts: Sequence[Answer]) -> Line:
            line.scripts = scripts
            return line

        yield laid_out


async def test_those_behind_an_interrupting_target_wait_until_it_has_it(make_line):
    """
    It was put in front for a reason: the second must not know before the first one does.
    """
    line = make_line(a=[FAILURE])
    await line.add("a", interrupt=True)
    await line.add("b")
    await line.add("c")
    [event] = await line.publish()
    await line.reaches(event, "RETRYING", "PENDING", "PENDING")
    heard = await line.heard_of(4)
    await line.reaches(event, "DELIVERED", "DELIVERED", "DELIVERED")

    assert ["a", "a", "b", "c"] == heard


async def test_a_failure_that_does_not_interrupt_holds_nobody(make_line):
    """
    It is tried again on its own; the others have theirs at once, and in order.
    """
    line = make_line(a=[FAILURE])
    await line.add("a")
    await line.add("b")
    await line.add("c")
    [event] = await line.publish()
    heard = await line.heard_of(3)
    await line.reaches(event, "RETRYING", "DELIVERED", "DELIVERED")

    assert ["a", "b", "c"] == heard


async def test_the_next_one_starts_when_the_first_attempt_has_ended(make_line):
    """
    Not when it begins: a slow target in front is a slow execution. Other events do not wait.
    """
    release = asyncio.Event()
    line = make_line(a=[Answer(hang_until=release)])
    await line.add("a")
    await line.add("b")
    [first] = await line.publish()
    await line.heard_of(1)
    # It overtakes, so there was time enough for the other b.
    await line.publish()
    before = await line.heard_of(3)
    states = await line.states(first)
    release.set()
    after = await line.heard_of(4)

    assert ["a", "a", "b"] == before
    assert {"a": "DELIVERING", "b": "PENDING"} == states
    assert "b" == after[-1]
    assert first == event_of(line.receiver.calls[-1])


async def test_nobody_waits_for_rest_async(make_line):
    """
    That is what it is for. What stands behind it waits for the awaited one in front of it.
    """
    release = asyncio.Event()
    line = make_line(b=[Answer(hang_until=release)])
    await line.add("a")
    await line.add("b", "restAsync")
    await line.add("c")
    [event] = await line.publish()
    heard = await line.heard_of(3)
    await line.reaches(event, "DELIVERED", "DELIVERING", "DELIVERED")
    release.set()
    await line.reaches(event, "DELIVERED", "DELIVERED", "DELIVERED")

    assert "a" == heard[0]
    assert ["a", "b", "c"] == sorted(heard)


async def test_an_interrupting_target_that_will_never_have_it_cancels_those_behind(make_line):
    """
    410 is final. Nobody is called in an order that was not asked for.
    """
    line = make_line(a=[GONE])
    await line.add("a", interrupt=True)
    await line.add("b")
    await line.add("c")
    [event] = await line.publish()
    await line.reaches(event, "DEAD", "CANCELLED", "CANCELLED")

    assert ["a"] == await line.heard_of(1)


async def test_a_deleted_target_is_called_no_more_and_holds_nobody(make_line):
    """
    Deleting the target that is broken is how an operator lets the others go on.
    """
    line = make_line(a=[FAILURE])
    await line.add("a", interrupt=True)
    await line.add("b")
    [event] = await line.publish()
    await line.reaches(event, "RETRYING", "PENDING")
    await line.api.delete_target(line.targets["a"])
    await line.reaches(event, "CANCELLED", "DELIVERED")

    assert ["a", "b"] == await line.heard_of(2)


async def test_those_behind_a_deleted_target_still_wait_for_the_one_in_front(make_line):
    """
    The gap closes: the third now waits for the first.
    """
    release = asyncio.Event()
    line = make_line(a=[Answer(hang_until=release)])
    await line.add("a")
    await line.add("b")
    await line.add("c")
    [event] = await line.publish()
    await line.heard_of(1)
    await line.api.delete_target(line.targets["b"])
    held = await line.states(event)
    release.set()
    await line.reaches(event, "DELIVERED", "CANCELLED", "DELIVERED")

    assert {"a": "DELIVERING", "b": "CANCELLED", "c": "PENDING"} == held
    assert ["a", "c"] == await line.heard_of(2)


async def test_every_event_keeps_the_order_for_itself(make_line):
    """
    Under load, too: hundreds of deliveries are under way at once, some of them slow.
    """
    line = make_line(a=[Answer(delay=0.05)] * 50)
    await line.add("a")
    await line.add("b")
    await line.add("c")
    events = await line.publish(100)
    await line.heard_of(300)
    heard = defaultdict(list)
    for call in line.receiver.calls:
        heard[event_of(call)].append(name_of(call))

    assert {event: ["a", "b", "c"] for event in events} == heard
