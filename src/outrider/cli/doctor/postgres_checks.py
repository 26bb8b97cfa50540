"""What `outrider doctor` looks at when the database is PostgreSQL: one connection, nothing changed."""

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

CONNECTIONS_OF_A_PROCESS = 4
"""A writer, two readers, a listener."""

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
        seen = inspect_postgres(url)
    except StartupError as failure:
        yield Finding("database", Status.FAIL, f"no connection to {failure}", _CONNECT_ADVICE)
        yield _check_key(settings, None)
        return
    yield _check_database(seen)
    yield _check_version(seen)
    yield _check_schema(seen)
    yield _check_connections(seen, settings.workers)
    yield _check_key(settings, seen)


def _check_database(seen: DatabaseInspection) -> Finding:
    says = f"{seen.where} answers, {'over TLS' if seen.is_encrypted else 'without TLS'}"
    if seen.is_standby:
        return Finding(
            "database",
            Status.FAIL,
            f"{seen.where} is a standby: nothing can be written to it",
            "Name the primary, or both with target_session_attrs=read-write in the URL.",
        )
    return Finding("database", Status.OK, says)


def _check_version(seen: DatabaseInspection) -> Finding:
    major, minor = divmod(seen.version, 10_000)
    says, oldest = f"PostgreSQL {major}.{minor}", seen.oldest // 10_000
    if seen.version < seen.oldest:
        advice = f"Use PostgreSQL {oldest} or newer."
        return Finding("database version", Status.FAIL, f"{says} is too old", advice)
    return Finding("database version", Status.OK, says)


def _check_schema(seen: DatabaseInspection) -> Finding:
    if seen.needed > seen.known:
        return Finding(
            "schema",
            Status.FAIL,
            f"version {seen.schema}, for releases that know {seen.needed} or more; this one knows"
            f" {seen.known}",
            "Install the newer release that wrote it, or restore a backup.",
        )
    if seen.schema < seen.known and not seen.may_create:
        return Finding(
            "schema",
            Status.FAIL,
            f"version {seen.schema} of {seen.known}, and the role may not create tables",
            "Make the role the owner of the database, or: GRANT CREATE ON SCHEMA public TO ROLE,"
            " with the first schema of its search_path.",
        )
    if seen.schema < seen.known:
        what = f"version {seen.schema} becomes {seen.known}" if seen.schema else "will be made"
        return Finding("schema", Status.OK, f"{what} at the first start")
    newer = (
        "" if seen.schema == seen.known else f"; this release knows {seen.known} and works on it"
    )
    return Finding("schema", Status.OK, f"version {seen.schema}{newer}")


def _check_connections(seen: DatabaseInspection, workers: int) -> Finding:
    wanted = CONNECTIONS_OF_A_PROCESS * (1 + workers)
    says = f"{seen.free} of {seen.most} are free; a server with {workers} workers holds {wanted}"
    if seen.most < wanted:
        return Finding("connections", Status.FAIL, says, _RESTART_ADVICE)
    if seen.free < wanted:
        advice = f"Unless this very server runs already: {_RESTART_ADVICE[0].lower()}{_RESTART_ADVICE[1:]}"
        return Finding("connections", Status.WARN, says, advice)
    return Finding("connections", Status.OK, says)


def _check_key(settings: Settings, seen: DatabaseInspection | None) -> Finding:
    path = settings.data_dir / MASTER_KEY_FILE
    if settings.master_key is not None or path.exists():
        return _not_tried(check_master_key(settings), seen)
    advice = "Give OUTRIDER_MASTER_KEY, the same on every node."
    if seen is None:
        says = f"none is given and {path} is missing: whether one is needed the database would say"
        return Finding("master key", Status.WARN, says, advice)
    if seen.is_sealed:
        return Finding(
            "master key",
            Status.FAIL,
            f"none is given and {path} is missing, but the database was sealed with one",
            f"{advice[:-1]}, or copy the first node's {MASTER_KEY_FILE} there.",
        )
    says = f"will be made at the first start, in {path}; every other node needs a copy"
    return Finding("master key", Status.OK, says)


def _not_tried(finding: Finding, seen: DatabaseInspection | None) -> Finding:
    if finding.status is not Status.OK or seen is None or not seen.is_sealed:
        return finding
    return replace(
        finding, says=f"{finding.says}; whether the database was sealed with it, the start tells"
    )
