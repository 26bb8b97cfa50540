"""Conditions, from and to protobuf."""

from __future__ import annotations

from typing import Any

from protobuf import Oneof

from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.errors import InvalidRequest
from outrider_api.zitadel.action.v2 import execution_pb as pb

_MESSAGES = {
    ConditionKind.REQUEST: pb.RequestExecution,
    ConditionKind.RESPONSE: pb.ResponseExecution,
    ConditionKind.EVENT: pb.EventExecution,
}
# ZITADEL's error ids for a condition that is about nothing.
_NOTHING_SET_IDS = {
    ConditionKind.REQUEST: "COMMAND-3tkej630e6",
    ConditionKind.RESPONSE: "COMMAND-3tkej630e6",
    ConditionKind.FUNCTION: "COMMAND-5folwn5jws",
    ConditionKind.EVENT: "COMMAND-w5smb6v7qu",
}
_CHOICES = {
    ConditionKind.REQUEST: "method, service or all",
    ConditionKind.RESPONSE: "method, service or all",
    ConditionKind.FUNCTION: "name",
    ConditionKind.EVENT: "event, group or all",
}


def condition_from_proto(message: pb.Condition | None) -> Condition:
    """Raise `InvalidRequest` for a condition that is absent or about nothing."""
    chosen: Any = None if message is None else message.condition_type
    if chosen is None:
        raise InvalidRequest(
            "Execution condition is invalid",
            "ACTION-5r5Ju",
            reason="the condition is missing",
            hint="set request, response, function or event in it",
        )
    kind = ConditionKind(chosen.field)
    scope, value = _about(kind, chosen.value)
    if scope is not Scope.ALL and not value:
        raise _nothing_set(kind)
    return Condition(kind, scope, value)


def condition_to_proto(condition: Condition) -> pb.Condition:
    """The reverse of `condition_from_proto`."""
    if condition.kind is ConditionKind.FUNCTION:
        message: Any = pb.FunctionExecution(name=condition.value)
    else:
        value = True if condition.scope is Scope.ALL else condition.value
        chosen: Any = Oneof(condition.scope.value, value)
        message = _MESSAGES[condition.kind](condition=chosen)
    chosen_kind: Any = Oneof(condition.kind.value, message)
    return pb.Condition(condition_type=chosen_kind)


def _about(kind: ConditionKind, message: Any) -> tuple[Scope, str]:
    if kind is ConditionKind.FUNCTION:
        return Scope.NAME, message.name
    chosen = message.condition
    if chosen is None:
        raise _nothing_set(kind)
    return Scope(chosen.field), "" if chosen.field == "all" else chosen.value


def _nothing_set(kind: ConditionKind) -> InvalidRequest:
    return InvalidRequest(
        "Execution is invalid",
        _NOTHING_SET_IDS[kind],
        reason=f"the {kind} condition names nothing",
        hint=f"set {_CHOICES[kind]}",
    )
