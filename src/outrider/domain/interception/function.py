"""Functions: what targets are told, and how their answers add up (sheet, section 3.9).

Each answer is laid over those before it: a list that is there replaces the earlier one, a list that
is absent leaves it. Nothing is concatenated. For ZITADEL's own functions only the lists that they
know count, in any case of their letters; a function that an application registered keeps whatever
its targets answer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outrider.domain.formats import go_json
from outrider.domain.ids import ExecutionId
from outrider.domain.interception.message import InvalidResponse, JsonObject, parse_json
from outrider.domain.routing.condition import ConditionKind

SET_METADATA = "set_user_metadata"
APPEND_CLAIMS = "append_claims"
APPEND_LOG_CLAIMS = "append_log_claims"
APPEND_ATTRIBUTE = "append_attribute"

PREUSERINFO = "preuserinfo"
PREACCESSTOKEN = "preaccesstoken"
PRESAMLRESPONSE = "presamlresponse"

_OURS = frozenset({"function", "response"})


def function_lookup_id(function: str) -> ExecutionId:
    """What the router is asked for, and what targets are told: `function/<name>`."""
    return ExecutionId(f"{ConditionKind.FUNCTION.value}/{function}")


@dataclass(slots=True)
class FunctionAnswers:
    """One run of a function: what the next target is told, and the answers so far."""

    function: str
    payload: Mapping[str, object] = field(repr=False)
    answer: JsonObject = field(default_factory=dict, repr=False)
    _answered: bool = False

    def render(self) -> bytes:
        """Return the body for the next target; from the first answer on it shows what came.

        Raise `ValueError` for a payload that JSON has no words for.
        """
        body: dict[str, object] = {"function": function_lookup_id(self.function)}
        body.update((name, value) for name, value in self.payload.items() if name not in _OURS)
        if self._answered:
            body["response"] = self.answer
        return go_json.dumps(body).encode()

    def apply(self, body: bytes) -> None:
        """Lay an answer over the earlier ones; an empty body or `null` changes nothing.

        Raise `InvalidResponse`; then nothing has changed.
        """
        if not body:
            return
        value = parse_json(body)
        if value is None:
            return
        if not isinstance(value, dict):
            raise InvalidResponse("the answer is not a JSON object")
        self.answer = {**self.answer, **_known_lists(self.function, value)}
        self._answered = True


def knows(function: str, list_name: str) -> bool:
    """Whether answers to this function were checked for this list; others hold just anything."""
    return list_name in _CHECKS.get(function, ())


def _known_lists(function: str, answer: JsonObject) -> JsonObject:
    checks = _CHECKS.get(function)
    if checks is None:
        return answer
    # Go matches the names of fields in any case.
    by_name = {go_json.folded(name): value for name, value in answer.items()}
    return {
        name: _checked_list(name, by_name[name], check)
        for name, check in checks.items()
        if name in by_name
    }


def _checked_list(name: str, value: object, check: Callable[[Any], object]) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidResponse(f"{name} of the answer is not a list")
    try:
        return [check(each) for each in value]
    except TypeError as failure:
        raise InvalidResponse(f"{name} of the answer: {failure}") from None


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{what} is not a string")
    return value


def _members(value: object) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError("an element is not an object")
    return {go_json.folded(name): member for name, member in value.items()}


def _metadata(value: object) -> JsonObject:
    members = _members(value)
    # Go takes lines of Base64.
    encoded = _text(members.get("value"), "value").replace("\r", "").replace("\n", "")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise TypeError("value is not Base64") from None
    named = _text(members.get("key"), "key")
    return {"key": named, "value": base64.b64encode(decoded).decode()}


def _claim(value: object) -> JsonObject:
    members = _members(value)
    return {"key": _text(members.get("key"), "key"), "value": members.get("value")}


def _log_entry(value: object) -> str:
    return _text(value, "an element")


def _attribute(value: object) -> JsonObject:
    members = _members(value)
    values = members.get("value")
    if values is None:
        values = []
    if not isinstance(values, list):
        raise TypeError("value is not a list")
    return {
        "name": _text(members.get("name"), "name"),
        "name_format": _text(members.get("name_format"), "name_format"),
        "value": [_text(each, "an element of value") for each in values],
    }


_TOKEN_LISTS: dict[str, Callable[[Any], object]] = {
    SET_METADATA: _metadata,
    APPEND_CLAIMS: _claim,
    APPEND_LOG_CLAIMS: _log_entry,
}
_CHECKS: dict[str, dict[str, Callable[[Any], object]]] = {
    PREUSERINFO: _TOKEN_LISTS,
    PREACCESSTOKEN: _TOKEN_LISTS,
    PRESAMLRESPONSE: {SET_METADATA: _metadata, APPEND_ATTRIBUTE: _attribute},
}
