"""What lies on the disk of a server that is not running, and locks on its files."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

STATES = {1: "PENDING", 2: "DELIVERING", 3: "RETRYING", 4: "DELIVERED", 5: "DEAD", 6: "CANCELLED"}


def change(data_dir: Path, statement: str) -> None:
    """Run SQL on the database."""
    with closing(sqlite3.connect(data_dir / "outrider.db")) as connection:
        connection.execute(statement)
        connection.commit()


def stored_states(data_dir: Path) -> Counter[str]:
    """How many deliveries lie there in which state."""
    return Counter(
        {
            STATES[state]: count
            for state, count in _rows(
                data_dir, "SELECT state, count(*) FROM deliveries GROUP BY state"
            )
        }
    )


def claims_and_leases(data_dir: Path) -> list[tuple[object, ...]]:
    """Claimed deliveries with their owners, and leases."""
    return [
        *_rows(data_dir, "SELECT id, owner FROM deliveries WHERE owner IS NOT NULL"),
        *_rows(data_dir, "SELECT owner FROM leases"),
    ]


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Lock a file while the block lasts."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def wait_for_lock_waiter(pid: int, path: Path, *, within: float) -> None:
    """Wait until a thread of this process waits for the lock of a file."""
    async with asyncio.timeout(within):
        while not _is_waiting(pid, path.stat().st_ino):
            await asyncio.sleep(0.01)


def _is_waiting(pid: int, inode: int) -> bool:
    # `1: -> FLOCK  ADVISORY  WRITE <pid> <device>:<inode> 0 EOF`: the arrow marks a waiter.
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(
        words[1] == "->" and words[5] == str(pid) and words[6].endswith(f":{inode}")
        for words in lines
    )


def _rows(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{data_dir}/outrider.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
