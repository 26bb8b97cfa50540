"""Classify a target's response: its outcome, and the error that it may forward.

See docs/contract.md#answers-of-targets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from outrider.domain.calls.request import Response
from outrider.domain.formats import go_json
from outrider.domain.formats.json_bounds import check_values
from outrider.domain.outcome import Outcome

_OVERLOADED = frozenset({408, 425, 429, 503})
_MAX_ERROR_CHARS = 500
_MAX_FORWARDED_BYTES = 1024 * 1024
CLASSIFIED_BYTES = _MAX_FORWARDED_BYTES + 1
"""How much of a body the classification depends on: one byte more than an error may have."""
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class ForwardedError:
    """The error object that a target may send in a response with the status 2xx."""

    status_code: int
    message: str


@dataclass(frozen=True, slots=True)
class Classification:
    """What a response means. `error` is a sentence for the attempt log, empty when accepted."""

    outcome: Outcome
    error: str = ""
    forwarded: ForwardedError | None = None


ReadError = Callable[[bytes], ForwardedError | None]
"""Returns the error that a body forwards, None when it is data."""

_ACCEPTED = Classification(Outcome.ACCEPTED)


def classify_response(response: Response, read_error: ReadError | None = None) -> Classification:
    """Classify by the status and, when that is 2xx, by a forwarded error in the body.

    `read_error` finds that error; without one it is `forwarded_error`. What it raises is raised.
    """
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004 - the class of statuses
        forwarded = (read_error or forwarded_error)(response.body)
        return _ACCEPTED if forwarded is None else _forwarded_failure(forwarded)
    if status in _OVERLOADED:
        return Classification(
            Outcome.OVERLOADED, f"the receiver answered {status}: it asks for fewer calls"
        )
    if 400 <= status < 500:  # noqa: PLR2004
        return Classification(Outcome.REFUSED, f"the receiver answered {status}")
    return Classification(Outcome.FAILED, f"the receiver answered {status}")


def forwarded_error(body: bytes) -> ForwardedError | None:
    """Return the error that a body forwards, None when it is data.

    As Go reads it: names match in any case, `null` and absence are the zero value, a value of
    another type makes the body data. So does a size over 1 MiB, or more than `MAX_JSON_VALUES`
    values: no error is that long, and to parse 20 MiB would stop the event loop for seconds.
    """
    if len(body) > _MAX_FORWARDED_BYTES or not _may_forward(body):
        return None
    try:
        check_values(body)
        # Go reads what is not UTF-8 as replacement characters, and nothing but UTF-8.
        fields = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_constants)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return _forwarded_from_fields({go_json.folded(name): value for name, value in fields.items()})


def _may_forward(body: bytes) -> bool:
    # Nearly no response has the word: most bodies are never parsed. A backslash may spell it.
    return b"\\" in body or b"forwarded" in body.lower()


def _forwarded_from_fields(fields: dict[str, object]) -> ForwardedError | None:
    status = fields.get("forwardedstatuscode")
    message = fields.get("forwardederrormessage")
    status = 0 if status is None else status
    message = "" if message is None else message
    # type(), because a bool is an int to Python and not to Go.
    if type(status) is not int or status not in _INT64 or not isinstance(message, str):
        return None
    if not status and not message:
        return None
    return ForwardedError(status, go_json.with_whole_pairs(message))


def _forwarded_failure(forwarded: ForwardedError) -> Classification:
    shown = forwarded.message[:_MAX_ERROR_CHARS]
    error = f"the receiver forwarded the error {forwarded.status_code}: {shown}"
    return Classification(Outcome.FAILED, error, forwarded)


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
