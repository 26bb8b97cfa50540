# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Kinds of targets and payloads, as people write them and as the API does."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import typer


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
    return any(target.get(each, {}).get("interruptOnError", False) for each in _FIELDS.values())


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
