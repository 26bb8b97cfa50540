"""Classify failures of PostgreSQL by SQLSTATE: one table for callers, operators and starts.

Callers get our words and the state alone: PostgreSQL's own quote statements, rows and names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import errors

from outrider.errors import Unavailable
from outrider.usecases.ports.store import WriteRefused

UNREACHABLE = "the database cannot be reached; try again"

FULL, READ_ONLY, TOO_MANY_CONNECTIONS = "53100", "25006", "53300"
NO_PERMISSION, NO_TABLE = "42501", "42P01"

COLLISIONS = (errors.DeadlockDetected, errors.SerializationFailure)
"""Two transactions were in each other's way: the one that lost is run again."""

CONCERNS_ALL = (
    psycopg.OperationalError,
    errors.ReadOnlySqlTransaction,
    errors.InFailedSqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)
"""What concerns a whole group of units, and not the one that happened to meet it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of failure that is no bug of ours.

    `reason` is for callers, `advice` is what an operator does about it. With `passes` it may be over
    in a moment: a start waits for that. After one with `needs_connection` the connection is no good,
    or was made under settings that may have changed since.
    """

    reason: str
    advice: str
    passes: bool = False
    needs_connection: bool = True


_NO_RIGHT = Refusal(
    "the database's role lacks a right",
    "make the role the owner of outrider's tables, or grant it SELECT, INSERT, UPDATE and DELETE",
    needs_connection=False,
)
_NO_TABLE = Refusal(
    "outrider's tables are not in the database",
    "check the search_path of the role; restore a backup if they are gone",
    needs_connection=False,
)
_STOOD_STILL = Refusal(
    "the database ended a transaction that took too long",
    "look for a process that stood still, and for a transaction_timeout of the role",
)
_STARTING = Refusal(
    "the database is starting or stopping",
    "wait until it has started; its log says what it does",
    passes=True,
)
_LOGIN = Refusal(
    "the database refuses the login of outrider's role",
    "check user and password in OUTRIDER_DATABASE_URL, and pg_hba.conf",
)
_NO_DATABASE = Refusal(
    "the database does not exist",
    "create it, or name the right one in OUTRIDER_DATABASE_URL",
)

# By the whole state, else by its first two characters, its class.
REFUSALS: Mapping[str, Refusal] = {
    READ_ONLY: Refusal(
        "the database is read-only",
        "name the primary in OUTRIDER_DATABASE_URL, or every host that may be it; if it is the"
        " primary, switch default_transaction_read_only off",
        passes=True,
    ),
    "25P02": Refusal(
        "the database had given up the transaction",
        "connect to the server itself: a pooler may hand over sessions in the middle",
    ),
    "25P03": _STOOD_STILL,
    "25P04": _STOOD_STILL,
    "28": _LOGIN,
    "3D": _NO_DATABASE,
    "3F": _NO_TABLE,
    NO_PERMISSION: _NO_RIGHT,
    NO_TABLE: _NO_TABLE,
    "42703": _NO_TABLE,
    FULL: Refusal(
        "the store's disk is full",
        "make room on the disk of the database: its data, its tablespaces, its write-ahead log",
    ),
    "53200": Refusal(
        "the database's server is out of memory",
        "give its machine more memory, or lower work_mem and max_connections",
    ),
    TOO_MANY_CONNECTIONS: Refusal(
        "the database has no connection left",
        "raise max_connections, or the CONNECTION LIMIT of the role or the database",
    ),
    "53": Refusal(
        "the database has reached a limit of its configuration",
        "its log names the limit, such as temp_file_limit: raise it for the role",
    ),
    "55P03": Refusal(
        "another session holds a lock of the database for too long",
        "end that session: pg_blocking_pids() finds it",
        passes=True,
        needs_connection=False,
    ),
    "57014": Refusal(
        "the database cancelled a statement",
        "raise statement_timeout for the role, or 0 for none; see who cancels statements",
    ),
    "57P01": _STARTING,
    "57P02": _STARTING,
    "57P03": _STARTING,
    "57P04": _NO_DATABASE,
    "57P05": _STARTING,
    "58": Refusal(
        "the database's server fails at its own files",
        "read the log of the server, and check its disk",
    ),
    "XX": Refusal(
        "the database reports damaged data, or an internal error",
        "read the log of the server; restore a backup if data is damaged",
    ),
}

# A refused connection comes without its state. These are the server's words, and libpq's own.
_WORDS: Mapping[str, str] = {
    "session is read-only": READ_ONLY,
    "server is in hot standby mode": READ_ONLY,
    "too many clients already": TOO_MANY_CONNECTIONS,
    "too many connections for": TOO_MANY_CONNECTIONS,
    "remaining connection slots are reserved": TOO_MANY_CONNECTIONS,
    "no more connections allowed": TOO_MANY_CONNECTIONS,
    "authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "is not permitted to log in": "28000",
    "permission denied for database": NO_PERMISSION,
    "the database system is": "57P03",
    "not currently accepting connections": "57P03",
}
_DOES_NOT_EXIST = {"database": "3D000", "role": "28000"}


def state_of(failure: BaseException) -> str:
    """The SQLSTATE of a failure; empty when the database did not get to name one."""
    if not isinstance(failure, psycopg.Error):
        return ""
    if failure.sqlstate is not None:
        return failure.sqlstate
    text = str(failure)
    found = next((state for words, state in _WORDS.items() if words in text), "")
    if not found and "does not exist" in text:
        found = next((state for noun, state in _DOES_NOT_EXIST.items() if f'{noun} "' in text), "")
    return found


def refusal_of(failure: BaseException) -> Refusal | None:
    """Return the meaning of a failure; None for a bug, and for a database that is unreachable."""
    state = state_of(failure)
    return REFUSALS.get(state) or REFUSALS.get(state[:2])


def as_refused(failure: Exception) -> Exception:
    """The error of a call that changes something: `failure` itself when it is a bug of ours."""
    if refusal_of(failure) is None:
        return _unreachable(failure)
    return because(refusal_named(state_of(failure)), failure)


def refusal_named(state: str, detail: str = "") -> WriteRefused:
    """The error of a call that changes something, for one of the states in the table.

    `detail` names what is concerned; callers do not get it.
    """
    refusal = REFUSALS.get(state) or REFUSALS[state[:2]]
    advice = f"{refusal.advice} ({detail})" if detail else refusal.advice
    return WriteRefused(f"{refusal.reason} (SQLSTATE {state})", advice)


def as_unavailable(failure: Exception) -> Exception:
    """The error of a call that only reads: `failure` itself when it is a bug of ours."""
    refusal, state = refusal_of(failure), state_of(failure)
    if refusal is None:
        return _unreachable(failure)
    return because(Unavailable(f"{refusal.reason} (SQLSTATE {state}); try again"), failure)


def because(unavailable: Unavailable, failure: BaseException) -> Unavailable:
    """Add the database's first line for the log: what follows it quotes statements and rows."""
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    unavailable.__cause__ = psycopg.OperationalError(lines[0])
    return unavailable


def _unreachable(failure: Exception) -> Exception:
    if not isinstance(failure, psycopg.OperationalError | psycopg.InterfaceError):
        return failure
    if failure.sqlstate is None or failure.sqlstate.startswith("08"):
        return because(Unavailable(UNREACHABLE), failure)
    text = f"the database fails (SQLSTATE {failure.sqlstate}); try again"
    return because(Unavailable(text), failure)
