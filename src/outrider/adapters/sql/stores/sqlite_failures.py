"""Explain why SQLite cannot write: its texts hide a full disk behind "disk I/O error".

SQLite tells a full disk from other failures at some calls only, and a used up quota at none. The
directory of the file tells the rest: writing there fails with the system's own number.
"""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from pathlib import Path

from outrider.usecases.ports.store import WriteRefused

# More than a small group of units takes: a disk with less is as good as full.
RESERVE_BYTES = 1024 * 1024

_REASONS = {
    errno.ENOSPC: "the store's disk is full",
    errno.EDQUOT: "the quota of the store's disk is used up",
    errno.EROFS: "the store's disk is read-only",
    errno.EACCES: "this user may not write where the store is",
    errno.EPERM: "this user may not write where the store is",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "this machine has too many files open",
}
_FAILING = "the store's disk fails"
_ADVICE = {
    errno.ENOSPC: "make room on the disk, or choose another --data-dir",
    errno.EDQUOT: "make room within the quota of its owner, or raise the quota",
    errno.EROFS: "mount the disk writable, or choose another --data-dir",
    errno.EMFILE: "raise the limit of open files (ulimit -n) of this process",
    errno.ENFILE: "raise the machine's limit of open files, or close files of other programs",
    errno.EIO: "check the disk: it does not do what it is told",
}
_PRIMARY = 0xFF  # the extended codes have a primary one in their lowest byte
_OF_THE_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def check_space(directory: Path) -> None:
    """Return when a file of `RESERVE_BYTES` can be written there. Leaves none; else raise OSError."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(RESERVE_BYTES))
        file.flush()


def reason_of(number: int | None) -> str:
    """Return the meaning of a system error number, for callers: without paths and names."""
    return _REASONS.get(number or 0, _FAILING)


def advice_of(number: int | None, otherwise: str = "") -> str:
    """Return the advice for an operator; `otherwise` for errors that do not concern disks."""
    return _ADVICE.get(number or 0, otherwise)


def refused(number: int | None) -> WriteRefused:
    """The refusal of every write for as long as writing fails with this number of the system."""
    return WriteRefused(reason_of(number), advice_of(number))


def as_refused(failure: sqlite3.Error, directory: Path) -> WriteRefused | None:
    """Return the refusal of all writes that the failure means; None: it does not concern the disk."""
    code = getattr(failure, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return refused(errno.ENOSPC)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WriteRefused(
            "another program holds the lock of the store's file",
            "end the backup or the shell that has the file open",
        )
    if code not in _OF_THE_DISK:
        return None
    try:
        check_space(directory)
    except OSError as disk_failure:
        return refused(disk_failure.errno)
    if code == sqlite3.SQLITE_READONLY:
        return WriteRefused(
            "the store's file is read-only", "give it to the user that the server runs as"
        )
    # The file of a database that cannot be opened is wrong, and not the disk.
    return refused(errno.EIO) if code == sqlite3.SQLITE_IOERR else None
