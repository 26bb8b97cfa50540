"""Check a target's answer to a request or a response: empty, the message, or a forwarded error.

A misspelled refusal is a failure of the target, never data. So is an answer that violates the
schema of the method. Functions and events have ZITADEL's rule instead
(`domain.calls.classify.forwarded_error`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

from outrider.domain.calls.classify import ForwardedError
from outrider.domain.formats import go_json
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES, check_values
from outrider.domain.formats.json_members import Number
from outrider.domain.formats.json_text import (
    Pointer,
    bare,
    pairs_of,
    pointer_text,
    read,
    steps_of,
    values_at,
)
from outrider.domain.interception.message import InvalidResponse

STATUS, MESSAGE = "forwardedStatusCode", "forwardedErrorMessage"
_SPELLINGS = {bare(STATUS): STATUS, bare(MESSAGE): MESSAGE}
# How names look after folding; the others only at their beginning, as members have it.
_STATUS_WORD, _MESSAGE_WORD = (word.encode() for word in _SPELLINGS)
_OTHER_WORDS = re.compile(rb'"(?:allow|denied"|error"|action")')
# U+017F and U+212A, which are `s` and `k` in another case.
_OTHER_LETTERS = (b"\xc5\xbf", b"\xe2\x84\xaa")
_INTEGRAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MAX_DIGITS = 40
_INT64 = range(-(2**63), 2**63)


class Answer:
    """The body of an answer that is a JSON object, and the message that it is to replace."""

    __slots__ = ("_previous", "_previous_text", "_show_previous", "members", "text")

    def __init__(self, text: str, members: dict[str, Any], previous: Callable[[], str]) -> None:
        self.text = text
        self.members = members
        self._show_previous = previous
        self._previous_text: str | None = None
        self._previous: Any = None

    @property
    def previous_text(self) -> str:
        """The message as it was, as JSON, made when it is needed first: nearly no answer needs it."""
        if self._previous_text is None:
            self._previous_text = self._show_previous()
            self._previous = read(self._previous_text)
        return self._previous_text

    @property
    def previous(self) -> Any:
        """The message as it was."""
        return self._previous if self.previous_text else None

    def had(self, pointer: Pointer) -> list[Any]:
        """What the message had at this place; nothing: it had no such member."""
        return values_at(self.previous, steps_of(pointer))


class MessageSchema(Protocol):
    """What the catalogue knows about the messages of a method, in one direction."""

    def has_member(self, name: str) -> bool:
        """Whether the message may have this member, outermost."""
        ...

    def check(self, answer: Answer) -> None:
        """Raise `InvalidResponse`, naming place and rule, for an answer that violates it."""
        ...


@runtime_checkable
class KnowsMembers(Protocol):
    """A `MessageType` that knows what its messages may have, also those that are not there now."""

    def has_member(self, name: str, /) -> bool:
        """Whether a message may have this member, outermost, in any spelling that `parse` takes."""
        ...


def check_response(
    body: bytes,
    previous: Callable[[], str],
    schema: MessageSchema | None = None,
    *,
    is_applied: bool = True,
    has_member: Callable[[str], bool] | None = None,
) -> ForwardedError | None:
    """Return the error that the body of a 2xx answer forwards, None when it does not refuse.

    `previous` gives the message as it was, as JSON. `is_applied` is whether the body replaces the
    message; of one that does not, only a refusal counts. `has_member` says what a message of the
    method may have, should more be known than the schema. What is no JSON object is left to those
    who apply it.

    Raises:
        InvalidResponse: a refusal is misspelled, or the schema is violated.
    """
    has_forwarded, may_refuse = _suspicions(body)
    is_checked = is_applied and schema is not None
    if not body or not (has_forwarded or may_refuse or is_checked):
        return None
    answer = _read(body, previous, has_forwarded=has_forwarded)
    if answer is None:
        return None
    forwarded = _forwarded(answer) if has_forwarded else None
    if forwarded is not None:
        return forwarded
    if may_refuse:
        in_schema = None if schema is None else schema.has_member
        _check_other_refusals(answer, has_member or in_schema)
    if is_applied and schema is not None:
        try:
            schema.check(answer)
        except RecursionError:
            raise InvalidResponse("the answer is nested too deep") from None
    return None


def _suspicions(body: bytes) -> tuple[bool, bool]:
    """Whether a body may have a forwarded error, and whether it may refuse in other words.

    Nearly no answer does: most are never read here. An escape may spell any letter, and two signs
    beyond ASCII are letters of it in another case.
    """
    folded = body.lower()
    if b"_" in folded or b"-" in folded:
        folded = folded.translate(None, b"_-")
    # `in` is slow for two bytes, and quick for one.
    is_hidden = b"\\" in folded and b"\\u" in folded
    if not is_hidden and not folded.isascii():
        is_hidden = any(sign in folded for sign in _OTHER_LETTERS)
    if is_hidden:
        return True, True
    has_forwarded = _STATUS_WORD in folded or _MESSAGE_WORD in folded
    return has_forwarded, _OTHER_WORDS.search(folded) is not None


def _read(body: bytes, previous: Callable[[], str], *, has_forwarded: bool) -> Answer | None:
    """Return the answer; None when it is no object. A refusal that cannot be read is a failure."""
    try:
        check_values(body)
    except ValueError:
        raise InvalidResponse(f"the answer has more than {MAX_JSON_VALUES} values") from None
    # What is not UTF-8 may refuse as well.
    text = body.decode("utf-8", "replace")
    try:
        value = read(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        return Answer(text, value, previous)
    if has_forwarded and _has_word(value):
        raise InvalidResponse(
            "the answer is no JSON object, and has the words of a forwarded error"
        )
    return None


def _has_word(value: object) -> bool:
    folded = bare(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return any(word in folded for word in _SPELLINGS)


def _forwarded(answer: Answer) -> ForwardedError | None:
    found: dict[str, Any] = {}
    for name, value in pairs_of(answer.members):
        exact = _SPELLINGS.get(bare(name))
        if exact is None:
            continue
        if name != exact:
            raise InvalidResponse(f"the answer refuses with a member that is not spelled {exact}")
        if name in found:
            raise InvalidResponse(f"the answer has {exact} twice")
        found[name] = value
    for pointer, exact in _deeper(answer.members):
        if not answer.had(pointer):
            where = pointer_text(pointer)
            raise InvalidResponse(f"the answer refuses with {where}: {exact} must be outermost")
    status, message = _status(found.get(STATUS)), found.get(MESSAGE)
    if message is None:
        message = ""
    if type(message) is not str:
        raise InvalidResponse(f"{MESSAGE} of the answer is not a string")
    if not status and not message:
        return None
    return ForwardedError(status, go_json.with_whole_pairs(message))


def _status(value: Any) -> int:
    if value is None:
        return 0
    status = _integral(value) if isinstance(value, str) else None
    if status is None:
        raise InvalidResponse(f"{STATUS} of the answer is not an integer")
    return status


def _integral(digits: str) -> int | None:
    """The integer that digits are, a fraction of zeros or an exponent included."""
    if len(digits) > _MAX_DIGITS or not _INTEGRAL.fullmatch(digits):
        return None
    number = float(digits)
    # An exponent may make it as long as it likes: a float says so before it is written out.
    if abs(number) > _INT64.stop or not number.is_integer():
        return None
    value = int(digits) if digits.lstrip("-").isdigit() else int(number)
    return value if value in _INT64 else None


def _deeper(members: dict[str, Any]) -> Iterator[tuple[Pointer, str]]:
    """Members below the outermost ones that have the name of a part of a forwarded error."""
    left: list[tuple[Pointer, Any]] = [((None, name), value) for name, value in pairs_of(members)]
    while left:
        pointer, value = left.pop()
        if isinstance(value, dict):
            for name, member in pairs_of(value):
                inner = (pointer, name)
                exact = _SPELLINGS.get(bare(name))
                if exact is not None:
                    yield inner, exact
                left.append((inner, member))
        elif isinstance(value, list):
            left.extend(((pointer, position), item) for position, item in enumerate(value))


def _check_other_refusals(answer: Answer, has_member: Callable[[str], bool] | None) -> None:
    for name, value in pairs_of(answer.members):
        refuses = _REFUSALS.get(bare(name))
        if refuses is None or not refuses(value):
            continue
        is_known = has_member is not None and has_member(name)
        if not is_known and name not in _members(answer.previous):
            raise InvalidResponse(
                f"the answer refuses with {bare(name)}, which no message of the method has: a"
                f" refusal is {STATUS} and {MESSAGE}"
            )


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_false(value: Any) -> bool:
    return value is False or _is_word(value, "false")


def _is_true(value: Any) -> bool:
    return value is True or _is_word(value, "true")


def _is_deny(value: Any) -> bool:
    return _is_word(value, "deny")


def _is_word(value: Any, word: str) -> bool:
    return type(value) is str and value.casefold() == word


def _is_error(value: Any) -> bool:
    return float(value) != 0 if isinstance(value, Number) else bool(value)


_REFUSALS: dict[str, Callable[[Any], bool]] = {
    "allowed": _is_false,
    "allow": _is_false,
    "denied": _is_true,
    "error": _is_error,
    "action": _is_deny,
}
