"""Notify other processes that share the database: a byte in a named pipe means possible work.

Each listener has a named pipe in a directory next to the database. A notifier writes to all of
them. A notification may be lost, because listeners also poll the store, only later.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_READ_BYTES = 4096
# A pipe gets its name when it has a reader: a named pipe without one is left over.
_BEING_MADE = ".new-"


class SqliteNotifier:
    """The pipes in one directory. One thread may call `notify`, every thread the others.

    Notifying costs one listing of the directory, and one write for each process that listens.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pipes: dict[str, int] = {}
        self._listeners: list[_Listener] = []

    def listen(self, on_notification: Callable[[], None]) -> None:
        """Call it, in a thread of its own, after a process has notified, this one included.

        Where the file system has no named pipes there are no notifications.
        """
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._listeners.append(_Listener(self._directory, on_notification))

    def notify(self) -> None:
        """Say to all listeners that there may be work."""
        with suppress(OSError):
            self._find_listeners()
        for name, pipe in list(self._pipes.items()):
            try:
                os.write(pipe, b".")
            except BlockingIOError:
                pass  # it is full of notifications already
            except OSError:
                self._drop(name)

    def close(self) -> None:
        """Stop listening and notifying."""
        for listener in self._listeners:
            listener.close()
        for pipe in self._pipes.values():
            os.close(pipe)
        self._pipes.clear()

    def _find_listeners(self) -> None:
        found = os.listdir(self._directory)  # noqa: PTH208 - names, at a tenth of the time
        names = {name for name in found if not name.startswith(_BEING_MADE)}
        for gone in self._pipes.keys() - names:
            os.close(self._pipes.pop(gone))
        for name in names - self._pipes.keys():
            self._open(name)

    def _open(self, name: str) -> None:
        path = self._directory / name
        try:
            self._pipes[name] = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as failure:
            if failure.errno == errno.ENXIO:
                # It has no reader: left over by a process that was killed.
                path.unlink(missing_ok=True)

    def _drop(self, name: str) -> None:
        os.close(self._pipes.pop(name))
        with suppress(OSError):
            (self._directory / name).unlink(missing_ok=True)


class _Listener:
    """One named pipe, and the thread that reads from it."""

    def __init__(self, directory: Path, on_notification: Callable[[], None]) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path, new = directory / name, directory / f"{_BEING_MADE}{name}"
        os.mkfifo(new, 0o600)
        # Also for writing: a pipe without writers would be at its end, again and again.
        self._pipe = os.open(new, os.O_RDWR | os.O_CLOEXEC)
        new.rename(self._path)
        self._on_notification = on_notification
        self._is_closing = False
        self._thread = threading.Thread(target=self._read, name="sqlite-notifications", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closing = True
        os.write(self._pipe, b".")
        self._thread.join()
        os.close(self._pipe)
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        while os.read(self._pipe, _READ_BYTES) and not self._is_closing:
            self._on_notification()
