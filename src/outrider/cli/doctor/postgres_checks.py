"""The checks of `outrider doctor` on PostgreSQL: one connection, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from outrider.bootstrap.databases import inspect_postgres, postgres_driver
from outrider.cli.doctor.checks import Finding, Status, check_master_key
from outrider.config.loading import Settings
from outrider.errors import StartupError
from outrider.server.data_directory import MASTER_KEY_FILE

if TYPE_CHECKING:
    from outrider.bootstrap.databases import DatabaseInspection

_CONNECT_ADVICE = (
    "Check that it runs, that this machine may reach it (pg_hba.conf, firewalls), and what"
    " OUTRIDER_DATABASE_URL says."
)
_RESTART_ADVICE = (
    "Raise max_connections and restart it, lift the role's limit, or use fewer --workers."
)


def check_postgres(settings: Settings, url: str) -> Iterator[Finding]:
    """The driver, then the database, and the master key that belongs to it."""
    try:
        yield Finding("driver", Status.OK, postgres_driver())
    except StartupError as failure:
        advice = "Install it where outrider is installed."
        yield Finding("driver", Status.FAIL, str(failure), advice)
        return
    try:
        database = inspect_postgres(url, settings.database_schema)
    except StartupError as failure:
        yield Finding("database", Status.FAIL, f"no connection to {failure}", _CONNECT_ADVICE)
        yield _check_key(settings, None)
        return
    yield _check_database(database)
    yield _check_version(database)
    yield _check_schema(database)
    yield _check_writes(database)
    yield _check_pooling(database)
    yield _check_connections(database, settings.workers)
    yield _check_key(settings, database)


def _check_database(database: DatabaseInspection) -> Finding:
    message = f"{database.where} answers, {'over TLS' if database.is_encrypted else 'without TLS'}"
    if database.is_standby:
        return Finding(
            "database",
            Status.FAIL,
            f"{database.where} is a standby: nothing can be written to it",
            "Name the primary, or both with target_session_attrs=read-write in the URL.",
        )
    return Finding("database", Status.OK, message)


def _check_version(database: DatabaseInspection) -> Finding:
    major, minor = divmod(database.version, 10_000)
    message, oldest = f"PostgreSQL {major}.{minor}", database.oldest // 10_000
    if database.version < database.oldest:
        advice = f"Use PostgreSQL {oldest} or newer."
        return Finding("database version", Status.FAIL, f"{message} is too old", advice)
    return Finding("database version", Status.OK, message)


def _check_schema(database: DatabaseInspection) -> Finding:
    if database.needed > database.known:
        return Finding(
            "schema",
            Status.FAIL,
            f"version {database.schema}, for releases that know {database.needed} or more; this one knows"
            f" {database.known}",
            "Install the newer release that wrote it, or restore a backup.",
        )
    if database.schema < database.known and not database.may_create:
        return Finding(
            "schema",
            Status.FAIL,
            f"{database.schema_name}: version {database.schema} of {database.known}, and the role may"
            " not create tables",
            "Make the role the owner of the database, or make the schema, and: GRANT CREATE ON SCHEMA"
            f" {database.schema_name} TO ROLE.",
        )
    if database.schema < database.known:
        what = (
            f"version {database.schema} becomes {database.known}"
            if database.schema
            else "will be made"
        )
        return Finding("schema", Status.OK, f"{database.schema_name}: {what} at the first start")
    newer = (
        ""
        if database.schema == database.known
        else f"; this release knows {database.known} and works on it"
    )
    return Finding("schema", Status.OK, f"{database.schema_name}: version {database.schema}{newer}")


def _check_writes(database: DatabaseInspection) -> Finding:
    if database.refused is not None:
        message = f"it takes no writes: {database.refused.reason}"
        return Finding("database writes", Status.FAIL, message, _sentence(database.refused.advice))
    return Finding("database writes", Status.OK, "a write was tried, and taken back")


def _check_pooling(database: DatabaseInspection) -> Finding:
    if database.is_pooled:
        return Finding(
            "database sessions",
            Status.FAIL,
            "a pooler hands them to another client after each transaction",
            "Connect to the server itself, or let the pooler pool sessions (pgbouncer: pool_mode ="
            " session).",
        )
    return Finding("database sessions", Status.OK, "each connection keeps its own")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _check_connections(database: DatabaseInspection, workers: int) -> Finding:
    needed = database.connections_of_a_process * (1 + workers)
    message = (
        f"{database.free} of {database.most} are free ({database.limited_by}); a server with"
        f" {workers} workers uses {needed}"
    )
    if database.most < needed:
        return Finding("connections", Status.FAIL, message, _RESTART_ADVICE)
    if database.free < needed:
        advice = f"Unless this very server runs already: {_RESTART_ADVICE[0].lower()}{_RESTART_ADVICE[1:]}"
        return Finding("connections", Status.WARN, message, advice)
    return Finding("connections", Status.OK, message)


def _check_key(settings: Settings, database: DatabaseInspection | None) -> Finding:
    path = settings.data_dir / MASTER_KEY_FILE
    if settings.master_key is not None or path.exists():
        return _add_sealing_caveat(check_master_key(settings), database)
    advice = "Give OUTRIDER_MASTER_KEY, the same on every node."
    if database is None:
        message = (
            f"none is given and {path} is missing: only the database can tell whether one is needed"
        )
        return Finding("master key", Status.WARN, message, advice)
    if database.is_sealed:
        return Finding(
            "master key",
            Status.FAIL,
            f"none is given and {path} is missing, but the database was sealed with one",
            f"{advice[:-1]}, or copy the first node's {MASTER_KEY_FILE} there.",
        )
    message = f"will be made at the first start, in {path}; every other node needs a copy"
    return Finding("master key", Status.OK, message)


def _add_sealing_caveat(finding: Finding, database: DatabaseInspection | None) -> Finding:
    if finding.status is not Status.OK or database is None or not database.is_sealed:
        return finding
    return replace(
        finding,
        message=f"{finding.message}; whether the database was sealed with it, the start tells",
    )
