"""The place of an engine inside another program at a data directory: alone, or beside others."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from outrider.errors import StartupError
from outrider.server.data_directory import LOCK_FILE, joined, locked

EMBEDDED = "embedded"
"""What the lock of an engine says besides the process's number."""

_NODE_LOCK = "node-{}.lock"
_MAX_NODE = 1023  # what `ambient.IdGenerator` takes; 0 is whoever holds the directory


@dataclass(frozen=True, slots=True)
class Place:
    """`node` makes identifiers unlike those of every other process on the directory."""

    is_alone: bool
    node: int


@contextmanager
def placed(
    directory: Path, announce: Callable[[str], None], *, beside_engines: bool
) -> Iterator[Place]:
    """Hold the directory, or join the server that does; with `beside_engines` also another engine.

    Raise `StartupError`, naming the process, for a directory that an engine holds.
    """
    with ExitStack() as held:
        if _may_join(directory, beside_engines=beside_engines):
            held.enter_context(joined(directory))
            yield Place(is_alone=False, node=held.enter_context(free_node(directory)))
        else:
            held.enter_context(locked(directory, announce, holder=EMBEDDED))
            yield Place(is_alone=True, node=0)


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
