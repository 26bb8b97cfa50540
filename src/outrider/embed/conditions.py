"""The conditions for which an execution can be set."""

from __future__ import annotations

from outrider.domain.routing.condition import Condition, ConditionKind, Scope, read_condition_id
from outrider.errors import InvalidRequest


def on_request(method: str = "", *, service: str = "") -> Condition:
    """Requests of a method, `/package.Service/Method`, of a service, `package.Service`, or all."""
    return _call(ConditionKind.REQUEST, method, service)


def on_response(method: str = "", *, service: str = "") -> Condition:
    """Responses, named as `on_request` names requests."""
    return _call(ConditionKind.RESPONSE, method, service)


def on_function(name: str) -> Condition:
    """Calls of a function, such as `preuserinfo`."""
    return Condition(ConditionKind.FUNCTION, Scope.NAME, name)


def on_event(event_type: str = "", *, group: str = "") -> Condition:
    """Events of a type, of a group (`order` for `order.*`), or all.

    Raises:
        InvalidRequest: both a type and a group are given.
    """
    if event_type and group:
        raise InvalidRequest("name an event type or a group, not both")
    if group:
        return Condition(ConditionKind.EVENT, Scope.GROUP, group.removesuffix(".*"))
    if event_type:
        return Condition(ConditionKind.EVENT, Scope.EVENT, event_type)
    return Condition(ConditionKind.EVENT, Scope.ALL)


def read_condition(condition: Condition | str) -> Condition:
    """Return the condition, or the one with this id, such as `request/acme.Orders/Create`.

    Raise `InvalidRequest` for an id that none has.
    """
    if isinstance(condition, Condition):
        return condition
    return read_condition_id(condition)


def _call(kind: ConditionKind, method: str, service: str) -> Condition:
    if method and service:
        raise InvalidRequest("name a method or a service, not both")
    if method:
        return Condition(kind, Scope.METHOD, f"/{method.removeprefix('/')}")
    return Condition(kind, Scope.SERVICE, service) if service else Condition(kind, Scope.ALL)
