"""Attempts in the log of deliveries.

The attempts are written as a worker writes them; no target is called.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.calls.service import Service
from api.calls.steps import ENDPOINT
from api.calls.table import EVERY_WIRE, Caller
from api.wires import Wire
from contracts.store.steps import claim, settle
from outrider.domain.calls.request import Stage
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.outcome import Outcome
from support.builders import a_settlement, an_attempt

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_wire = pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
PAYLOAD = '{"instanceID":"%s","event_type":"%s","created_at":"2026-01-02T03:04:05Z"}'


def shown(at: datetime) -> str:
    """A time as protobuf's JSON has it."""
    return at.isoformat().replace("+00:00", "Z")


async def pending_delivery(service: Service, word: str) -> dict[str, Any]:
    """A delivery that is due, as it is listed."""
    event = {"id": word, "eventType": f"{word}.happened", "createdAt": "2026-01-02T03:04:05Z"}
    await service.ask("PublishEvents", {"events": [{"eventType": event["eventType"]}]})
    target = {"name": word, "endpoint": ENDPOINT, "restWebhook": {}}
    target_id = (await service.ask("CreateTarget", target))["id"]
    condition = {"event": {"event": event["eventType"]}}
    await service.ask("SetExecution", {"condition": condition, "targets": [target_id]})
    await service.ask("PublishEvents", {"events": [event]})
    (delivery,) = (await service.ask("ListDeliveries", {"eventId": word}))["deliveries"]
    return dict(delivery)


@every_wire
async def test_a_delivery_is_shown_on_its_way(service: Service, wire: Wire):
    """
    Each state has a name and the times that belong to it, and the attempts tell what happened.
    """
    word = f"wire-{wire.replace('+', '-')}"
    due = await pending_delivery(service, word)
    started = service.clock.now
    in_a_minute = started + timedelta(minutes=1)

    async def listed() -> Any:
        search = {"eventId": word}
        return (await service.ask("ListDeliveries", search, wire=wire))["deliveries"]

    async def got() -> Any:
        return (await service.ask("GetDelivery", {"id": due["id"]}, Caller.VIEWER, wire))[
            "delivery"
        ]

    known = {name: value for name, value in due.items() if name not in {"state", "nextAttemptAt"}}
    await claim(service.store, now=started)
    assert [{**known, "state": "DELIVERY_STATE_DELIVERING"}] == await listed()

    failed = an_attempt(
        1, Outcome.FAILED, started_at=started, error="503? no: 500", body_prefix=b"\xff" * 2048
    )
    retry = a_settlement(due["id"], DeliveryState.RETRYING, attempt=failed, due_at=in_a_minute)
    await settle(service.store, retry, now=started)
    assert [
        {
            **known,
            "state": "DELIVERY_STATE_RETRYING",
            "attemptCount": 1,
            "nextAttemptAt": shown(in_a_minute),
        }
    ] == await listed()

    await claim(service.store, now=in_a_minute)
    accepted = an_attempt(2, started_at=in_a_minute, duration=timedelta(microseconds=1500))
    await settle(service.store, a_settlement(due["id"], attempt=accepted), now=in_a_minute)
    finished = {
        **known,
        "state": "DELIVERY_STATE_DELIVERED",
        "attemptCount": 2,
        "finishedAt": shown(in_a_minute),
    }
    assert [finished] == await listed()
    payload = PAYLOAD % (service.instance, f"{word}.happened")
    assert {
        **finished,
        "payload": b64encode(payload.encode()).decode(),
        "attempts": [
            {
                "number": 1,
                "startedAt": shown(started),
                "duration": "0.025s",
                "outcome": "OUTCOME_FAILED",
                "statusCode": 500,
                "error": "503? no: 500",
                "responseBodyPrefix": b64encode(b"\xff" * 2048).decode(),
                "stage": "answer",
            },
            {
                "number": 2,
                "startedAt": shown(in_a_minute),
                "duration": "0.001500s",
                "outcome": "OUTCOME_ACCEPTED",
                "statusCode": 200,
                "stage": "answer",
            },
        ],
    } == await got()


NOT_ANSWERED = {
    Outcome.UNREACHABLE: Stage.CONNECT,
    Outcome.BLOCKED: Stage.GUARD,
    Outcome.BUILD_FAILED: Stage.BUILD,
    Outcome.LOST: Stage.SEND,
}


@every_wire
@pytest.mark.parametrize("outcome", list(Outcome))
async def test_every_outcome_has_its_name(service: Service, wire: Wire, outcome: Outcome):
    """
    Who reads the log acts on the outcome; a status of 0 would look like one, so it is left out.
    """
    word = f"{outcome.name}-{wire.replace('+', '-')}"
    due = await pending_delivery(service, word)
    await claim(service.store, now=service.clock.now)
    stage = NOT_ANSWERED.get(outcome, Stage.ANSWER)
    attempt = an_attempt(outcome=outcome, stage=stage)
    await settle(service.store, a_settlement(due["id"], DeliveryState.DEAD, attempt=attempt))
    answer = await service.ask("GetDelivery", {"id": due["id"]}, wire=wire)
    (made,) = answer["delivery"]["attempts"]

    assert (f"OUTCOME_{outcome.name}", stage.value) == (made["outcome"], made["stage"])
    assert (outcome in NOT_ANSWERED) == ("statusCode" not in made)
    assert "DELIVERY_STATE_DEAD" == answer["delivery"]["state"]
