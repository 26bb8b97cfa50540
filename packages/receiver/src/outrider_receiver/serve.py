"""Serve a file of handlers, with nothing installed but this package.

    OUTRIDER_SIGNING_KEY=... python -m outrider_receiver handlers.py --port 8080

The file makes a `Receiver` and registers handlers; every path is its endpoint. For small loads and
for development: one thread for each connection, HTTP/1.1. Put a proxy with TLS in front of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver

_IDLE_SECONDS = 30.0  # of a connection that says nothing
_MAX_CONNECTIONS = 256

_log = logging.getLogger("outrider_receiver")


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "outrider-receiver"
    sys_version = ""
    timeout = _IDLE_SECONDS
    server: ReceiverServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self._send(HttpAnswer(411), closing=True)
        elif len(length) > 12 or int(length) > self.server.receiver.max_body_bytes:  # noqa: PLR2004
            self._send(HttpAnswer(413), closing=True)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                self._send(self.server.receiver.handle(body, self.headers.items()))

    def _only_post(self) -> None:
        self._send(HttpAnswer(405, headers=(("Allow", "POST"),)), closing=True)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _only_post  # noqa: N815 - http.server's names

    def _send(self, answer: HttpAnswer, *, closing: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.body:
            self.send_header("Content-Type", answer.content_type)
        if answer.status != 204:  # noqa: PLR2004 - No Content has no length
            self.send_header("Content-Length", str(len(answer.body)))
        if closing:
            self.send_header("Connection", "close")
        elif self.request_version == "HTTP/1.0" and not self.close_connection:
            # A caller of HTTP/1.0 that is not told takes the connection's end for the answer's.
            self.send_header("Connection", "keep-alive")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as there
        _log.info(format, *args)


class ReceiverServer(ThreadingHTTPServer):
    """An HTTP server for one receiver. Port 0 takes a free one: see `url`."""

    daemon_threads = False  # closing waits for them
    request_queue_size = 128

    def __init__(self, receiver: Receiver, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. `serve_forever` answers, `shutdown` in another thread ends that."""
        self.receiver: Receiver = receiver
        self._permits = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__((host, port), _Endpoint)

    @property
    def url(self) -> str:
        """The URL on which it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Bound how many are served at the same time; the others wait to be accepted."""
        self._permits.acquire()
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, so that another may come."""
        with self._lock:
            self._open.discard(request)
        self._permits.release()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as there
        """Log one line for a client that disconnects early, and a traceback for other errors."""
        failure = sys.exc_info()[1]
        if isinstance(failure, OSError):
            _log.info("a caller left: %s", failure)
        else:
            _log.exception("a call broke inside the receiver")

    def server_close(self) -> None:
        """Wait for what is being answered. Who only waits for the next call is hung up on."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        super().server_close()


def load_receiver(path: Path) -> Receiver:
    """Run the file and return its one `Receiver`.

    Raises:
        ValueError: there is no such file, or it has none or several.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"{path} is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    values = vars(module).values()
    found = {id(value): value for value in values if isinstance(value, Receiver)}
    if len(found) != 1:
        raise ValueError(f"{path} has {len(found)} receivers, not one: receiver = Receiver()")
    return next(iter(found.values()))


def serve(receiver: Receiver, host: str, port: int) -> None:
    """Answer until a SIGINT or SIGTERM; what is being answered then is answered."""
    server = ReceiverServer(receiver, host, port)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with contextlib.suppress(OSError):  # no peer reads it
        print(f"{server.url}  {len(receiver.handlers)} handlers", flush=True)  # noqa: T201 - its output
    server.serve_forever(poll_interval=0.1)
    server.server_close()
