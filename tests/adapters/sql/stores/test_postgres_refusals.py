"""PostgreSQL that answers and refuses: what callers read, and that the store recovers by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from urllib.parse import urlsplit

import psycopg
import pytest

from contracts.store.steps import add_targets
from outrider.adapters.sql.postgres.write_check import TABLES
from outrider.adapters.sql.stores.postgres import PostgresStore
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.errors import Unavailable
from outrider.usecases.ports.store import WriteRefused
from support.builders import INSTANCE, a_stored_event, an_event, planned
from support.postgres import PostgresServer, postgres_server
from support.postgres_databases import SEALING
from support.refusing_database import CUT, Database, refusing_database
from support.runtime import NOW

SERVER = "SELECT system_identifier FROM pg_control_system()"
LISTENERS = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
NUMBERS = count(1000)
NOTHING_STORED = ": nothing of this call was stored"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module alone: its settings are changed."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    """One whose owner is no superuser."""
    with refusing_database(server) as found:
        yield found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    async with open_postgres(url, SEALING, now=NOW) as store:
        await add_targets(store)
        yield store


def publish(*ids: int):
    """A unit that publishes an event for each id."""
    events = [a_stored_event(planned(str(id_)), event=an_event(f"event-{id_}")) for id_ in ids]
    return lambda unit: unit.events.append(INSTANCE, events, NOW)


async def refusal_of(store: PostgresStore) -> WriteRefused:
    """What a publish gets. A server takes a moment to read its settings again."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.write(publish(next(NUMBERS)), shared=True)
            except WriteRefused as refused:
                return refused


async def recovered(store: PostgresStore) -> None:
    """Wait until the store writes and reads again."""
    async with asyncio.timeout(10):
        while True:
            with suppress(Unavailable):
                await store.check_writable()
                assert [1] == await store.write(publish(next(NUMBERS)), shared=True)
                await store.read(lambda unit: unit.routing_revision())
                return
            await asyncio.sleep(0.02)


