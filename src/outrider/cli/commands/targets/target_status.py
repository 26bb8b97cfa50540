# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Whether targets are called: paused ones, and those whose breaker is not closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import typer

from outrider.cli.remote.client import Server
from outrider.cli.terminal.output import short_time, text_of

MOST = 1000
"""So many a server tells at once."""
_PAUSED, _OPEN = "pausedAt", "breakerOpenUntil"

Hold = Mapping[str, Any]
"""The parts of an answer that tell of one target what holds it; none of them: nothing does."""


def fetch_suspensions(server: Server) -> dict[str, Hold]:
    """What holds each target that is held, by ids; of more than `MOST` the first.

    Raises:
        CommandError: the server refused or did not answer.
    """
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    request = GetDeliveryStatsRequest(max_targets=1, max_suspended_targets=MOST)
    answer = server.ask(server.deliveries.get_delivery_stats, request)
    return {text_of(each, "targetId"): suspension_of(each) for each in suspended_in(answer)}


def suspended_in(stats: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The targets that an answer says are held."""
    found: Iterable[Mapping[str, Any]] = stats.get("suspendedTargets", ())
    return found


def suspension_of(part: Mapping[str, Any]) -> Hold:
    """What an answer says of one target."""
    return {name: part[name] for name in (_PAUSED, _OPEN) if name in part}


def state_of(part: Hold, now: datetime | None = None) -> str:
    """In a word or two; empty when nothing holds it. `now` None: as the clock shows."""
    said = ["paused"] if _PAUSED in part else []
    if _OPEN in part:
        from outrider.runtime import utc_now

        is_open = moment_of(text_of(part, _OPEN)) > (now or utc_now())
        said.append("breaker open" if is_open else "breaker half open")
    return ", ".join(said)


def times_of(part: Hold) -> str:
    """Since when, and until when."""
    paused, until = (short_time(text_of(part, each)) for each in (_PAUSED, _OPEN))
    said = [f"since {paused}" if paused else "", f"until {until}" if until else ""]
    return ", ".join(each for each in said if each)


def moment_of(timestamp: str) -> datetime:
    """A timestamp of protojson: some have nine digits behind the point, and Python reads six."""
    seconds, _, fraction = timestamp.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return at + timedelta(seconds=float(f"0.{fraction or 0}"))


class Kind(StrEnum):
    """How a target is called and what its answer means."""

    WEBHOOK = "webhook"
    CALL = "call"
    ASYNC = "async"


class Payload(StrEnum):
    """How the payload travels."""

    JSON = "json"
    JWT = "jwt"
    JWE = "jwe"


_FIELDS = {Kind.WEBHOOK: "restWebhook", Kind.CALL: "restCall", Kind.ASYNC: "restAsync"}


def kind_of(target: Mapping[str, Any]) -> Kind | None:
    """The kind of a target that came as protojson; None for one that is not known here."""
    return next((kind for kind, field in _FIELDS.items() if field in target), None)


def interrupts(target: Mapping[str, Any]) -> bool:
    """Whether a failure of it stops the execution."""
    return any(target.get(field, {}).get("interruptOnError", False) for field in _FIELDS.values())


def type_message(kind: Kind, *, interrupt_on_error: bool) -> Any:
    """What goes into `target_type` of a request."""
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.target_pb import RESTAsync, RESTCall, RESTWebhook

    if kind is Kind.ASYNC and interrupt_on_error:
        raise typer.BadParameter("nobody waits for an async target: it cannot interrupt")
    if kind is Kind.WEBHOOK:
        return Oneof("rest_webhook", RESTWebhook(interrupt_on_error=interrupt_on_error))
    if kind is Kind.CALL:
        return Oneof("rest_call", RESTCall(interrupt_on_error=interrupt_on_error))
    return Oneof("rest_async", RESTAsync())
