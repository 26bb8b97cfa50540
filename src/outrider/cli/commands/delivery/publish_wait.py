# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The first attempts for events that were just published: `outrider event publish --wait`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from outrider.cli.commands.delivery.delivery import print_attempts
from outrider.cli.commands.delivery.states import STATE_PREFIX
from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import printable, short_enum, text_of

MAX_EVENTS = 20
WAIT_S = 60.0
POLL_INTERVAL_S = 0.05
MAX_PAGE = 1000
_UNTRIED = {f"{STATE_PREFIX}PENDING", f"{STATE_PREFIX}DELIVERING"}


def first_attempts(server: RemoteServer, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every delivery of these events, after the first attempt of each.

    Raises:
        CommandError: some were not attempted within a minute.
    """
    deadline = time.monotonic() + WAIT_S
    return [
        _read_delivery(server, text_of(delivery, "id"))
        for result in results
        if result.get("deliveries")
        for delivery in _wait_until_attempted(server, text_of(result, "id"), deadline)
    ]


def print_first_attempts(deliveries: Sequence[dict[str, Any]]) -> None:
    """For people."""
    for delivery in deliveries:
        state = short_enum(text_of(delivery, "state"), STATE_PREFIX)
        target = printable(text_of(delivery, "targetId"))
        print(f"\nDelivery {text_of(delivery, 'id')} to target {target}: {state}")
        print_attempts(delivery)


def all_delivered(deliveries: Sequence[dict[str, Any]]) -> bool:
    """Return whether the first attempt of each was accepted."""
    return all(delivery.get("state") == f"{STATE_PREFIX}DELIVERED" for delivery in deliveries)


def _wait_until_attempted(
    server: RemoteServer, event_id: str, deadline: float
) -> list[dict[str, Any]]:
    from outrider_api.outrider.v1.delivery_service_pb import ListDeliveriesRequest

    request = ListDeliveriesRequest(event_id=event_id, page_size=MAX_PAGE)
    while True:
        response = server.call(server.deliveries.list_deliveries, request)
        deliveries: list[dict[str, Any]] = response.get("deliveries", [])
        if not any(delivery.get("state") in _UNTRIED for delivery in deliveries):
            return deliveries
        if time.monotonic() > deadline:
            raise CommandError(
                f"event {event_id} was not attempted within {WAIT_S:g} s",
                f"see `outrider delivery list --event-id {event_id}`",
            )
        time.sleep(POLL_INTERVAL_S)


def _read_delivery(server: RemoteServer, delivery_id: str) -> dict[str, Any]:
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryRequest

    response = server.call(server.deliveries.get_delivery, GetDeliveryRequest(id=delivery_id))
    delivery: dict[str, Any] = response.get("delivery", {})
    return delivery
