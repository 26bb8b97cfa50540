"""The data directory: its locks, and the secrets that the first start makes.

One server or engine holds the exclusive lock. Workers that were started by hand share another one,
and so do engines beside the holder; each of these reserves a node number.
"""

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
EMBEDDED = "embedded"
"""What the lock of an engine says besides the process's number."""

_NODE_LOCK = "node-{}.lock"
_MAX_NODE = 1023  # what `runtime.IdGenerator` takes; 0 is the holder of the exclusive lock
# The children of a server that was killed notice it within a second; then the lock is free.
_LOCK_TIMEOUT_S = 5.0
_RETRY_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class DataDirectoryLock:
    """One process's lock. `node` makes its identifiers unlike those of all others on the directory."""

    is_exclusive: bool
    node: int


class _Held(Exception):
    """Another process has the lock, beside which this one may work."""


@contextmanager
def lock_exclusive(
    directory: Path,
    announce: Callable[[str], None],
    *,
    holder: str = "",
    gives_way: bool = False,
) -> Iterator[int]:
    """Take the directory's lock; the value is its file descriptor, for children to hold as well.

    The lock is free when the last process that has the descriptor is gone, also by SIGKILL.
    `holder` is what others are told besides the process's number. Raise `StartupError` when
    another server has it, `OSError` when the disk takes no file.
    """
    _make(directory)
    path = directory / LOCK_FILE
    descriptor = _open(path)
    try:
        _wait_for_lock(descriptor, path, announce, holder, gives_way=gives_way)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {holder}".strip().encode() + b"\n")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def lock_shared(directory: Path) -> Iterator[None]:
    """Share the lock of the processes that work beside the holder of the directory.

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


def has_shared_lock(directory: Path) -> bool:
    """Whether any process works beside the holder of the directory."""
    descriptor = os.open(directory / WORKERS_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def lock_for_engine(
    directory: Path, announce: Callable[[str], None], *, beside_engines: bool
) -> Iterator[DataDirectoryLock]:
    """Lock exclusively, or share with the server that holds the directory.

    With `beside_engines` also share with another engine. Raise `StartupError`, naming the process,
    for a directory that an engine holds.
    """
    with ExitStack() as stack:
        if not _may_share(directory, beside_engines=beside_engines):
            # Several processes may have found it free at the same time: one of them gets it.
            with suppress(_Held):
                stack.enter_context(
                    lock_exclusive(directory, announce, holder=EMBEDDED, gives_way=beside_engines)
                )
                yield DataDirectoryLock(is_exclusive=True, node=0)
                return
        stack.enter_context(lock_shared(directory))
        node = stack.enter_context(reserve_node_number(directory))
        yield DataDirectoryLock(is_exclusive=False, node=node)


@contextmanager
def reserve_node_number(directory: Path) -> Iterator[int]:
    """A number that no other process on the directory has, from 1; 0 has the exclusive lock."""
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


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as failure:
        raise StartupError(
            f"{path}: {failure.strerror}; everything in the data directory has to belong to the"
            " user that the server runs as"
        ) from None


def _wait_for_lock(
    descriptor: int,
    path: Path,
    announce: Callable[[str], None],
    own: str,
    *,
    gives_way: bool,
) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    announced = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if gives_way:
                raise _Held from None
            holder = path.read_text("ascii", "replace").strip() or "unknown"
            if time.monotonic() > deadline:
                raise StartupError(
                    f"the data directory {path.parent} is in use by another outrider"
                    f" (process {holder}): {_way_out(own, holder)}"
                ) from None
            if not announced:
                announce(f"waiting for process {holder} to release the lock on {path.parent}")
                announced = True
            time.sleep(_RETRY_EVERY_S)
        else:
            return


def _way_out(own: str, holder: str) -> str:
    if own != EMBEDDED:
        return "stop it, or choose another one with --data-dir"
    if not holder.endswith(EMBEDDED):
        return "stop it, or choose another data_dir"
    return (
        "open the engine of each process with beside_engines=True when they are of one application,"
        " such as those of `uvicorn --workers`; else stop it, or choose another data_dir"
    )


def _may_share(directory: Path, *, beside_engines: bool) -> bool:
    holder = _read_holder(directory / LOCK_FILE)
    return holder is not None and (beside_engines or not holder.endswith(EMBEDDED))


def _read_holder(lock_file: Path) -> str | None:
    """What the holder of the lock wrote about itself; None: the lock is free."""
    try:
        descriptor = os.open(lock_file, os.O_RDWR)
    except OSError:
        # Not there, or not for this user: taking the lock tells which.
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return lock_file.read_text("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    return None
