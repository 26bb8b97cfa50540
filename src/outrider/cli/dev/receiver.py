"""The receiver of `outrider dev`: the current handlers behind a port, every call shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from outrider.cli.receive.answered_call import AnsweredCall, AnsweredCallHandler, Headers
from outrider.runtime import utc_now
from outrider_receiver import HttpAnswer, Receiver
from outrider_receiver.receiver import MAX_BODY_BYTES
from outrider_receiver.serve import ReceiverServer

POLL_S = 0.05
UNAVAILABLE = 503


class LiveReceiver:
    """A receiver whose handlers may be replaced while it is served."""

    def __init__(self, on_answered: AnsweredCallHandler) -> None:
        self.receiver: Receiver | None = None
        self._on_answered = on_answered

    @property
    def max_body_bytes(self) -> int:
        """Of one call."""
        return self.receiver.max_body_bytes if self.receiver else MAX_BODY_BYTES

    def handle(self, body: bytes, headers: Headers) -> HttpAnswer:
        """Handle one call with the current handlers."""
        at, started = utc_now(), time.perf_counter()
        receiver = self.receiver
        response = HttpAnswer(UNAVAILABLE) if receiver is None else receiver.handle(body, headers)
        self._on_answered(
            AnsweredCall(
                at=at,
                target="/",
                headers=tuple(headers),
                body=body,
                status=response.status,
                response_body=response.body,
                seconds=time.perf_counter() - started,
            )
        )
        return response


@contextmanager
def serve_receiver(live_receiver: LiveReceiver, host: str, port: int) -> Iterator[str]:
    """Serve it while the block lasts; yields the URL. Raise OSError when the address is taken."""
    server = ReceiverServer(cast("Receiver", live_receiver), host, port)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
