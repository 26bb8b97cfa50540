"""The log: one line for each thing that happened, on standard error, secrets redacted.

Our own lines (structlog) and those of libraries (logging) look the same and are redacted alike.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from outrider.config.parsers import LogFormat, LogLevel
from outrider.errors import Unavailable
from outrider.observability.redaction import redacted, redacted_field

# What tells which line it is, rather than what it is about.
_OWN_FIELDS = frozenset({"event", "level", "logger", "timestamp"})
# Added by structlog's bridge from logging, and taken out by it again.
_BRIDGE_PREFIX = "_"


def configure_logs(
    level: LogLevel = LogLevel.INFO,
    log_format: LogFormat | None = None,
    *,
    stream: TextIO | None = None,
) -> None:
    """Send structlog's and logging's lines of this level and above to `stream`.

    The stream is standard error by default. Without a format a terminal gets lines for people and
    everything else gets JSON. May be called again: the last call counts.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(log_format or format_for(stream), stream))
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_number(level))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A logger that was made before the last call must not keep the first configuration.
        cache_logger_on_first_use=False,
    )


def format_for(stream: TextIO) -> LogFormat:
    """Return the format that suits a reader of this stream."""
    return LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON


def redact_secrets(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Processor: redact what is named like a secret, and what looks like one in texts."""
    return {
        name: redacted(value) if name in _OWN_FIELDS else _redacted_field(name, value)
        for name, value in event_dict.items()
    }


def _redacted_field(name: str, value: Any) -> Any:
    return value if name.startswith(_BRIDGE_PREFIX) else redacted_field(name, value)


def _formatter(log_format: LogFormat, stream: TextIO) -> logging.Formatter:
    if log_format is LogFormat.CONSOLE:
        renderer: Processor = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(sort_keys=False, default=str)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # After the tracebacks have become text: they may quote a secret, too.
            structlog.processors.ExceptionRenderer(_exception_text),
            redact_secrets,
            renderer,
        ],
    )


def _exception_text(exc_info: ExcInfo) -> str:
    """A traceback; one line when a dependency is down, which is no bug and logged again and again."""
    failure = exc_info[1]
    if not isinstance(failure, Unavailable):
        return "".join(traceback.format_exception(failure)).rstrip()
    because = " ".join(str(failure.__cause__ or "").split())
    return f"{failure.message}: {because}" if because else failure.message


def _add_process(
    _logger: WrappedLogger, _method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    # Several processes write to one terminal.
    event_dict.setdefault("process", _PROCESS.name)
    return event_dict


class _ProcessName:
    """The name of this process among outrider's; set once by `name_process`."""

    name = "main"


_PROCESS = _ProcessName()


def name_process(name: str) -> None:
    """Put this name on every line of this process, such as `api` or `worker-2`."""
    _PROCESS.name = name


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _add_process,
]
