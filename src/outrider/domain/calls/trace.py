"""The trace context of a request: the headers `traceparent` and `tracestate`.

W3C Trace Context, https://www.w3.org/TR/trace-context-1/. As the specification demands, a malformed
header is ignored, and a new trace may begin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

Attributes = Mapping[str, str | int]
"""About a span, by OpenTelemetry's names. Never a secret, a payload or a URL."""

SAMPLED = 0x01
# A later version may append fields; version ff is forbidden (3.2.2.1, 3.2.4).
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
# 3.3.1: at most 32 members, each named once; vendors should pass on 512 characters at least.
_MAX_MEMBERS = 32
_MAX_STATE_CHARS = 512
# 32 members of 512 characters each, and the commas.
_LONGEST_STATE = _MAX_MEMBERS * (_MAX_STATE_CHARS + 2)
_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace: 32 and 16 hexadecimal digits in lower case, never all zero.

    `flags` is what level 1 knows: `SAMPLED` or 0. `state` belongs to tracing systems.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The value of the header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded the span."""
        return bool(self.flags & SAMPLED)

    def child(self, span_number: int) -> TraceContext:
        """A span of the same trace; `span_number` is positive and has at most 64 bits."""
        return replace(self, span_id=f"{span_number:016x}")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What to send so that the receiver's spans are below this one."""
        own = ((TRACEPARENT, self.traceparent),)
        return (*own, (TRACESTATE, self.state)) if self.state else own

    @property
    def text(self) -> str:
        """Both headers in one text; `trace_from_text` reads it."""
        return f"{self.traceparent} {self.state}" if self.state else self.traceparent


def parse_trace(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The context in the headers; None when there is no traceparent, or not a valid one.

    A tracestate that is invalid is dropped, without it the trace goes on.
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t")) if traceparent else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or trace_id == _NO_TRACE
        or span_id == _NO_SPAN
    ):
        return None
    # Flags that level 1 does not know are not passed on (3.2.2.5).
    return TraceContext(trace_id, span_id, int(flags, 16) & SAMPLED, parse_state(tracestate or ""))


def parse_state(text: str) -> str:
    """The list as it may be sent on, empty when it is not a valid one.

    What would make it longer than 512 characters is cut at its end: the oldest entries.
    """
    # Empty members count as well (3.3.1.1); as many again are forgiven.
    if len(text) > _LONGEST_STATE or text.count(",") >= 2 * _MAX_MEMBERS:
        return ""
    members = [part.strip(" \t") for part in text.split(",")]
    members = [member for member in members if member]
    found = [_MEMBER.fullmatch(member) for member in members]
    names = [match[1] for match in found if match is not None]
    if len(names) != len(members) or len(set(names)) != len(names) or len(names) > _MAX_MEMBERS:
        return ""
    while len(state := ",".join(members)) > _MAX_STATE_CHARS:
        members.pop()
    return state


def trace_from_text(text: str) -> TraceContext | None:
    """Read `TraceContext.text`; None for the empty text."""
    traceparent, _, state = text.partition(" ")
    return parse_trace(traceparent, state)


def trace_from_headers(headers: Mapping[str, Sequence[str]]) -> TraceContext | None:
    """The context in a call's headers, their names in any case.

    More than one traceparent is as none; several tracestates are one list (3.3.1.1).
    """
    parents: list[str] = []
    states: list[str] = []
    for name, values in headers.items():
        lower = name.lower()
        if lower == TRACEPARENT:
            parents.extend(values)
        elif lower == TRACESTATE:
            states.extend(values)
    return parse_trace(parents[0], ",".join(states)) if len(parents) == 1 else None
