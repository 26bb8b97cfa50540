"""Database connections as the adapters use them, and the conversion of values to columns.

Times and durations are integers of microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol

from outrider.adapters.sql.schema.dialect import Dialect

Row = tuple[Any, ...]


class Cursor(Protocol):
    """The rows of one statement, to be read once."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed, by all of `executemany`."""
        ...

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """All that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to either database. Parameters are `?` in the text, never in its words."""

    dialect: Dialect

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each row of parameters."""
        ...

    def first_of_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        """Run one statement for each row of parameters; return the first row of each, or None."""
        ...

    def insert_rows(self, table: str, columns: str, rows: Sequence[Row], /) -> None:
        """Insert whole rows, in the fastest way that the database has. No text has NUL, no value is bytes."""
        ...

    def notify_on_commit(self) -> None:
        """Notify other processes once this is committed: a delivery is due, or routing has changed.

        The notification may be lost: they also poll the store, only later.
        """
        ...


LAST_SONYFLAKE = "last sonyflake"
"""Where the metadata has the largest identifier of targets, public keys and web keys, in 8 bytes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_NUMBER = 2**63 - 1
_MAX_DIGITS = len(str(_MAX_NUMBER))


def from_time(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def from_optional_time(at: datetime | None) -> int | None:
    """Microseconds since 1970, None for none."""
    return None if at is None else from_time(at)


def to_time(microseconds: int) -> datetime:
    """An aware time in UTC."""
    return _EPOCH + timedelta(0, 0, microseconds)


def to_optional_time(microseconds: int | None) -> datetime | None:
    """An aware time in UTC, None for none."""
    return None if microseconds is None else to_time(microseconds)


def from_duration(duration: timedelta) -> int:
    """Whole microseconds."""
    return duration // _MICROSECOND


def to_duration(microseconds: int) -> timedelta:
    """A duration."""
    return timedelta(microseconds=microseconds)


def to_number(identifier: str) -> int | None:
    """The integer column of an identifier that we made; None for any other text."""
    if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= _MAX_DIGITS):
        return None
    number = int(identifier)
    return number if number <= _MAX_NUMBER and str(number) == identifier else None


@cache
def insert_statement(table: str, columns: str) -> str:
    """One row into a table, by columns that are divided by commas."""
    return f"INSERT INTO {table} ({columns}) VALUES ({marks(columns.split(','))})"  # noqa: S608 - ours


def marks(values: Iterable[object]) -> str:
    """One placeholder for each value, for `IN (…)`."""
    return ",".join("?" for _ in values)


def bump_routing_revision(connection: Connection) -> None:
    """Notify all nodes that routing has changed, when this transaction commits."""
    connection.execute("UPDATE routing_revision SET value = value + 1")
    connection.notify_on_commit()


def remember_sonyflake(connection: Connection, identifier: str) -> None:
    """Keep the largest identifier of its kind: rows of older releases have larger, other ones."""
    number = to_number(identifier)
    if number is not None:
        connection.execute(
            "INSERT INTO metadata (name, value) VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET value = excluded.value WHERE excluded.value > metadata.value",
            (LAST_SONYFLAKE, number.to_bytes(8)),
        )


class Secrets(Protocol):
    """Seals secrets at rest. A port of its own: adapters do not import one another."""

    def seal(self, secret: bytes, *, belongs_to: str) -> bytes:
        """Return the sealed secret, which may be stored."""
        ...

    def digest(self, content: bytes) -> bytes:
        """Return a keyed digest: of equal contents an equal one, which tells nothing else."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> bytes:
        """Return the secret; raise when the key or the owner is another one."""
        ...
