"""What `outrider doctor` finds in databases of PostgreSQL, and that it shows no password."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from cli.conftest import clean_environ, run
from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations
from outrider.adapters.sql.stores.postgres_inspect import DatabaseInspection
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.cli.doctor import postgres_checks
from outrider.cli.doctor.checks import Status
from outrider.config.loading import Settings
from support.postgres_databases import SEALING
from support.runtime import NOW

PASSWORD = "hunter2-secret"
KNOWN = all_migrations(POSTGRES)[-1].version
INSPECTION = DatabaseInspection(
    where="postgresql://db.internal/outrider",
    version=160_004,
    is_encrypted=True,
    is_standby=False,
    may_create=True,
    is_sealed=False,
    schema=KNOWN,
    needed=0,
    known=KNOWN,
    most=97,
    free=90,
)


@pytest.fixture
def url(postgres_url) -> str:
    """An empty database, without a password."""
    return postgres_url.replace("postgres@", f"postgres:{PASSWORD}@")


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(port=0, data_dir=tmp_path / "data", workers=2)


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


def check(settings: Settings, url: str) -> dict[str, tuple[Status, str]]:
    findings = list(postgres_checks.check_postgres(settings, url))
    assert PASSWORD not in repr(findings)
    assert [
        finding.name for finding in findings if finding.status is Status.FAIL and not finding.advice
    ] == []
    return {
        finding.name: (finding.status, f"{finding.message} {finding.advice}")
        for finding in findings
    }


async def test_nothing_is_wrong_with_a_new_database(settings, url):
    """
    And a check changes nothing: neither a table nor a key is there afterwards.
    """
    for _ in range(2):
        findings = check(settings, url)

        assert {Status.OK} == {status for status, _ in findings.values()}, findings
        assert [
            "driver",
            "database",
            "database version",
            "schema",
            "database writes",
            "database sessions",
            "connections",
            "master key",
        ] == (list(findings))
        assert "will be made" in findings["schema"][1]
    assert not settings.data_dir.exists()


async def test_a_database_in_use_wants_its_key(settings, url):
    """
    A second node without the first one's key does not start; the doctor reports it before.
    """
    async with open_postgres(url, SEALING, now=NOW) as store:
        store.check_secrets()
    without = check(settings, url)
    given = check(replace(settings, master_key=bytes(range(32))), url)

    assert (Status.OK, Status.FAIL) == (given["master key"][0], without["master key"][0])
    assert "OUTRIDER_MASTER_KEY" in without["master key"][1]
    assert "whether the database was sealed with it, the start tells" in given["master key"][1]
    assert f"version {KNOWN}" in given["schema"][1]


async def test_a_schema_of_the_future_is_seen(settings, url):
    """
    With what to do; one that this release can work on is no failure.
    """
    async with open_postgres(url, SEALING, now=NOW):
        pass
    row = f"INSERT INTO schema_migrations VALUES ({KNOWN + 1}, 'next', 0, {KNOWN})"
    execute(url, row)
    compatible = check(settings, url)["schema"]
    execute(url, f"UPDATE schema_migrations SET compatible_with = NULL WHERE version > {KNOWN}")
    too_new = check(settings, url)["schema"]

    assert (Status.OK, Status.FAIL) == (compatible[0], too_new[0])
    assert "works on it" in compatible[1]
    assert "newer release" in too_new[1]


async def test_a_schema_of_the_first_releases_is_seen(settings, url):
    """
    They did not write down who can work on it.
    """
    execute(
        url,
        "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT, applied_at BIGINT)",
        "INSERT INTO schema_migrations VALUES (1, 'first', 0)",
    )

    assert f"version 1 becomes {KNOWN}" in check(settings, url)["schema"][1]


async def test_a_role_that_may_not_make_tables_is_seen(settings, url):
    """
    Roles belong to the whole server: it is gone afterwards.
    """
    execute(url, "DROP ROLE IF EXISTS outrider_weak", "CREATE ROLE outrider_weak LOGIN")
    execute(url, "ALTER ROLE outrider_weak CONNECTION LIMIT 5")
    try:
        weak = url.replace(f"postgres:{PASSWORD}@", f"outrider_weak:{PASSWORD}@")
        findings = check(settings, weak)
    finally:
        execute(url, "DROP ROLE outrider_weak")

    assert Status.FAIL is findings["schema"][0]
    assert "GRANT CREATE" in findings["schema"][1]
    # Two workers and the API: more than the role may have.
    assert Status.FAIL is findings["connections"][0]
    assert "5 of 5 are free" in findings["connections"][1]


@pytest.mark.parametrize(
    ("has_schema", "statements", "message"),
    [
        (True, ["ALTER DATABASE {} SET default_transaction_read_only = on"], "read-only"),
        (False, ["ALTER DATABASE {} SET default_transaction_read_only = on"], "read-only"),
        (True, ["ALTER TABLE tokens RENAME TO gone"], "(table tokens)"),
    ],
)
async def test_a_database_that_takes_no_writes_is_seen(
    settings, url, has_schema, statements, message
):
    """
    It answers every question, and would refuse every publish.
    """
    if has_schema:
        async with open_postgres(url, SEALING, now=NOW):
            pass
    name = url.partition("?")[0].rpartition("/")[2]
    execute(url, *(statement.format(name) for statement in statements))
    findings = check(settings, url)

    assert Status.FAIL is findings["database writes"][0]
    assert message in findings["database writes"][1]


async def test_a_lock_on_a_table_does_not_stop_the_doctor(settings, url):
    """
    It waits for two seconds, and names what holds up the write.
    """
    async with open_postgres(url, SEALING, now=NOW):
        pass
    with closing(psycopg.connect(url)) as other:
        other.execute("LOCK TABLE metadata IN SHARE MODE")
        findings = check(settings, url)

    assert "55P03" in findings["database writes"][1]


@pytest.mark.parametrize(
    ("change", "name", "status", "message"),
    [
        ({"version": 140_012}, "database version", Status.FAIL, "14.12 is too old"),
        ({"version": 150_000}, "database version", Status.OK, "15.0"),
        ({"is_standby": True}, "database", Status.FAIL, "standby"),
        ({"is_encrypted": False}, "database", Status.OK, "without TLS"),
        ({"most": 11}, "connections", Status.FAIL, "max_connections"),
        ({"most": 12, "free": 12}, "connections", Status.OK, "12 of 12"),
        ({"free": 11}, "connections", Status.WARN, "Unless this very server runs"),
        ({"limited_by": "CONNECTION LIMIT of the role"}, "connections", Status.OK, "of the role"),
        ({"is_pooled": True}, "database sessions", Status.FAIL, "pool_mode = session"),
    ],
    ids=str,
)
def test_findings_about_a_database(settings, change, name, status, message):
    """
    Not every server that there may be can be started here.
    """
    database = replace(INSPECTION, **change)
    findings = [
        postgres_checks._check_database(database),
        postgres_checks._check_version(database),
        postgres_checks._check_pooling(database),
        postgres_checks._check_connections(database, settings.workers),
    ]
    (checked,) = [finding for finding in findings if finding.name == name]

    assert status is checked.status
    assert message in f"{checked.message} {checked.advice}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2-secret@127.0.0.1:1/d",
        "postgresql://u:hunter2-secret%zz@127.0.0.1:1/d",
        "postgresql://u:hunter2-secret@more@127.0.0.1:1/d",
        "postgresql://u:x/hunter2-secret@127.0.0.1:1/d",
        "postgresql://u:x@hunter2-secret@127.0.0.1:1/d",
        "postgresql://u:x@hunter2-secret/y@127.0.0.1:1/d",
        "postgresql://u:hunter2-secret@[::1/d",
        "postgresql://u:x hunter2-secret@127.0.0.1:1/d",
        "postgresql://u@127.0.0.1:1/d?password=hunter2-secret",
    ],
)
def test_a_database_that_does_not_answer_shows_no_password(tmp_path, url):
    """
    Also where a sign that was not encoded moves it to another part; and a start shows as little.
    """
    environ = {"OUTRIDER_DATABASE_URL": url}
    result = run("doctor", "--port", 0, "--json", cwd=tmp_path, **environ)
    findings = {finding["name"]: finding for finding in result.json["checks"]}

    assert 1 == result.code
    assert "fail" == findings["database"]["status"]
    assert "OUTRIDER_DATABASE_URL" in findings["database"]["advice"]
    assert "sqlite" not in findings
    assert PASSWORD not in result.out + result.err


def test_a_url_that_cannot_be_read_ends_a_start_immediately(tmp_path):
    """
    Without the wait for a database that may come up, and without the password.
    """
    url = f"postgresql://u:{PASSWORD}/x@127.0.0.1:1/d"
    result = run("worker", cwd=tmp_path, OUTRIDER_DATABASE_URL=url)

    assert 1 == result.code
    assert "percent-encode" in result.err
    assert PASSWORD not in result.out + result.err


def test_a_missing_driver_is_seen(tmp_path):
    """
    It is an extra: the finding tells how to install it.
    """
    source = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from outrider.cli.main import main; main(['doctor', '--port', '0'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", source],
        env=clean_environ(OUTRIDER_DATABASE_URL=f"postgresql://u:{PASSWORD}@127.0.0.1:1/d"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )

    assert 1 == result.returncode, result.stderr
    assert "pip install 'outrider[postgres]'" in result.stdout
    assert PASSWORD not in result.stdout + result.stderr


def test_the_command_ends_with_0_on_a_database_that_can_be_used(tmp_path, url):
    """
    The whole command, with the flag that serve has.
    """
    result = run("doctor", "--port", 0, "--database-url", url, cwd=tmp_path)

    assert 0 == result.code, result.out
    assert {"ok"} == {line.split()[0] for line in result.out.splitlines()}
    assert PASSWORD not in result.out
