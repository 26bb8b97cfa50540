"""Metrics and spans of every call. `interceptors` writes the log line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outrider.domain.calls.trace import TRACEPARENT, TRACESTATE, TraceContext, parse_trace
from outrider.usecases.ports.tracing import NO_SPAN, PropagatedSpan, Tracing


class RpcMetrics(Protocol):
    """Counts calls."""

    def answered(self, method: str, code: str, seconds: float) -> None:
        """`method` is `/package.Service/Method`, `code` is "ok" or Connect's name of the error."""
        ...


class _NoMetrics:
    def answered(self, method: str, code: str, seconds: float) -> None:
        """Counts nothing."""


class _NoTracing:
    def span(
        self, name: str, kind: str, parent: TraceContext | None, attributes: Mapping[str, str | int]
    ) -> PropagatedSpan:
        """The caller's trace goes on as it came."""
        del name, kind, attributes
        return NO_SPAN if parent is None else PropagatedSpan(parent)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Both; by default, neither."""

    metrics: RpcMetrics = field(default_factory=_NoMetrics)
    tracing: Tracing = field(default_factory=_NoTracing)


NO_TELEMETRY = Telemetry()


class HeaderValues(Protocol):
    """The headers of a call, by names in lower case."""

    def get(self, name: str, /) -> str | None:
        """The first value; None: there is none."""
        ...

    def getall(self, name: str, /) -> Sequence[str]:
        """Every value, in order."""
        ...


def trace_of(headers: HeaderValues) -> TraceContext | None:
    """The caller's span; None without a valid traceparent, or with more than one."""
    if headers.get(TRACEPARENT) is None:
        return None
    parents = headers.getall(TRACEPARENT)
    states = ",".join(headers.getall(TRACESTATE))
    return parse_trace(parents[0], states) if len(parents) == 1 else None
