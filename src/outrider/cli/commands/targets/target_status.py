# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Describe a target of a response: its kind, its payload, and whether it is suspended.

A suspended target is not called: it is paused, or its breaker is not closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import typer

from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.output import short_time, text_of

MAX_SUSPENDED = 1000
"""How many suspended targets a server lists in one response."""

Suspension = Mapping[str, Any]
"""The fields of a target that tell why it is suspended; empty when it is not."""


class Kind(StrEnum):
    """The type of a target: how it is called and how its answer is used."""

    WEBHOOK = "webhook"
    CALL = "call"
    ASYNC = "async"


class Payload(StrEnum):
    """The payload type of a target."""

    JSON = "json"
    JWT = "jwt"
    JWE = "jwe"


_KIND_FIELDS = {Kind.WEBHOOK: "restWebhook", Kind.CALL: "restCall", Kind.ASYNC: "restAsync"}
_PAUSED, _OPEN = "pausedAt", "breakerOpenUntil"


def kind_of(target: Mapping[str, Any]) -> Kind | None:
    """The kind of a target that came as protojson; None for one that is not known here."""
    return next((kind for kind, field in _KIND_FIELDS.items() if field in target), None)


def interrupts(target: Mapping[str, Any]) -> bool:
    """Return whether a failure of it stops the execution."""
    return any(
        target.get(field, {}).get("interruptOnError", False) for field in _KIND_FIELDS.values()
    )


def type_message(kind: Kind, *, interrupt_on_error: bool) -> Any:
    """Return the `target_type` of a request."""
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.target_pb import RESTAsync, RESTCall, RESTWebhook

    if kind is Kind.ASYNC and interrupt_on_error:
        raise typer.BadParameter(
            "no caller waits for an async target: leave out --interrupt-on-error"
        )
    if kind is Kind.WEBHOOK:
        return Oneof("rest_webhook", RESTWebhook(interrupt_on_error=interrupt_on_error))
    if kind is Kind.CALL:
        return Oneof("rest_call", RESTCall(interrupt_on_error=interrupt_on_error))
    return Oneof("rest_async", RESTAsync())


def fetch_suspensions(server: RemoteServer) -> dict[str, Suspension]:
    """Return why each suspended target is not called, by ids; the first `MAX_SUSPENDED` if there are more.

    Raises:
        CommandError: the server refused or did not answer.
    """
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    request = GetDeliveryStatsRequest(max_targets=1, max_suspended_targets=MAX_SUSPENDED)
    stats = server.call(server.deliveries.get_delivery_stats, request)
    return {
        text_of(target, "targetId"): suspension_of(target) for target in suspended_targets(stats)
    }


def suspended_targets(stats: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The suspended targets in the response of `GetDeliveryStats`."""
    targets: Iterable[Mapping[str, Any]] = stats.get("suspendedTargets", ())
    return targets


def suspension_of(target: Mapping[str, Any]) -> Suspension:
    """The fields of a target, or of its policy, that tell why it is suspended."""
    return {name: target[name] for name in (_PAUSED, _OPEN) if name in target}


def suspension_state(suspension: Suspension, now: datetime | None = None) -> str:
    """In a word or two; empty when the target is not suspended. `now` None: as the clock shows."""
    states = ["paused"] if _PAUSED in suspension else []
    if _OPEN in suspension:
        from outrider.runtime import utc_now

        is_open = parse_timestamp(text_of(suspension, _OPEN)) > (now or utc_now())
        states.append("breaker open" if is_open else "breaker half open")
    return ", ".join(states)


def suspension_times(suspension: Suspension) -> str:
    """Since when, and until when."""
    paused, until = (short_time(text_of(suspension, name)) for name in (_PAUSED, _OPEN))
    times = [f"since {paused}" if paused else "", f"until {until}" if until else ""]
    return ", ".join(time for time in times if time)


def parse_timestamp(timestamp: str) -> datetime:
    """A timestamp of protojson: some have nine digits behind the point, and Python reads six."""
    seconds, _, fraction = timestamp.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return at + timedelta(seconds=float(f"0.{fraction or 0}"))
