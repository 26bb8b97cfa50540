"""Any row of targets, any answers, any number of nodes that die: every delivery ends, in order.

No worker runs here. Hypothesis plays all of them: who claims, which attempt ends next and how, who
dies. So it finds orders of events that no loop would show by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.store.steps import claim, settle
from fakes.memory.store import MemoryStore
from outrider.domain.calls.request import Response
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import (
    Attempt,
    ClaimedDelivery,
    Delivery,
    DeliveryState,
    plan_deliveries,
)
from outrider.domain.ids import DeliveryId
from outrider.domain.outcome import HAS_ANSWER, Outcome
from outrider.domain.targets.target import Target, TargetType
from support.builders import a_target
from worker.harness import SCHEDULE, Harness

STATUSES = (200, 404, 410, 500)
FINAL = {DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.CANCELLED}
# Far more than any execution needs: a delivery has at most ten attempts.
MAX_STEPS = 400
FOR_EVER = timedelta(days=36500)

a_row = st.lists(
    st.builds(
        lambda type_, interrupt: (type_, interrupt and type_ is not TargetType.REST_ASYNC),
        st.sampled_from(TargetType),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@dataclass
class Play:
    """One event for a row of targets, and what happens to it."""

    draw: st.DataObject
    targets: Sequence[Target]
    harness: Harness = field(default_factory=lambda: Harness(MemoryStore()))
    claimed: dict[str, tuple[str, ClaimedDelivery]] = field(default_factory=dict)
    owners: count = field(default_factory=lambda: count(1))
    story: list[tuple[str, str]] = field(default_factory=list)

    async def to_its_end(self) -> list[Delivery]:
        """Let things happen until no delivery is open; return them in the order of the row."""
        numbers = [str(number + 1) for number in range(len(self.targets))]
        row = [
            (DeliveryId(number), target.id, target.is_awaited)
            for number, target in zip(numbers, self.targets, strict=True)
        ]
        await self.harness.add_pending(*plan_deliveries(row), targets=self.targets)
        for _ in range(MAX_STEPS):
            deliveries = [await self.harness.delivery(number) for number in numbers]
            if {delivery.state for delivery in deliveries} <= FINAL:
                return deliveries
            await self.something_happens(deliveries)
        raise AssertionError(f"it does not end: {self.story}")

    async def something_happens(self, deliveries: Sequence[Delivery]) -> None:
        """A node claims, an attempt ends, or a node dies; when nothing can, time passes."""
        owner = f"worker-{next(self.owners)}"
        now = self.harness.clock()
        await self.harness.store.write(lambda unit: unit.leases.renew(owner, now + FOR_EVER))
        for claimed in await claim(self.harness.store, owner, now=now, limit=2):
            self.claimed[claimed.id] = (owner, claimed)
            self.story.append(("begins", claimed.id))
        if self.claimed:
            number = self.draw.draw(st.sampled_from(sorted(self.claimed)))
            await self.ends(number, self.draw.draw(st.sampled_from((*STATUSES, None))))
        else:
            due = [
                delivery.next_attempt_at
                for delivery in deliveries
                if delivery.next_attempt_at is not None
            ]
            assert due, f"no worker would ever attempt what is open: {self.story}"
            self.harness.clock.advance(max(min(due) - now, timedelta(0)))

    async def ends(self, number: str, status: int | None) -> None:
        """An attempt ends with this status; None: its node dies, with all that it has claimed."""
        owner, claimed = self.claimed[number]
        now = self.harness.clock()
        ended = (
            [number]
            if status
            else [n for n, (holder, _) in self.claimed.items() if holder == owner]
        )
        for ended_number in ended:
            del self.claimed[ended_number]
            self.story.append(("ends", ended_number))
        if status is None:
            await self.harness.store.write(lambda unit: unit.leases.drop(owner))
            await self.harness.store.write(self.harness.rescuer().rescue)
            return
        target = self.targets[int(number) - 1]
        # Not a call that takes its time: by that the next run of the same story would differ.
        response = Response(status, (), b"")
        attempt = Attempt.from_response(claimed.attempt_number, now, timedelta(0), response)
        settlement = self.harness.worker().runner.settled(claimed, attempt, ResolvedTarget(target))
        await settle(self.harness.store, settlement, owner=owner, now=now)


def in_front_of(targets: Sequence[Target], index: int) -> int | None:
    """The index of the target whose delivery this one depends on."""
    awaited = [number for number in range(index) if targets[number].is_awaited]
    return awaited[-1] if awaited else None


def check_attempts(target: Target, delivery: Delivery) -> None:
    """Numbered from one, no more than the schedule has, and none after the one that sufficed."""
    outcomes = [attempt.outcome for attempt in delivery.attempts]
    enough = {Outcome.ACCEPTED} if target.is_awaited else HAS_ANSWER
    assert [*range(1, len(outcomes) + 1)] == [attempt.number for attempt in delivery.attempts]
    assert len(outcomes) <= len(SCHEDULE.waits) + 1
    assert enough.isdisjoint(outcomes[:-1])
    assert (delivery.state is DeliveryState.DELIVERED) == (not enough.isdisjoint(outcomes))
    assert (delivery.state is DeliveryState.CANCELLED) == (not outcomes)


def check_order(play: Play, deliveries: Sequence[Delivery], index: int) -> None:
    """None begins before the one in front has ended its first attempt, or is delivered."""
    front = in_front_of(play.targets, index)
    if front is None:
        assert deliveries[index].attempts
        return
    begins, ends = ("begins", deliveries[index].id), ("ends", deliveries[front].id)
    interrupts = play.targets[front].interrupt_on_error
    stopped = deliveries[front].state is DeliveryState.CANCELLED or (
        interrupts and deliveries[front].state is DeliveryState.DEAD
    )
    assert stopped == (begins not in play.story)
    if not stopped:
        before = play.story[: play.story.index(begins)]
        assert before.count(ends) >= (len(deliveries[front].attempts) if interrupts else 1)


@settings(max_examples=150)
@given(row=a_row, draw=st.data())
def test_every_delivery_ends_and_in_order(row, draw):
    """
    The promise of an execution, whatever the receivers answer and whichever node dies.
    """
    targets = [
        a_target(str(number), type=type_, interrupt_on_error=interrupt)
        for number, (type_, interrupt) in enumerate(row, 101)
    ]
    play = Play(draw, targets)
    deliveries = asyncio.run(play.to_its_end())

    for index, (target, delivery) in enumerate(zip(targets, deliveries, strict=True)):
        check_attempts(target, delivery)
        check_order(play, deliveries, index)
