"""The data directory: one set of processes at a time, and the secrets that are made on first start."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
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


EMBEDDED = "embedded"
"""What the lock of an engine says besides the process's number."""

_NODE_LOCK = "node-{}.lock"
_MAX_NODE = 1023  # what `runtime.IdGenerator` takes; 0 is whoever holds the directory


@dataclass(frozen=True, slots=True)
class DataDirectoryLock:
    """`node` makes identifiers unlike those of every other process on the directory."""

    is_alone: bool
    node: int


@contextmanager
def placed(
    directory: Path, announce: Callable[[str], None], *, beside_engines: bool
) -> Iterator[DataDirectoryLock]:
    """Hold the directory, or join the server that does; with `beside_engines` also another engine.

    Raise `StartupError`, naming the process, for a directory that an engine holds.
    """
    with ExitStack() as held:
        if _may_join(directory, beside_engines=beside_engines):
            held.enter_context(joined(directory))
            yield DataDirectoryLock(is_alone=False, node=held.enter_context(free_node(directory)))
        else:
            held.enter_context(locked(directory, announce, holder=EMBEDDED))
            yield DataDirectoryLock(is_alone=True, node=0)


def _may_join(directory: Path, *, beside_engines: bool) -> bool:
    holder = _holder(directory / LOCK_FILE)
    return holder is not None and (beside_engines or not holder.endswith(EMBEDDED))


def _holder(lock_file: Path) -> str | None:
    """What the holder of the lock says of itself; None: nobody holds it."""
    try:
        descriptor = os.open(lock_file, os.O_RDWR)
    except OSError:
        # Nothing there, or nothing for this user: who takes the lock says which.
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return lock_file.read_text("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    return None


@contextmanager
def free_node(directory: Path) -> Iterator[int]:
    """A number that no other process on the directory has, from 1; 0 is whoever holds it."""
    for node in range(1, _MAX_NODE + 1):
        path = directory / _NODE_LOCK.format(node)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        os.close(descriptor)
    else:
        raise StartupError(f"{_MAX_NODE} engines work on {directory} already: stop one of them")
    try:
        yield node
    finally:
        os.close(descriptor)
