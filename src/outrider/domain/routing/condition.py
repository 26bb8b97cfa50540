"""The condition of an execution, and the id of the execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outrider.domain.ids import ExecutionId
from outrider.domain.routing.catalogue import Catalogue
from outrider.errors import InvalidRequest, NotFound

_GROUP_SUFFIX = ".*"


class ConditionKind(StrEnum):
    """What a condition is about: also the first part of the execution's id."""

    REQUEST = "request"
    RESPONSE = "response"
    FUNCTION = "function"
    EVENT = "event"


class Scope(StrEnum):
    """How much of its kind a condition covers."""

    METHOD = "method"
    SERVICE = "service"
    NAME = "name"
    """One function."""
    EVENT = "event"
    GROUP = "group"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Condition:
    """What an execution is set for. `value` is empty for `Scope.ALL`.

    A method is spelled `/package.Service/Method`, a group without its trailing `.*`.
    """

    kind: ConditionKind
    scope: Scope
    value: str = ""

    @property
    def execution_id(self) -> ExecutionId:
        """`<kind>/<value>`; a method brings its own slash, a group gets `.*`, all is the kind."""
        if self.scope is Scope.ALL:
            return ExecutionId(self.kind.value)
        value = self.value
        if self.scope is Scope.GROUP and not value.endswith(_GROUP_SUFFIX):
            value += _GROUP_SUFFIX
        return ExecutionId(f"{self.kind.value}/{value.removeprefix('/')}")


def condition_from_id(execution_id: ExecutionId) -> Condition:
    """The reverse of `Condition.execution_id`, for ids that it made."""
    kind_text, _, value = execution_id.partition("/")
    kind = ConditionKind(kind_text)
    if not value:
        return Condition(kind, Scope.ALL)
    if kind is ConditionKind.FUNCTION:
        return Condition(kind, Scope.NAME, value)
    if kind is ConditionKind.EVENT:
        if value.endswith(_GROUP_SUFFIX):
            return Condition(kind, Scope.GROUP, value.removesuffix(_GROUP_SUFFIX))
        return Condition(kind, Scope.EVENT, value)
    if "/" in value:
        return Condition(kind, Scope.METHOD, f"/{value}")
    return Condition(kind, Scope.SERVICE, value)


def read_condition_id(text: str) -> Condition:
    """The condition with this id, which a person wrote. Raise `InvalidRequest` for an id of none.

    A method may have its leading slash.
    """
    kind, slash, value = text.partition("/")
    value = value.removeprefix("/")
    kinds = ", ".join(ConditionKind)
    if kind not in set(ConditionKind):
        raise InvalidRequest(
            f"a condition begins with one of {kinds}, not {kind!r}",
            hint="write it as in event/user.human.added, request/package.Service/Method or response",
        )
    if not value and (slash or kind == ConditionKind.FUNCTION):
        raise InvalidRequest(
            f"the condition {text!r} names nothing after {kind}/",
            hint="name a function, or leave out the slash for every request, response or event",
        )
    return condition_from_id(ExecutionId(f"{kind}{slash}{value}"))


def event_lookup_id(event_type: str) -> ExecutionId:
    """What the router looks up when an event of this type is published."""
    return ExecutionId(f"{ConditionKind.EVENT.value}/{event_type}")


_UNKNOWN_IDS = {
    Scope.METHOD: "COMMAND-vysplsevt8",
    Scope.SERVICE: "COMMAND-qu6dfhiioq",
    Scope.NAME: "COMMAND-cdy39t0ksr",
    Scope.EVENT: "COMMAND-74aaqj8fv9",
    Scope.GROUP: "COMMAND-er5oneb5lz",
}
_UNKNOWN = {
    Scope.METHOD: "the catalogue has no method {}",
    Scope.SERVICE: "the catalogue has no service {}",
    Scope.NAME: "the catalogue has no function {}",
    Scope.EVENT: "the catalogue has no event type {}",
    Scope.GROUP: "no event type in the catalogue begins with {}",
}
_TO_ADD = {
    Scope.METHOD: "add it with `outrider catalogue add {}`; a method is /package.Service/Method",
    Scope.SERVICE: "add one of its methods with `outrider catalogue add`; a service is"
    " package.Service",
    Scope.NAME: "add it with `outrider catalogue add {} --kind function`",
    Scope.EVENT: "add it with `outrider catalogue add {} --kind event-type`, or publish an event of"
    " this type first",
    Scope.GROUP: "add an event type of the group with `outrider catalogue add`, or publish such an"
    " event first",
}


def exists(condition: Condition, catalogue: Catalogue) -> bool:
    """Whether the catalogue has what the condition is about."""
    known = {
        Scope.METHOD: catalogue.has_method,
        Scope.SERVICE: catalogue.has_service,
        Scope.NAME: catalogue.has_function,
        Scope.EVENT: catalogue.has_event_type,
        Scope.GROUP: catalogue.has_event_group,
    }
    return condition.scope is Scope.ALL or known[condition.scope](condition.value)


def unknown_condition(condition: Condition, suggestions: Sequence[str] = ()) -> NotFound:
    """The error for a condition about something that the catalogue does not have.

    Id and text are ZITADEL's. `suggestions` are names that may be meant.
    """
    meant = f"did you mean {' or '.join(suggestions)}? otherwise " if suggestions else ""
    return NotFound(
        "Execution condition is invalid",
        _UNKNOWN_IDS[condition.scope],
        reason=_UNKNOWN[condition.scope].format(condition.value),
        hint=meant + _TO_ADD[condition.scope].format(condition.value),
    )
