"""Lines of an engine in the log of the program around it: the logger `outrider` of `logging`."""

from __future__ import annotations

import logging
import sys
import traceback

from outrider.observability.redaction import redacted, redacted_field

LOGGER = "outrider"


class HostLog:
    """The logger that the parts expect: an event name and fields, with secrets redacted."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger(LOGGER)

    def debug(self, event: str, /, **fields: object) -> None:
        """About every call."""
        if self._logger.isEnabledFor(logging.DEBUG):
            self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """About something that happened."""
        if self._logger.isEnabledFor(logging.INFO):
            self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """About something that an operator should look at."""
        self._write(logging.WARNING, event, fields)

    def error(
        self, event: str, /, *, exc_info: BaseException | None = None, **fields: object
    ) -> None:
        """About something that went wrong."""
        self._write(logging.ERROR, event, fields, exc_info)

    def exception(self, event: str, /, **fields: object) -> None:
        """About a fault of ours, with the exception that is handled."""
        self._write(logging.ERROR, event, fields, sys.exception())

    def _write(
        self,
        level: int,
        event: str,
        fields: dict[str, object],
        failure: BaseException | None = None,
    ) -> None:
        text = " ".join(
            [event, *(f"{name}={redacted_field(name, value)}" for name, value in fields.items())]
        )
        if failure is not None:
            # As text: what a traceback quotes is redacted, too.
            text += "\n" + str(redacted("".join(traceback.format_exception(failure)).rstrip()))
        self._logger.log(level, "%s", text)
