"""Compare what a receiver got with what a publisher was promised and what the delivery log has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from outrider.testing.receiver import ReceivedCall, Receiver
from system.api import Api

EVENT_TYPE = "user.human.added"


@dataclass
class Publisher:
    """Publishes, and remembers what was answered. Ids are never used twice."""

    api: Api
    event_type: str
    answered: set[str] = field(default_factory=set)
    published: int = 0

    async def publish(self, count: int, *, at_once: int = 100) -> None:
        """Publish `count` events, in calls of `at_once`."""
        for start in range(0, count, at_once):
            await self._one_call(min(at_once, count - start))

    async def publish_again(self) -> dict[str, bool]:
        """Ask again for all that was not answered, and for some that was; whether each was known."""
        unanswered = {f"event-{number}" for number in range(self.published)} - self.answered
        ids = sorted(unanswered | set(sorted(self.answered)[:100]))
        results = await self.api.publish(self.event_type, ids)
        known = {result["id"]: result.get("duplicate", False) for result in results}
        self.answered |= known.keys()
        return known

    async def publish_until_it_breaks(self) -> None:
        """One event after the other, until the server is gone."""
        while True:
            try:
                await self._one_call(1)
            except OSError:
                return

    async def _one_call(self, events: int) -> None:
        ids = [f"event-{self.published + number}" for number in range(events)]
        self.published += events
        results = await self.api.publish(self.event_type, ids)
        assert ids == [result["id"] for result in results]
        self.answered.update(ids)


async def prepare_publisher(api: Api, receiver: Receiver) -> Publisher:
    """A publisher whose events have one target, the receiver."""
    target = await api.create_target("audit", receiver.url)
    receiver.signing_keys = [target.signing_key]
    await api.set_execution(EVENT_TYPE, target.id)
    return Publisher(api, EVENT_TYPE)


def event_of(call: ReceivedCall) -> str:
    """The id of the event that a call brings."""
    return json.loads(call.body)["aggregateID"]


def calls_by_delivery(calls: Iterable[ReceivedCall]) -> Counter[str]:
    """How often each delivery came, by its signed id."""
    return Counter(call.header("webhook-id") for call in calls)


def unsigned(calls: Iterable[ReceivedCall]) -> list[ReceivedCall]:
    """Calls without a valid signature. The receiver has to know the signing keys."""
    return [call for call in calls if call.verified is None]


async def outcomes(api: Api, deliveries: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """How each attempt of these deliveries ended, in order, by delivery."""
    found: dict[str, list[str]] = {}
    for delivery in deliveries:
        attempts = (await api.delivery(delivery["id"]))["attempts"]
        assert [*range(1, len(attempts) + 1)] == [attempt["number"] for attempt in attempts]
        found[delivery["id"]] = [
            attempt["outcome"].removeprefix("OUTCOME_") for attempt in attempts
        ]
    return found


def tried_again(deliveries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with more than one attempt."""
    return [delivery for delivery in deliveries if delivery["attemptCount"] > 1]


def states_of(deliveries: Iterable[dict[str, Any]]) -> Counter[str]:
    """How many deliveries are in which state."""
    return Counter(delivery["state"].removeprefix("DELIVERY_STATE_") for delivery in deliveries)
