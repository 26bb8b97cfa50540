"""A call about many deliveries: page by page, with its progress, until the end or a signal."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import short_time, text_of

if TYPE_CHECKING:
    from outrider.cli.remote.client import RemoteServer


class PagedRequest(Protocol):
    """The common fields of requests about many deliveries."""

    page_size: int
    page_token: str


RequestT = TypeVar("RequestT", bound=PagedRequest)

PAGE = 2000
# Without a terminal, one line for this number of pages.
_QUIET_PAGES = 10
_ALWAYS = ("deliveries", "skipped")
_COUNTS = (*_ALWAYS, "suspended", "attemptRunning")


@dataclass(frozen=True)
class BulkCall(Generic[RequestT]):
    """A call about many deliveries. `prospect` is what it does to them, `done` what it did.

    `nothing` says that it did nothing with the ids that it was given.
    """

    done: str
    prospect: str
    nothing: str
    of: Callable[[RemoteServer], Callable[..., Any]]

    def __call__(self, server: RemoteServer, request: RequestT, advice: str = "") -> dict[str, Any]:
        """Call it once. Raise `CommandError` as `RemoteServer.call` does."""
        return server.call(self.of(server), request, advice=advice)


def total(responses: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of the results of one task's parts."""
    counts: Counter[str] = Counter(dict.fromkeys(_ALWAYS, 0))
    reasons: Counter[str] = Counter()
    for response in responses:
        counts.update({name: response[name] for name in _COUNTS if name in response})
        reasons.update({skip["reason"]: skip["count"] for skip in response.get("skips", ())})
    found: dict[str, Any] = dict(counts)
    if reasons:
        found["skips"] = [{"reason": reason, "count": count} for reason, count in reasons.items()]
    return found


class PageRun(Generic[RequestT]):
    """One task. `expected` is how many deliveries will be found, None when not known."""

    def __init__(
        self,
        server: RemoteServer,
        call: BulkCall[RequestT],
        request: RequestT,
        expected: int | None,
    ) -> None:
        self._server = server
        self._call = call
        self._request = request
        self._expected = expected
        self._total = total(())
        self._pages = 0
        self._stopped_by = 0

    def run(self) -> dict[str, Any]:
        """`total` of its pages; `nextPageToken` and `signal` when that stopped it before its end.

        Raises:
            CommandError: the server refused, or did not answer; the advice tells how to continue.
        """
        self._request.page_size = PAGE
        with self._stop_at_interrupt():
            while not self._stopped_by:
                response = self._next_page()
                self._request.page_token = text_of(response, "nextPageToken")
                self._print_progress(response)
                if not self._request.page_token:
                    break
        token = self._request.page_token
        stopped = {"nextPageToken": token, "signal": self._stopped_by}
        return {**self._total, **stopped} if token else self._total

    def _next_page(self) -> dict[str, Any]:
        try:
            response = self._call(self._server, self._request)
        except CommandError as error:
            if self._request.page_token:
                error.advice = (
                    f"{self._total['deliveries']} were {self._call.done} before. To continue, run the same command with"
                    f" --resume {self._request.page_token}"
                )
            raise
        self._total = total([self._total, response])
        self._pages += 1
        return response

    def _print_progress(self, response: dict[str, Any]) -> None:
        is_last = not self._request.page_token
        is_terminal = sys.stderr.isatty()
        if not is_terminal and (is_last or self._pages % _QUIET_PAGES):
            return
        expected = f" of {self._expected}" if self._expected is not None else ""
        reached = short_time(text_of(response, "reachedAt"))
        line = f"{self._total['deliveries']} {self._call.done}{expected}, {self._total['skipped']} skipped"
        line += f", made until {reached}" if reached else ""
        end = "" if is_terminal and not is_last else "\n"
        start = "\r\x1b[K" if is_terminal else ""
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    @contextmanager
    def _stop_at_interrupt(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM ends it after the current page, so that what it did is known."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [(number, signal.signal(number, self._stop)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: object) -> None:
        self._stopped_by = number
