"""A replay by filters: page by page, with its progress, until the end or Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import short_time, text_of

if TYPE_CHECKING:
    from outrider.cli.remote.client import RemoteServer
    from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

PAGE = 2000
# Without a terminal, one line for so many pages.
_QUIET_PAGES = 10
_SIGNALLED = 128


class ReplayRun:
    """One replay. `expected` is how many deliveries will be found, None when not known."""

    def __init__(
        self, server: RemoteServer, request: ReplayDeliveriesRequest, expected: int | None
    ) -> None:
        self._server = server
        self._request = request
        self._expected = expected
        self._replayed = 0
        self._skipped = 0
        self._pages = 0
        self._stopped_by = 0

    def run(self) -> dict[str, Any]:
        """How many were replayed and skipped; `nextPageToken` when a signal stopped it before its end.

        Raises:
            CommandError: the server refused, or did not answer; the advice tells how to go on.
        """
        self._request.page_size = PAGE
        with self._stop_at_interrupt():
            while not self._stopped_by:
                response = self._replay_page()
                self._request.page_token = text_of(response, "nextPageToken")
                self._print_progress(response)
                if not self._request.page_token:
                    break
        done = {"deliveries": self._replayed, "skipped": self._skipped}
        token = self._request.page_token
        return {**done, "nextPageToken": token} if token else done

    @property
    def exit_code(self) -> int:
        """0 when it came to its end; otherwise what a shell reports of the signal that stopped it."""
        return _SIGNALLED + self._stopped_by if self._request.page_token else 0

    def _replay_page(self) -> dict[str, Any]:
        try:
            response = self._server.call(self._server.deliveries.replay_deliveries, self._request)
        except CommandError as error:
            if self._request.page_token:
                error.advice = (
                    f"{self._replayed} were replayed before. To go on: the same command with"
                    f" --resume {self._request.page_token}"
                )
            raise
        self._replayed += response.get("deliveries", 0)
        self._skipped += response.get("skipped", 0)
        self._pages += 1
        return response

    def _print_progress(self, response: dict[str, Any]) -> None:
        is_last = not self._request.page_token
        is_terminal = sys.stderr.isatty()
        if not is_terminal and (is_last or self._pages % _QUIET_PAGES):
            return
        total = f" of {self._expected}" if self._expected is not None else ""
        reached = short_time(text_of(response, "reachedAt"))
        line = f"{self._replayed} replayed{total}, {self._skipped} skipped"
        line += f", made until {reached}" if reached else ""
        end = "" if is_terminal and not is_last else "\n"
        start = "\r\x1b[K" if is_terminal else ""
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    @contextmanager
    def _stop_at_interrupt(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM ends it after the current page: the number of replayed deliveries is known."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [(number, signal.signal(number, self._stop)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: object) -> None:
        self._stopped_by = number
