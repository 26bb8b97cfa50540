"""What the receiver's tests share.

Properties are drawn alike on every run: a failure that comes and goes is no help.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import settings

# Who names a profile wants to search; it is registered by the service's tests.
if "HYPOTHESIS_PROFILE" not in os.environ:
    settings.register_profile("receiver", derandomize=True, deadline=None)
    settings.load_profile("receiver")


@pytest.fixture
def published():
    """A context that serves documents over real HTTP, and gives their origin.

    They are (status, body, headers) by path, and may change meanwhile.
    """
    return _published


@contextmanager
def _published(documents: dict[str, tuple[int, bytes, dict[str, str]]]):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = documents.get(self.path, (404, b"", {}))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
