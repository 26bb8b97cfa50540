"""A replay of whatever is found: page by page, with its progress, until the end or Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import short_time, text_of

if TYPE_CHECKING:
    from outrider.cli.remote.client import Server
    from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

PAGE = 2000
# Where nobody watches, a line for so many pages.
_QUIET_PAGES = 10


class ReplayRun:
    """One replay. `expected` is how many are likely to be found, None: nobody knows."""

    def __init__(
        self, server: Server, request: ReplayDeliveriesRequest, expected: int | None
    ) -> None:
        self._server = server
        self._request = request
        self._expected = expected
        self._made = 0
        self._skipped = 0
        self._pages = 0
        self._stopping = False

    def run(self) -> dict[str, Any]:
        """How many were made and skipped; `nextPageToken` when it was stopped before its end.

        Raises:
            CommandError: the server refused, or did not answer; the advice tells how to go on.
        """
        self._request.page_size = PAGE
        with self._until_interrupted():
            while not self._stopping:
                answer = self._page()
                self._request.page_token = text_of(answer, "nextPageToken")
                self._show(answer)
                if not self._request.page_token:
                    break
        done = {"deliveries": self._made, "skipped": self._skipped}
        token = self._request.page_token
        return {**done, "nextPageToken": token} if token else done

    def _page(self) -> dict[str, Any]:
        try:
            answer = self._server.ask(self._server.deliveries.replay_deliveries, self._request)
        except CommandError as error:
            if self._request.page_token:
                error.advice = (
                    f"{self._made} were replayed before. To go on: the same command with"
                    f" --resume {self._request.page_token}"
                )
            raise
        self._made += answer.get("deliveries", 0)
        self._skipped += answer.get("skipped", 0)
        self._pages += 1
        return answer

    def _show(self, answer: dict[str, Any]) -> None:
        is_last = not self._request.page_token
        watched = sys.stderr.isatty()
        if not watched and (is_last or self._pages % _QUIET_PAGES):
            return
        total = f" of {self._expected}" if self._expected is not None else ""
        reached = short_time(text_of(answer, "reachedAt"))
        line = f"{self._made} replayed{total}, {self._skipped} skipped"
        line += f", made until {reached}" if reached else ""
        end = "" if watched and not is_last else "\n"
        start = "\r\x1b[K" if watched else ""
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    @contextmanager
    def _until_interrupted(self) -> Iterator[None]:
        """Ctrl-C ends it after the page that is under way: then it is known what was made."""
        before = signal.signal(signal.SIGINT, self._stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
