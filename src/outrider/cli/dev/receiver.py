"""The receiver of `outrider dev`: the handlers of the moment behind a port, every call shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from outrider.cli.receive.exchange import AnsweredCall, Headers, OnExchange
from outrider.runtime import utc_now
from outrider_receiver import HttpAnswer, Receiver
from outrider_receiver.receiver import MAX_BODY_BYTES
from outrider_receiver.serve import ReceiverServer

POLL_S = 0.05
UNAVAILABLE = 503


class LiveReceiver:
    """Stands where the server expects a receiver; what stands behind it may change."""

    def __init__(self, on_exchange: OnExchange) -> None:
        self.receiver: Receiver | None = None
        self._on_exchange = on_exchange

    @property
    def max_body_bytes(self) -> int:
        """Of one call."""
        return self.receiver.max_body_bytes if self.receiver else MAX_BODY_BYTES

    def handle(self, body: bytes, headers: Headers) -> HttpAnswer:
        """One call: by the handlers as they are now."""
        at, began = utc_now(), time.perf_counter()
        receiver = self.receiver
        answer = HttpAnswer(UNAVAILABLE) if receiver is None else receiver.handle(body, headers)
        self._on_exchange(
            AnsweredCall(
                at=at,
                target="/",
                headers=tuple(headers),
                body=body,
                status=answer.status,
                answer=answer.body,
                seconds=time.perf_counter() - began,
            )
        )
        return answer


@contextmanager
def served(stage: LiveReceiver, host: str, port: int) -> Iterator[str]:
    """Its URL while the block lasts. Raise OSError when the address is taken."""
    server = ReceiverServer(cast("Receiver", stage), host, port)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
