"""Parse durations, instants and conditions of the command line. A text that does not parse is a usage error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import typer

from outrider.domain.ids import ExecutionId
from outrider.domain.routing.condition import Condition, ConditionKind, Scope, condition_from_id

if TYPE_CHECKING:
    from outrider_api.zitadel.action.v2.execution_pb import Condition as ConditionMessage

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)?")

# From the names of protojson to those of conditions.
_SCOPES = {
    "method": Scope.METHOD,
    "service": Scope.SERVICE,
    "event": Scope.EVENT,
    "group": Scope.GROUP,
    "name": Scope.NAME,
    "all": Scope.ALL,
}


def parse_duration(text: str, option: str) -> timedelta:
    """`10s`, `500ms`, `2m`, `1.5h`, `30d`; a number alone is seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"{text!r} is no duration such as 10s, 500ms, 2m, 1h or 30d"
        raise typer.BadParameter(message, param_hint=option)
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])


def parse_instant(text: str, option: str, also: str = "") -> datetime:
    """A date and time as in RFC 3339. Without a zone it is UTC. `also` begins the list of valid forms."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time such as {also}2030-01-31T12:00:00Z"
        raise typer.BadParameter(message, param_hint=option) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def parse_deadline(text: str, option: str, now: datetime) -> datetime:
    """A duration from now, or a date and time."""
    if not _DURATION.fullmatch(text):
        return parse_instant(text, option, "30d (from now) or ")
    try:
        return now + parse_duration(text, option)
    except OverflowError:
        raise typer.BadParameter(
            f"{text!r} is after the year 9999: give an earlier time", param_hint=option
        ) from None


def parse_past(text: str, option: str, now: datetime) -> datetime:
    """A duration before now, or a date and time."""
    if not _DURATION.fullmatch(text):
        return parse_instant(text, option, "2h (ago) or ")
    try:
        return now - parse_duration(text, option)
    except OverflowError:
        raise typer.BadParameter(
            f"{text!r} is before the year 1: give a later time", param_hint=option
        ) from None


def parse_condition(text: str) -> Condition:
    """A condition as executions are stored and listed, such as `event/user.human.added`."""
    kind, slash, value = text.partition("/")
    try:
        condition = condition_from_id(ExecutionId(f"{kind}{slash}{value.removeprefix('/')}"))
    except ValueError:
        kinds = ", ".join(ConditionKind)
        message = f"{text!r} does not begin with one of {kinds}"
        raise typer.BadParameter(message, param_hint="CONDITION") from None
    nothing_named = condition.scope is Scope.ALL and (
        slash or condition.kind is ConditionKind.FUNCTION
    )
    if nothing_named:
        message = f"{text!r} names nothing after the kind"
        raise typer.BadParameter(message, param_hint="CONDITION")
    return condition


def condition_message(condition: Condition) -> ConditionMessage:
    """The condition as the API takes it."""
    import json  # noqa: PLC0415 - the command line starts fast because it imports late

    from outrider_api.zitadel.action.v2.execution_pb import (  # noqa: PLC0415
        Condition as ConditionMessage,
    )

    scope = condition.scope.value
    content: dict[str, str | Literal[True]] = {scope: condition.value or True}
    return ConditionMessage.from_json(json.dumps({condition.kind.value: content}))


def condition_id(document: Mapping[str, Any]) -> str:
    """The id of a condition that came as protojson; empty for one of a kind not known here."""
    for kind in ConditionKind:
        for name, scope in _SCOPES.items():
            value = document.get(kind.value, {}).get(name)
            if value:
                return Condition(kind, scope, "" if scope is Scope.ALL else value).execution_id
    return ""
