"""Functions: the body for targets, and the merged result of their responses.

See docs/contract.md#body-of-a-function. A list in a response replaces the earlier list; an absent
list leaves it. Nothing is concatenated. For ZITADEL's own functions only the lists that they know
count, and their names match in any case. A function that an application registered keeps all
members of a response.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outrider.domain.calls.classify import ForwardedError, forwarded_error
from outrider.domain.formats import go_json
from outrider.domain.formats.json_members import Number, pairs_of
from outrider.domain.ids import ExecutionId
from outrider.domain.interception.message import (
    InvalidResponse,
    JsonObject,
    parse_as_written,
    parse_json,
)
from outrider.domain.routing.condition import ConditionKind

SET_METADATA = "set_user_metadata"
APPEND_CLAIMS = "append_claims"
APPEND_LOG_CLAIMS = "append_log_claims"
APPEND_ATTRIBUTE = "append_attribute"

PREUSERINFO = "preuserinfo"
PREACCESSTOKEN = "preaccesstoken"
PRESAMLRESPONSE = "presamlresponse"

MAX_MEMBERS = 2_000
"""Members of a payload that has to be taken apart, because it has what is ours in it."""

_OURS = frozenset({"function", "response"})


def function_lookup_id(function: str) -> ExecutionId:
    """Return the id to look up in the router, which targets get too: `function/<name>`."""
    return ExecutionId(f"{ConditionKind.FUNCTION.value}/{function}")


@dataclass(slots=True)
class FunctionPayload:
    """The body for the targets of a function, and the result of their responses so far.

    `arguments` are what the application passes to the function: values, or the text of a JSON
    object. Numbers of a text arrive as they are written, and those of the result are `Number`.
    """

    function: str
    arguments: Mapping[str, object] | str = field(repr=False)
    result: JsonObject = field(default_factory=dict, repr=False)
    _has_result: bool = False
    _body: bytes | None = field(default=None, repr=False)

    def render(self) -> bytes:
        """Return the body for the next target; after the first response it has the result so far.

        Raise `ValueError` for arguments that JSON cannot express. The body is rendered again only
        after a response has changed the result.
        """
        if self._body is None:
            members = [f'"function":{go_json.quote(function_lookup_id(self.function))}']
            members += _argument_members(self.arguments)
            if self._has_result:
                members.append(f'"response":{self._print(self.result)}')
            self._body = ("{" + ",".join(members) + "}").encode()
        return self._body

    def forwarded_error(self, body: bytes, *, is_applied: bool) -> ForwardedError | None:  # noqa: ARG002 - as of a message
        """Return the error that the body of a 2xx answer forwards, by ZITADEL's rule."""
        return forwarded_error(body)

    def apply(self, body: bytes) -> None:
        """Lay the body of a response over the result; an empty body or `null` changes nothing.

        Raise `InvalidResponse`; then nothing has changed.
        """
        if not body:
            return
        value = self._parse(body)
        if value is None:
            return
        if not isinstance(value, dict):
            raise InvalidResponse("the answer is not a JSON object")
        self.result = {**self.result, **_known_lists(self.function, value)}
        self._has_result, self._body = True, None

    @property
    def _parse(self) -> Callable[[bytes], Any]:
        return parse_as_written if isinstance(self.arguments, str) else parse_json

    @property
    def _print(self) -> Callable[[object], str]:
        return go_json.dumps_as_read if isinstance(self.arguments, str) else go_json.dumps


def _argument_members(arguments: Mapping[str, object] | str) -> Sequence[str]:
    """The members of the body that are the application's, each as text."""
    if isinstance(arguments, str):
        return _members_of_text(arguments)
    given = {name: value for name, value in arguments.items() if name not in _OURS}
    return [go_json.dumps(given)[1:-1]] if given else []


def _members_of_text(text: str) -> Sequence[str]:
    # An escape could hide one of the names.
    if not any(f'"{name}"' in text for name in _OURS) and "\\u" not in text:
        members = go_json.compact(text).strip()[1:-1]
        return [members] if members else []
    pairs = pairs_of(text)
    if len(pairs) > MAX_MEMBERS:
        raise ValueError(f"more than {MAX_MEMBERS} members")
    return [
        f"{go_json.escape(name.text)}:{go_json.compact(value.text)}"
        for name, value in pairs
        if name.parsed not in _OURS
    ]


def knows(function: str, list_name: str) -> bool:
    """Whether responses to this function are checked for this list; others hold any JSON."""
    return list_name in _CHECKS.get(function, ())


def _known_lists(function: str, members: JsonObject) -> JsonObject:
    checks = _CHECKS.get(function)
    if checks is None:
        return members
    # Go matches the names of fields in any case.
    by_name = {go_json.folded(name): value for name, value in members.items()}
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
        return [check(element) for element in value]
    except TypeError as failure:
        raise InvalidResponse(f"{name} of the answer: {failure}") from None


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Number):
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
        "value": [_text(element, "an element of value") for element in values],
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
