"""One connection to PostgreSQL: psycopg behind the adapters' protocol, and lost connections.

Imported only where a server uses PostgreSQL: the driver is an extra.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8BinaryDumper

from outrider.adapters.sql.schema.connection import Cursor, Row, insert_statement
from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.errors import Unavailable

OLDEST = 15
"""The oldest PostgreSQL that is used."""

CONNECTIONS_OF_A_PROCESS = 4
"""A writer, two readers, a listener."""

_CONNECT_S = 5
# A peer that vanishes is noticed within about ten seconds, idle or not.
_TIMEOUTS = {
    "connect_timeout": _CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A process that hangs inside a transaction blocks all others: it loses the transaction. A stricter
# isolation would refuse what units do at once; they keep themselves apart by locks.
_SETTINGS = (
    "SELECT set_config('idle_in_transaction_session_timeout', '15s', false),"
    " set_config('lock_timeout', '20s', false),"
    " set_config('default_transaction_isolation', 'read committed', false)"
)
# What was answered must be on disk, whatever the server's default is. Stricter ones stay.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_NUL = "\0"
# So many rows are copied, which takes half the time of as many statements.
_COPIED_FROM = 32

UNREADABLE = (
    "the URL cannot be read; percent-encode signs in user and password that are neither letters"
    " nor digits, such as %40 for @ and %2F for /"
)
_UNKNOWN = (
    "the connection to the database was lost during the commit: whether this call was stored is"
    " not known; try again with the same ids"
)


class PostgresConnection:
    """`connection.Connection` by psycopg, for one thread. `script` begins transactions."""

    dialect = POSTGRES

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self.must_notify = False

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        text = _psycopg_sql(sql)
        try:
            return self._connection.execute(text, parameters, binary=True)
        except psycopg.DataError:
            # Nothing was sent yet: PostgreSQL's texts have no NUL.
            cleaned = _without_nul(parameters)
            if cleaned == list(parameters):
                raise
            return self._connection.execute(text, cleaned, binary=True)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        # All rows leave in one go.
        cursor = self._connection.cursor()
        cursor.executemany(_psycopg_sql(sql), [_without_nul(parameter) for parameter in parameters])
        return cursor

    def first_of_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        if len(parameters) == 1:
            return [self.execute(sql, parameters[0]).fetchone()]
        if not parameters:
            return []
        cursor = self._connection.cursor(binary=True)
        cleaned = [_without_nul(row) for row in parameters]
        cursor.executemany(_psycopg_sql(sql), cleaned, returning=True)
        rows = [cursor.fetchone()]
        while cursor.nextset():
            rows.append(cursor.fetchone())
        return rows

    def insert_rows(self, table: str, columns: str, rows: Sequence[Row], /) -> None:
        if len(rows) < _COPIED_FROM:
            self.executemany(insert_statement(table, columns), rows)
            return
        with self._connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_without_nul(row))

    def notify_on_commit(self) -> None:
        # The store sends it after the commit.
        self.must_notify = True

    def use_schema(self, schema: str) -> None:
        """Look for every name in this schema, and in no other."""
        self.execute("SELECT set_config('search_path', quote_ident(?), false)", (schema,))

    def script(self, text: str) -> None:
        """Run statements without parameters, in one round trip."""
        self._connection.execute(text, prepare=False)

    def commit(self) -> None:
        """Commit. Raise `CommitUnknown` when the connection was lost before the answer came."""
        try:
            cursor = self._connection.execute("COMMIT")
        except psycopg.Error as failure:
            self.rollback()
            if self.is_lost:
                raise CommitUnknown(_UNKNOWN) from failure
            raise
        if cursor.statusmessage != "COMMIT":
            # A unit went on after a failed statement: PostgreSQL has rolled everything back.
            raise errors.InFailedSqlTransaction("the transaction had failed before its end")

    def rollback(self) -> None:
        """Undo what is not committed. A connection that cannot even do that is lost.

        A server that dies amid many statements leaves the driver in its pipeline mode: the
        connection does not count as broken, and refuses everything for ever.
        """
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    @property
    def is_lost(self) -> bool:
        """Whether another connection is needed."""
        return self._connection.closed or self._connection.broken

    @property
    def process(self) -> int:
        """The server's process for it: notifications name their sender so."""
        return self._connection.info.backend_pid

    @property
    def raw(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The driver's own."""
        return self._connection

    def close(self) -> None:
        """Close it, lost or not."""
        self._connection.close()


class CommitUnknown(Unavailable):
    """The connection was lost during a commit: it may have happened or not."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where a store is. `schema` None: the first one of the role's `search_path`."""

    url: str = field(repr=False)
    schema: str | None = None

    def connect(self) -> PostgresConnection:
        """A connection whose names are those of the schema. Raise as `connect` does."""
        connection = connect(self.url)
        if self.schema is not None:
            try:
                connection.use_schema(self.schema)
            except BaseException:
                connection.close()
                raise
        return connection


def connect(url: str) -> PostgresConnection:
    """A connection that commits only when told to, and then to the disk.

    Raise `psycopg.OperationalError` when the database cannot be reached.
    """
    given = conninfo_to_dict(url)
    options = {
        name: value for name, value in {**_TIMEOUTS, **_hosts(given)}.items() if name not in given
    }
    connection = psycopg.connect(url, autocommit=True, application_name="outrider", **options)  # type: ignore[arg-type] # numbers and texts
    try:
        # Every whole number is sent as one type: else each size of number is a statement of its own.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.adapters.register_dumper(bool, Int8BinaryDumper)
        connection.execute(_SETTINGS)
        connection.execute(_DURABLE)
    except BaseException:
        connection.close()
        raise
    return PostgresConnection(connection)


def _hosts(given: dict[str, Any]) -> dict[str, str]:
    """Of several hosts, the one that takes writes: after a fail-over it is another one."""
    has_several = any("," in str(given.get(part) or "") for part in ("host", "hostaddr"))
    return {"target_session_attrs": "read-write"} if has_several else {}


def redacted_url(url: str) -> str:
    """The URL's host, port and database: never the password, nor any other part."""
    given = _read(url)
    if given is None:
        return "the database"
    host, port = given.get("host") or "localhost", given.get("port")
    where = f"{host}:{port}" if port else str(host)
    return f"postgresql://{where}/{given.get('dbname') or ''}"


def reason_of(failure: Exception, url: str) -> str:
    """One line of the driver's message, without any part of the password."""
    if _read(url) is None:
        return UNREADABLE
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    return lines[0].rpartition(" failed: ")[2].strip().removeprefix("FATAL:").strip()


def _read(url: str) -> dict[str, Any] | None:
    """The parts of a URL; None when it cannot be read, or is read other than it was meant.

    A character of the password that is not encoded moves the rest of it into another part, or into
    the driver's message.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        return None
    ports = str(given.get("port") or "").split(",")
    is_meant = all(not port or (port.isascii() and port.isdigit()) for port in ports) and not any(
        "@" in str(given.get(part) or "") for part in ("host", "dbname")
    )
    return given if is_meant else None


@lru_cache(maxsize=1024)
def _psycopg_sql(sql: str) -> str:
    # psycopg's placeholders; none of our texts has a question mark that is not one.
    return sql.replace("%", "%%").replace("?", "%s")


def _without_nul(parameters: Sequence[Any]) -> list[Any]:
    return [
        parameter.replace(_NUL, "\N{SYMBOL FOR NULL}")
        if isinstance(parameter, str) and _NUL in parameter
        else parameter
        for parameter in parameters
    ]
