"""What an operator and a caller read when SQLite cannot write."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.adapters.sql.stores.sqlite_failures import (
    RESERVE_BYTES,
    advice_of,
    as_refused,
    check_space,
    refused,
)
from outrider.usecases.ports.store import WriteRefused
from support.runtime import NOW

REASONS = [
    (errno.ENOSPC, "the store's disk is full"),
    (errno.EDQUOT, "the quota of the store's disk is used up"),
    (errno.EROFS, "the store's disk is read-only"),
    (errno.EMFILE, "this process has too many files open"),
    (errno.ENFILE, "this machine has too many files open"),
    (errno.EIO, "the store's disk fails"),
]


@pytest.mark.parametrize(("number", "reason"), REASONS)
def test_every_failure_of_a_disk_has_a_reason_and_a_next_action(number: int, reason: str):
    refusal = refused(number)

    assert reason == refusal.reason
    assert f"{reason}: nothing of this call was stored" == refusal.message
    assert refusal.advice == advice_of(number) != ""


def test_a_disk_with_space_is_asked_without_a_trace(tmp_path: Path):
    check_space(tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_a_quota_shows_as_one(tmp_path: Path):
    """A bound on the size of files is a quota that needs no root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVE_BYTES // 2, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            check_space(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_read_only_file_is_named_so(tmp_path: Path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE some (number)")
    failure = failing(f"file:{path}?mode=ro", "INSERT INTO some VALUES (1)")

    refusal = as_refused(failure, tmp_path)

    assert refusal is not None
    assert "the store's file is read-only" == refusal.reason


def test_a_lock_that_a_backup_holds_is_named_so(tmp_path: Path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE some (number)")
        holder.execute("BEGIN EXCLUSIVE")
        failure = failing(f"file:{path}", "INSERT INTO some VALUES (1)")

    refusal = as_refused(failure, tmp_path)

    assert refusal is not None
    assert "another program holds the lock of the store's file" == refusal.reason


def test_a_wrong_statement_is_no_refusal(tmp_path: Path):
    assert as_refused(failing(f"file:{tmp_path / 'a.db'}", "INSERT INTO nothing"), tmp_path) is None


async def test_a_directory_that_is_no_more_is_not_called_writable(tmp_path: Path):
    directory = tmp_path / "data"
    directory.mkdir()
    async with open_sqlite(directory / "a.db", Sealing(bytes(32)), now=NOW) as store:
        directory.rename(tmp_path / "elsewhere")
        with pytest.raises(WriteRefused):
            await store.check_writable()
        (tmp_path / "elsewhere").rename(directory)
        await store.check_writable()


def failing(uri: str, sql: str) -> sqlite3.Error:
    """What SQLite raises at this statement."""
    with closing(sqlite3.connect(uri, uri=True, timeout=0)) as connection:
        try:
            connection.execute(sql)
        except sqlite3.Error as failure:
            return failure
    raise AssertionError(f"{sql} did not fail")
