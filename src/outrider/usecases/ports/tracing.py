"""Spans of traces: the port that opens them, and the current span of a task.

No tracing system is needed. Without one, a caller's trace continues: a call to a target gets a span
of the same trace, with the identifier that is also in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from outrider.domain.calls.trace import Attributes, TraceContext


class Span(Protocol):
    """One piece of work in a trace. Leaving its block ends it; an exception fails it."""

    @property
    def context(self) -> TraceContext | None:
        """The parent of calls that the work makes; None: there is no trace."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add attributes that became known meanwhile."""
        ...

    def fail(self, reason: str) -> None:
        """Mark the work as failed; `reason` is a sentence without secrets."""
        ...


class Tracing(Protocol):
    """Opens spans."""

    def span(
        self, name: str, kind: str, parent: TraceContext | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Open a span below `parent`. `kind`: server, client, producer, consumer or internal."""
        ...


class PropagatedSpan:
    """A span that is not recorded: it only passes its context on."""

    __slots__ = ("context",)

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left to do."""

    def note(self, attributes: Attributes) -> None:
        """There is no record to write to."""

    def fail(self, reason: str) -> None:
        """There is no record to write to."""


NO_SPAN = PropagatedSpan(None)


class TracePropagator:
    """Traces without a tracing system: none begins here, those of callers go on."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        """`new_id` makes positive numbers of at most 64 bits that never come twice."""
        self._new_id = new_id

    def span(
        self,
        name: str,  # noqa: ARG002 - it is not recorded
        kind: str,  # noqa: ARG002
        parent: TraceContext | None,
        attributes: Attributes,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        """Return a child of `parent`, or no span. See `Tracing`."""
        return NO_SPAN if parent is None else PropagatedSpan(parent.child(self._new_id()))


_CURRENT: ContextVar[TraceContext | None] = ContextVar("outrider_trace", default=None)


def current_trace() -> TraceContext | None:
    """Return the span that this task works for."""
    return _CURRENT.get()


def continue_trace(context: TraceContext | None) -> None:
    """From now on this task, and those that it starts, work for that span."""
    _CURRENT.set(context)
