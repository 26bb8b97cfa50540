"""When spans are recorded, and by which tracer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from outrider.observability.otel import OtelTracing, tracing_from

FALLBACK = object()
SETS_ONE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
from outrider.observability.otel import tracing_from
print(type(tracing_from(None, {})).__name__, tracing_from(None, {"OTEL_SDK_DISABLED": "True"}))
"""
WITHOUT_SDK = """
import sys
sys.modules["opentelemetry.sdk"] = None
from importlib import util
found = util.find_spec
util.find_spec = lambda name: None if name == "opentelemetry.sdk" else found(name)
from outrider.observability.otel import tracing_from
print(tracing_from("fallback", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}))
"""


def output_of(script: str) -> str:
    """A separate process: each has one provider."""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"},
    ],
)
def test_nothing_is_recorded_unless_the_environment_asks_for_it(environ):
    """
    That OpenTelemetry is installed, as others need it, is no wish for spans.
    """
    assert None is tracing_from(FALLBACK, environ)


def test_the_program_around_an_engine_decides():
    """
    It has set a provider: spans of the engine belong among its own.
    """
    assert f"{OtelTracing.__name__} None" == output_of(SETS_ONE)


def test_traces_continue_where_spans_are_configured_and_cannot_be_made():
    """
    The API without the SDK makes none.
    """
    assert "fallback" == output_of(WITHOUT_SDK)


def test_nothing_of_it_is_imported_until_then():
    """
    It would be a tenth of every start.
    """
    script = (
        "import sys; from outrider.observability.otel import tracing_from\n"
        "tracing_from(None, {}) ; print('opentelemetry' in sys.modules)"
    )

    assert "False" == output_of(script)
