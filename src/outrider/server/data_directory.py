"""The data directory: one set of processes at a time, and the secrets that are made on first start."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from outrider.errors import StartupError

LOCK_FILE = "lock"
WORKERS_FILE = "workers.lock"
MASTER_KEY_FILE = "master.key"
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name
# The children of a server that was killed notice it within a second; then the lock is free.
_LOCK_PATIENCE_S = 5.0
_LOCK_LOOK_EVERY_S = 0.05


@contextmanager
def locked(directory: Path, announce: Callable[[str], None], *, holder: str = "") -> Iterator[int]:
    """Hold the directory's lock; the value is its file descriptor, for children to hold as well.

    The lock is free when the last process that has the descriptor is gone, also by SIGKILL.
    `holder` is what others are told besides the process's number. Raise `StartupError` when
    another server has it.
    """
    _make(directory)
    path = directory / LOCK_FILE
    descriptor = _opened(path)
    try:
        _wait_for_lock(descriptor, path, announce)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {holder}".strip().encode() + b"\n")
        yield descriptor
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise StartupError(
            f"the data directory {directory} cannot be made: {failure.strerror};"
            " choose another one with --data-dir"
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StartupError(
            f"the data directory {directory} is not writable; choose another one with --data-dir"
        )


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as failure:
        raise StartupError(
            f"{path}: {failure.strerror}; everything in the data directory has to belong to the"
            " user that the server runs as"
        ) from None


def _wait_for_lock(descriptor: int, path: Path, announce: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    announced = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text("ascii", "replace").strip() or "unknown"
            if time.monotonic() > deadline:
                raise StartupError(
                    f"the data directory {path.parent} is in use by another outrider"
                    f" (process {holder}): stop it, or choose another one with --data-dir"
                ) from None
            if not announced:
                announce(f"waiting for process {holder} to let go of {path.parent}")
                announced = True
            time.sleep(_LOCK_LOOK_EVERY_S)
        else:
            return


@contextmanager
def joined(directory: Path) -> Iterator[None]:
    """Say that a worker of nobody's works on the data, for as long as the block lasts.

    Any number may. Raise `StartupError` where no server has made the data.
    """
    path = directory / WORKERS_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as failure:
        raise StartupError(
            f"{path} cannot be opened: {failure.strerror};"
            " a worker needs the data directory of a server, in --data-dir"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def nobody_joined(directory: Path) -> bool:
    """Whether no worker that was started by hand works on the data."""
    descriptor = os.open(directory / WORKERS_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
