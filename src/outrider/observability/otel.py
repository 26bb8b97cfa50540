"""Spans by OpenTelemetry, where it is installed (`outrider[otel]`) and the environment asks for it.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
Around an engine, a tracer provider that the program has set is enough.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from outrider import __version__
from outrider.domain.calls.trace import Attributes, TraceContext

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_TRACE = "opentelemetry.trace"
_ENDPOINT_OR_EXPORTER = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)


T = TypeVar("T")


class OtelSpan:
    """`usecases.ports.tracing.Span`, recorded."""

    __slots__ = ("_span", "context")

    def __init__(self, span: Any) -> None:
        self._span = span
        known = span.get_span_context()
        self.context: TraceContext | None = (
            TraceContext(
                f"{known.trace_id:032x}",
                f"{known.span_id:016x}",
                int(known.trace_flags) & 1,
                known.trace_state.to_header(),
            )
            if known.is_valid
            else None
        )

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

        self._span.set_status(Status(StatusCode.ERROR, reason))


class OtelTracing:
    """`usecases.ports.tracing.Tracing`, by a tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def span(
        self, name: str, kind: str, parent: TraceContext | None, attributes: Attributes
    ) -> AbstractContextManager[OtelSpan]:
        """Record a span. Without a parent a trace begins."""
        return self._record(name, kind, parent, attributes)

    @contextmanager
    def _record(
        self, name: str, kind: str, parent: TraceContext | None, attributes: Attributes
    ) -> Iterator[OtelSpan]:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

        span = self._tracer.start_span(
            name, _parent(parent), SpanKind[kind.upper()], dict(attributes)
        )
        try:
            yield OtelSpan(span)
        finally:
            span.end()


def tracing_from(fallback: T, environ: Mapping[str, str] = os.environ) -> OtelTracing | T | None:
    """Spans as the environment says; None where it asks for none.

    Where it asks for spans that cannot be made, because nothing is installed that makes them,
    traces continue by `fallback`.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if _TRACE in sys.modules:
        # A program that has set a provider has imported it; others do not wait for that import.
        trace = sys.modules[_TRACE]
        if type(trace.get_tracer_provider()).__name__ != "ProxyTracerProvider":
            return OtelTracing(trace.get_tracer("outrider", __version__))
    exporter_name = environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if exporter_name == "none" or not any(
        environ.get(variable) for variable in _ENDPOINT_OR_EXPORTER
    ):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        return fallback
    provider = _provider(exporter_name, environ)
    # Spans wait up to five seconds to be sent together.
    atexit.register(provider.shutdown)
    return OtelTracing(provider.get_tracer("outrider", __version__))


def _provider(exporter_name: str, environ: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        ConsoleSpanExporter,
    )

    own = {"service.version": __version__}
    if not environ.get("OTEL_SERVICE_NAME"):
        own["service.name"] = "outrider"
    # The sampler is the environment's, too: TracerProvider reads OTEL_TRACES_SAMPLER.
    provider = TracerProvider(resource=Resource.create(own))
    if exporter_name == "console":
        exporter: Any = ConsoleSpanExporter()
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _parent(parent: TraceContext | None) -> Any:
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.context import Context  # noqa: PLC0415

    if parent is None:
        # The span of a program around us, if there is one.
        return None
    remote = trace.SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(parent.flags),
        trace_state=trace.TraceState.from_header([parent.state] if parent.state else []),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())
