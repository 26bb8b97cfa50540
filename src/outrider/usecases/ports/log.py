"""The log, as use cases and workers write to it."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """A structured logger: an event named `noun.past_participle`, and fields without secrets."""

    def debug(self, event: str, /, **fields: Any) -> Any:
        """Log a detail that helps an operator to find the cause of a failure."""
        ...

    def info(self, event: str, /, **fields: Any) -> Any:
        """Log an event that an operator may want to count."""
        ...

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log a condition that an operator may want to examine."""
        ...

    def error(self, event: str, /, **fields: Any) -> Any:
        """Log a condition that an operator or a maintainer must fix."""
        ...

    def exception(self, event: str, /, **fields: Any) -> Any:
        """`error` with the exception that is being handled."""
        ...
