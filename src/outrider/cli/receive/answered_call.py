"""One call from outrider and what it was answered with, as commands print and record it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

Headers = tuple[tuple[str, str], ...]


def first_value(headers: Headers, name: str) -> str:
    """The first value of a header, in any case of its letters; empty when it did not come."""
    lower_name = name.lower()
    return next((value for header, value in headers if header.lower() == lower_name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCall:
    """`failure` says why there is no answer; its status is 0 then. `seconds` is how long it took."""

    at: datetime
    target: str
    """Path and query."""
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    response_headers: Headers = field(default=(), repr=False)
    response_body: bytes = field(default=b"", repr=False)
    failure: str = ""
    seconds: float = 0.0

    def header(self, name: str) -> str:
        """The first value of a header of the call; empty when it did not come."""
        return first_value(self.headers, name)


AnsweredCallHandler = Callable[[AnsweredCall], None]
