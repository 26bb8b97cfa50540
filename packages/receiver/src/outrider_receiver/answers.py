"""Answers of a handler, and the bodies that they become.

| kind | answers |
|---|---|
| event | nothing: an event cannot be refused. An exception has it sent again |
| request, response | nothing, a whole message (`replace`), or `refuse` |
| function | nothing, an `Answer`, or `refuse` |
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MIN_STATUS, _MAX_STATUS = 400, 599
_FORWARDED = ("forwardedStatusCode", "forwardedErrorMessage")


class Refusal(Exception):
    """The caller of the application is told no. Return it or raise it; see `refuse`."""

    def __init__(self, status: int, message: str) -> None:
        if not _MIN_STATUS <= status <= _MAX_STATUS:
            raise ValueError("a refusal has a status from 400 to 599")
        if not message:
            raise ValueError("a refusal says why: its message is shown to the caller")
        super().__init__(message)
        self.status: int = status
        self.message: str = message


def refuse(status: int, message: str) -> Refusal:
    """Stop the call. Return what this gives, or raise it.

    It reaches the caller of the application, if the target interrupts on errors; the message too.
    400, 401, 403, 404, 409 and 429 keep their meaning; other 4xx become an unknown error, 5xx a
    failed precondition.

    Raises:
        ValueError: the status is not one of an error, or the message is empty.
    """
    return Refusal(status, message)


def replace(message: Mapping[str, Any], /, **changes: Any) -> dict[str, Any]:
    """The whole message with some members changed.

    An answer replaces the message, it is not merged: what is left out becomes empty.
    """
    return {**message, **changes}


@dataclass(frozen=True)
class Attribute:
    """One attribute of a SAML assertion."""

    name: str
    values: tuple[str, ...]
    name_format: str = ""


@dataclass(frozen=True)
class Answer:
    """Additions by a function. Each part that is given replaces that part of earlier targets' answers."""

    claims: Mapping[str, Any] = field(default_factory=dict)
    """For preuserinfo and preaccesstoken: any JSON by name. A claim that exists is not changed."""

    log: Sequence[str] = ()
    """For preuserinfo and preaccesstoken: lines for the log claim."""

    metadata: Mapping[str, bytes | str] = field(default_factory=dict)
    """Written to the user. Text is sent as UTF-8."""

    attributes: Mapping[str, Sequence[str]] | Sequence[Attribute] = ()
    """For presamlresponse: values by name, or attributes with a format of their names."""


def render(function: str, answer: object) -> bytes:
    """The body for what a function's handler returned. None is empty: nothing changes.

    Raises:
        TypeError: it is not of this function, or JSON has no words for it.
    """
    if answer is None:
        return b""
    if not isinstance(answer, Answer):
        return render_message(answer)
    if isinstance(answer.log, str):
        raise TypeError("log is a list of lines, not one text")
    saml = function == "function/presamlresponse"
    if saml and (answer.claims or answer.log):
        raise TypeError("a SAML assertion has attributes, not claims or a log")
    if not saml and answer.attributes:
        raise TypeError("a token has claims, not attributes")
    return _json(_lists(answer))


def render_message(answer: object) -> bytes:
    """The body for what a request's or response's handler returned. None is empty: nothing changes.

    Raises:
        TypeError: it is not a mapping, or JSON has no words for it.
        ValueError: it would be read as a refusal.
    """
    if answer is None:
        return b""
    if not isinstance(answer, Mapping):
        raise TypeError(f"return the whole message, refuse(), or None; not {type(answer).__name__}")
    if any(answer.get(name) for name in _FORWARDED):
        raise ValueError("a message with these names is read as a refusal: use refuse()")
    return _json(dict(answer))


def render_refusal(refusal: Refusal) -> bytes:
    """The body that makes the call fail."""
    return _json(dict(zip(_FORWARDED, (refusal.status, refusal.message))))  # noqa: B905 - of 3.10


def _lists(answer: Answer) -> dict[str, Any]:
    lists: dict[str, Any] = {}
    if answer.metadata:
        lists["set_user_metadata"] = [
            {"key": name, "value": b64encode(_octets(value)).decode()}
            for name, value in answer.metadata.items()
        ]
    if answer.claims:
        lists["append_claims"] = [
            {"key": name, "value": value} for name, value in answer.claims.items()
        ]
    if answer.log:
        lists["append_log_claims"] = list(answer.log)
    if answer.attributes:
        lists["append_attribute"] = [
            {
                "name": attribute.name,
                "name_format": attribute.name_format,
                "value": list(attribute.values),
            }
            for attribute in _attributes(answer.attributes)
        ]
    return lists


def _attributes(given: Mapping[str, Sequence[str]] | Sequence[Attribute]) -> Sequence[Attribute]:
    if not isinstance(given, Mapping):
        return given
    for name, values in given.items():
        if isinstance(values, str):
            raise TypeError(f"the values of {name} are a list of texts, not one text")
    return [Attribute(name, tuple(values)) for name, values in given.items()]


def _octets(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as failure:
        raise TypeError(f"JSON has no words for the answer: {failure}") from None
