"""Envoy's admin interface, on a socket that the server's user alone can open.

On a port every account of the machine could use it: it ends the process, and can be told to log
headers of calls, tokens included.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FILE = "envoy.admin"
_MODE = 0o600
# What a socket's address holds on every system.
_MAX_PATH_BYTES = 100
_TIMEOUT_S = 2.0


@dataclass(slots=True)
class EnvoyAdmin:
    """The admin interface of the one Envoy whose files are in `directory`."""

    directory: Path
    _directory_fd: int = field(init=False)

    def __post_init__(self) -> None:
        self._directory_fd = os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def child_fd(self) -> int:
        """The file descriptor that Envoy must keep open, under the same number: the address may use it."""
        return self._directory_fd

    @property
    def config(self) -> Mapping[str, Any]:
        """Envoy's configuration of it."""
        return {"address": {"pipe": {"path": self._address, "mode": _MODE}}}

    def send(self, path: str, method: str) -> str:
        """Return the response's text. Raise `OSError` while Envoy does not listen."""
        connection = _Connection(self._address)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        except http.client.HTTPException as failure:
            raise ConnectionError(str(failure)) from failure
        finally:
            connection.close()

    def delete_socket(self) -> None:
        """Remove the socket that an earlier Envoy has left."""
        (self.directory / _FILE).unlink(missing_ok=True)

    @property
    def _address(self) -> str:
        path = self.directory / _FILE
        if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
            return str(path)
        return f"/proc/self/fd/{self._directory_fd}/{_FILE}"


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._address)
