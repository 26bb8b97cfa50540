"""Find files of a data directory that other users of the machine may read or change.

A group is trusted: volumes of Kubernetes and OpenShift give files to one. Other users are not.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outrider.errors import StartupError
from outrider.server.data_directory import ADMIN_TOKEN_FILE, MASTER_KEY_FILE

_OF_SQLITE = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class ExposedFile:
    """A file whose mode is too wide. `is_fatal`: all users may change it, so it proves nothing."""

    path: Path
    mode: int
    what: str
    advice: str
    is_fatal: bool

    @property
    def message(self) -> str:
        """The problem, in a sentence."""
        return f"{self.path} has mode {self.mode:04o}: {self.what}"


def exposed_files(directory: Path, database_file: Path | None) -> Iterator[ExposedFile]:
    """Yield the files that all users may read or change; `database_file` is None for PostgreSQL."""
    mode = _mode_of(directory)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        # Volumes of Kubernetes have this mode (`emptyDir`), with no other user in their pod.
        what = "every account of this machine may replace what is in it"
        yield ExposedFile(directory, mode, what, f"run: chmod 700 {directory}", is_fatal=False)
    files = [directory / MASTER_KEY_FILE, directory / ADMIN_TOKEN_FILE]
    if database_file is not None:
        files += [database_file.with_name(database_file.name + suffix) for suffix in _OF_SQLITE]
    for path in files:
        yield from _exposed(path)


def refuse_exposed_files(directory: Path, database_file: Path | None) -> list[ExposedFile]:
    """Return what an operator should be warned of. Raise `StartupError` for what proves nothing."""
    found = list(exposed_files(directory, database_file))
    fatal = [exposed for exposed in found if exposed.is_fatal]
    if fatal:
        raise StartupError("\n".join(f"{exposed.message}; {exposed.advice}" for exposed in fatal))
    return found


def _exposed(path: Path) -> Iterator[ExposedFile]:
    mode = _mode_of(path)
    advice = f"run: chmod 600 {path}"
    if mode & stat.S_IWOTH:
        what = "every account of this machine may change it"
        yield ExposedFile(path, mode, what, advice, is_fatal=True)
    elif mode & stat.S_IROTH:
        what = "every account of this machine may read it"
        yield ExposedFile(path, mode, what, advice, is_fatal=False)


def _mode_of(path: Path) -> int:
    """The permissions; none of what is not there."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