# What makes it refuse, the state that callers are shown, what ends it.
CASES = {
    "a server that became read-only": (
        ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
        "the database is read-only (SQLSTATE 25006)",
        ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
    ),
    "a role that became read-only": (
        ("ALTER ROLE {role} SET default_transaction_read_only = on", CUT),
        "the database is read-only (SQLSTATE 25006)",
        ("ALTER ROLE {role} RESET default_transaction_read_only",),
    ),
    "a right that was revoked": (
        ("REVOKE INSERT ON events FROM {role}",),
        "the database's role lacks a right (SQLSTATE 42501)",
        ("GRANT INSERT ON events TO {role}",),
    ),
    "a table that is gone": (
        ("ALTER TABLE deliveries RENAME TO gone",),
        "outrider's tables are not in the database (SQLSTATE 42P01)",
        ("ALTER TABLE gone RENAME TO deliveries",),
    ),
    "a role that may not log in any more": (
        ("ALTER ROLE {role} NOLOGIN", CUT),
        "the database refuses the login of outrider's role (SQLSTATE 28000)",
        ("ALTER ROLE {role} LOGIN",),
    ),
    "a role that has no connection left": (
        ("ALTER ROLE {role} CONNECTION LIMIT 0", CUT),
        "the database has no connection left (SQLSTATE 53300)",
        ("ALTER ROLE {role} CONNECTION LIMIT -1",),
    ),
    "a role that may not connect to the database": (
        ("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, {role}", CUT),
        "the database's role lacks a right (SQLSTATE 42501)",
        ("GRANT CONNECT ON DATABASE {database} TO {role}",),
    ),
    "a database that takes no connections": (
        ("ALTER DATABASE {database} ALLOW_CONNECTIONS false", CUT),
        "the database is starting or stopping (SQLSTATE 57P03)",
        ("ALTER DATABASE {database} ALLOW_CONNECTIONS true",),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_refuses_writes_is_named_and_the_store_recovers(database: Database, case: str):
    """
    No bug of ours, and none of the database's words reach a caller: they quote rows and statements.
    """
    cause, reason, remedy = CASES[case]
    async with opened(database.url) as store:
        database.execute(*cause)
        try:
            refused = await refusal_of(store)
            with pytest.raises(WriteRefused) as unready:
                await store.check_writable()
            with suppress(Unavailable):
                await store.read(lambda unit: unit.routing_revision())
        finally:
            database.execute(*remedy)
        await recovered(store)

    assert (reason, f"{reason}{NOTHING_STORED}") == (refused.reason, str(refused))
    assert reason == unready.value.reason
    assert refused.advice


async def test_a_statement_that_takes_too_long_is_refused_alone(database: Database):
    """
    `statement_timeout` of the role; the connection is made again, as the setting may have changed.
    """
    database.execute("ALTER ROLE {role} SET statement_timeout = '300ms'")

    def sleep(unit):
        unit._connection.execute("SELECT pg_sleep(2)")

    async with opened(database.url) as store:
        with pytest.raises(WriteRefused, match="57014"):
            await store.write(sleep)
        with pytest.raises(Unavailable, match="57014"):
            await store.read(sleep)
        await store.write(publish(1), shared=True)
        database.execute("ALTER ROLE {role} RESET statement_timeout")
        with pytest.raises(WriteRefused, match="57014"):
            await store.write(sleep)
        await store.write(lambda unit: unit._connection.execute("SELECT pg_sleep(0.4)"))


async def test_a_limit_of_the_configuration_is_named(database: Database):
    """
    Such as temporary files, which a large search needs.
    """
    database.execute("ALTER ROLE {role} SET temp_file_limit = '64kB'")
    sort = (
        "SELECT count(*) FROM (SELECT md5(n::text) AS x FROM generate_series(1, 300000) AS n"
        " ORDER BY x) AS sorted"
    )
    async with opened(database.url) as store:
        with pytest.raises(Unavailable, match=r"limit of its configuration .SQLSTATE 53400"):
            await store.read(lambda unit: unit._connection.execute(sort))
        with pytest.raises(WriteRefused, match="53400"):
            await store.write(lambda unit: unit._connection.execute(sort))
        await store.write(publish(1), shared=True)


async def test_a_transaction_that_the_database_gave_up_is_refused_and_the_next_one_is_not(
    database: Database,
):
    """
    25P02: a statement failed, and the unit continues.
    """

    def go_on(unit):
        with suppress(psycopg.errors.DivisionByZero):
            unit._connection.execute("SELECT 1/0")
        unit.routing_revision()

    async with opened(database.url) as store:
        with pytest.raises(WriteRefused, match="25P02"):
            await store.write(go_on)
        assert [1] == await store.write(publish(1), shared=True)


async def test_a_transaction_that_stood_still_is_made_again(database: Database):
    """
    25P03: the database has ended it, so that nothing of it is stored.
    """
    tries = []

    def stand_still(unit):
        tries.append(1)
        if len(tries) == 1:
            (pid,) = unit._connection.execute("SELECT pg_backend_pid()").fetchone()
            unit._connection.execute("SET idle_in_transaction_session_timeout = '20ms'")
            while database.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
                time.sleep(0.01)
        return publish(1)(unit)

    async with opened(database.url) as store:
        stored = await store.write(stand_still, shared=True)

    assert ([1], 2) == (stored, len(tries))


async def test_a_lock_that_another_session_holds_is_named(database: Database):
    """
    55P03, after a while; when it is released everything continues.
    """

    def impatient(unit):
        unit._connection.execute("SET LOCAL lock_timeout = '50ms'")
        return publish(1)(unit)

    async with opened(database.url) as store:
        with closing(psycopg.connect(database.server.url(database.name))) as other:
            other.execute("LOCK TABLE events")
            with pytest.raises(WriteRefused, match=r"another session holds a lock .*55P03"):
                await store.write(impatient, shared=True)
            other.rollback()
            assert [1] == await store.write(impatient, shared=True)


async def test_a_refused_unit_does_not_affect_others_of_its_group(database: Database):
    """
    Rights are missing on one table: what has nothing to do with it is stored by the same commit.
    """
    async with opened(database.url) as store:
        database.execute("REVOKE INSERT ON events FROM {role}")
        blocked = asyncio.create_task(
            store.write(lambda unit: unit._connection.execute("SELECT pg_sleep(0.3)"))
        )
        await asyncio.sleep(0)
        ends = await asyncio.gather(
            *(store.write(publish(number), shared=True) for number in range(2)),
            store.write(lambda unit: unit.leases.renew("worker", NOW), shared=True),
            return_exceptions=True,
        )
        await blocked
        with pytest.raises(WriteRefused, match="42501"):
            await store.check_writable()

    assert [WriteRefused, WriteRefused, type(None)] == [type(end) for end in ends]


async def test_units_are_read_committed_whatever_the_default_is(database: Database):
    """
    Units keep themselves apart by locks: a stricter isolation would refuse them for each other.
    """
    database.execute("ALTER ROLE {role} SET default_transaction_isolation = 'serializable'")
    async with opened(database.url) as store:
        (isolation,) = await store.write(
            lambda unit: unit._connection.execute("SHOW transaction_isolation").fetchone()
        )

    assert "read committed" == isolation


async def test_the_check_of_writes_leaves_nothing_behind(database: Database):
    """
    It is asked every few seconds, for years.
    """
    async with opened(database.url) as store:
        before = database.execute("SELECT name FROM metadata")
        for _ in range(40):
            await store._writer.prove(lambda _: store._committer.try_write())
        found = database.execute("SELECT name FROM metadata")
        (size,) = database.execute("SELECT pg_relation_size('metadata')")[0]

    assert before == found
    assert size <= 8192


async def test_the_check_of_writes_knows_every_table(database: Database):
    """
    A new table whose rights are missing would be found by a publish only.
    """
    async with opened(database.url):
        tables = {
            name
            for (name,) in database.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = current_schema() AND table_name <> 'schema_migrations'"
            )
        }

    assert tables == set(TABLES)


async def test_of_several_hosts_the_one_that_takes_writes_is_used(
    server: PostgresServer, database: Database
):
    """
    A demoted primary continues to answer: a node that stays connected to it never writes again.
    """
    with postgres_server() as other:
        second = Database(other, database.name)
        with closing(psycopg.connect(other.url(), autocommit=True)) as connection:
            connection.execute(f"CREATE ROLE {database.name} LOGIN")
            connection.execute(f"CREATE DATABASE {database.name} OWNER {database.name}")
        async with opened(second.url):
            pass
        hosts = [urlsplit(one.url).query.removeprefix("host=") for one in (database, second)]
        url = database.url.replace(hosts[0], f"{hosts[0]},{hosts[1]}")
        async with opened(url) as store:
            before = await servers_of(store)
            database.execute(
                "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
            )
            try:
                async with asyncio.timeout(10):
                    while (after := await servers_of(store)) == before:
                        pass
                async with asyncio.timeout(10):
                    while not second.execute(LISTENERS):
                        await asyncio.sleep(0.02)
            finally:
                database.execute(
                    "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"
                )

        numbers = [one.execute(SERVER)[0][0] for one in (database, second)]

    assert [{number} for number in numbers] == [before, after]


async def servers_of(store: PostgresStore) -> set[int]:
    """The servers that writes and reads go to."""

    def server(unit):
        (number,) = unit._connection.execute(SERVER).fetchone()
        return number

    def published(unit):
        publish(next(NUMBERS))(unit)
        return server(unit)

    return {await store.write(published), await store.read(server)}
