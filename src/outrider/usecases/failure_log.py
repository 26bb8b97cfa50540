"""Log the failures of a background activity that continues while the store is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from outrider.errors import Unavailable
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import WriteRefused

REPEAT_EVERY_S = 60.0
"""How often a failure that lasts is logged again."""


@dataclass(slots=True)
class FailureLog:
    """Logs the failures of one activity that is tried again and again.

    A store that is unavailable, or refuses writes, is one line when that begins or changes its reason, one
    each minute while it lasts, and one when the activity succeeds again: no bug, and no traceback.
    Any other exception is logged each time, with its traceback.
    """

    log: Log
    monotonic: Callable[[], float] = time.monotonic
    _failures: int = 0
    _event: str = ""
    _reason: str = ""
    _logged_at: float = 0.0

    def failed(self, event: str, /, failure: Exception, **fields: object) -> None:
        """Log what `failure` adds to what is in the log. Call it where `failure` is handled."""
        if not isinstance(failure, Unavailable):
            self.log.exception(event, **fields)  # noqa: LOG004 - see above
            return
        self._failures += 1
        self._event = event
        now = self.monotonic()
        if failure.message != self._reason or now - self._logged_at >= REPEAT_EVERY_S:
            self._reason, self._logged_at = failure.message, now
            self.log.error(event, reason=explained(failure), failures=self._failures, **fields)

    def succeeded(self) -> None:
        """Log the end of failures, if there were any."""
        if self._failures:
            self.log.info("store.recovered", activity=self._event, failures=self._failures)
            self._failures, self._reason = 0, ""


def explained(failure: Unavailable) -> str:
    """One line for operators: the error that callers get, what is behind it, what to do."""
    parts = [failure.message, " ".join(str(failure.__cause__ or "").split())]
    if isinstance(failure, WriteRefused):
        parts.append(failure.advice)
    return "; ".join(part for part in parts if part)
