"""Stores in schemas of a database that has tables of others."""

from __future__ import annotations

import asyncio
from contextlib import closing

import psycopg
import pytest

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.postgres.connection import connect
from outrider.adapters.sql.postgres.schemas import find_schema
from outrider.adapters.sql.stores.postgres_inspect import inspect
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.adapters.sql.stores.sqlite import CannotOpen
from outrider.embed import Engine, Event, on_event
from outrider.runtime import Runtime
from outrider.testing.receiver import Receiver

SEALING = Sealing(bytes(range(32)))
NOW = Runtime().now()
APPLICATION = (
    "CREATE TABLE events (id BIGSERIAL PRIMARY KEY, title TEXT)",
    "CREATE TABLE targets (id BIGSERIAL PRIMARY KEY)",
    "CREATE TABLE schema_migrations (version VARCHAR PRIMARY KEY)",
    "INSERT INTO events (title) VALUES ('the birthday')",
)
SOURCE = Event(event_type="order.paid", id="order-1")


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def tables_in(url: str, schema: str) -> set[object]:
    rows = execute(url, f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
    return {name for (name,) in rows}


def engine_on(url: str, directory, **options) -> Engine:
    return Engine.open(
        data_dir=directory, database_url=url, dev=True, master_key="A" * 43 + "=", **options
    )


async def test_two_engines_share_a_database_with_the_tables_of_an_application(
    postgres_url, tmp_path
):
    """
    Same names, same locks, same channel: each engine must work as if it were alone, and the
    application must find its rows.
    """
    execute(postgres_url, *APPLICATION)
    async with (
        Receiver() as receiver,
        engine_on(postgres_url, tmp_path / "a") as first,
        engine_on(postgres_url, tmp_path / "b", database_schema='Second "one"') as second,
    ):
        for name, engine in (("first", first), ("second", second)):
            await engine.register_event_types(["order.paid"])
            target = await engine.create_target(name, f"{receiver.url}/{name}", type="webhook")
            await engine.set_execution(on_event("order.paid"), [target])
        published = await asyncio.gather(first.publish(SOURCE), second.publish(SOURCE))
        calls = await receiver.wait_for(2)
        names = [
            [target.name for target in await found.list_targets()] for found in (first, second)
        ]

    assert [False, False] == [result.is_duplicate for result in published]
    assert {"/hook/first", "/hook/second"} == {call.path for call in calls}
    assert [["first"], ["second"]] == names
    assert {"events", "targets", "schema_migrations"} == tables_in(postgres_url, "public")
    assert {"deliveries"} <= tables_in(postgres_url, "outrider") & tables_in(
        postgres_url, 'Second "one"'
    )
    assert [(1, "the birthday")] == execute(postgres_url, "SELECT id, title FROM events")


async def test_stores_in_two_schemas_do_not_wait_for_or_wake_each_other(postgres_url):
    """
    A lock of the database would let two applications take turns; a channel of it would wake both.
    """
    woken = []
    async with (
        open_postgres(postgres_url, SEALING, now=NOW, schema="one") as one,
        open_postgres(postgres_url, SEALING, now=NOW, schema="two") as two,
        open_postgres(postgres_url, SEALING, now=NOW, schema="two") as beside,
    ):
        two.subscribe(lambda: woken.append("two"))
        beside.subscribe(lambda: woken.append("beside"))

        async def write_to_one() -> None:
            await one.write(lambda unit: unit.events._connection.notify_on_commit())

        loop = asyncio.get_running_loop()

        def alone(_unit: object) -> str:
            # While this unit has the lock of its store, the other store commits.
            asyncio.run_coroutine_threadsafe(write_to_one(), loop).result(timeout=30)
            return "done"

        assert "done" == await two.write(alone)
        assert [] == woken
        notified = asyncio.Event()
        beside.subscribe(lambda: loop.call_soon_threadsafe(notified.set))
        await two.write(lambda unit: unit.events._connection.notify_on_commit())
        async with asyncio.timeout(30):
            await notified.wait()
        assert {"two", "beside"} == set(woken)


async def test_a_store_stays_where_it_is(postgres_url, tmp_path):
    """
    What was made in public before there was a choice must not be started anew beside it.
    """
    async with open_postgres(postgres_url, SEALING, now=NOW):
        pass
    assert "deliveries" in tables_in(postgres_url, "public")
    execute(postgres_url, "CREATE TABLE of_an_application (id BIGINT)")

    async with engine_on(postgres_url, tmp_path) as engine:
        await engine.publish(SOURCE)
    async with open_postgres(postgres_url, SEALING, now=NOW):
        pass

    assert set() == tables_in(postgres_url, "outrider")
    assert [(1,)] == execute(postgres_url, "SELECT count(*) FROM events")


async def test_a_server_finds_the_store_of_an_engine_and_so_does_the_doctor(postgres_url, tmp_path):
    """
    An operator who starts a worker beside an application names the database, and nothing else.
    """
    async with engine_on(postgres_url, tmp_path) as engine:
        await engine.publish(SOURCE)

    seen = inspect(postgres_url)
    async with open_postgres(postgres_url, SEALING, now=NOW) as store:
        schema = store.schema

    assert ("outrider", True, True) == (seen.schema_name, seen.is_sealed, seen.schema > 0)
    assert "outrider" == schema
    assert set() == tables_in(postgres_url, "public")
    assert "elsewhere" == inspect(postgres_url, "elsewhere").schema_name


@pytest.mark.parametrize(
    ("statements", "beside_tables", "schema"),
    [
        ((), False, None),
        ((), True, "outrider"),
        (("CREATE TABLE orders (id BIGINT)",), False, "outrider"),
        (("CREATE VIEW orders AS SELECT 1 AS id",), False, "outrider"),
        (("CREATE EXTENSION pg_stat_statements",), False, None),
        (("DROP SCHEMA public",), False, "outrider"),
    ],
)
async def test_a_new_store_keeps_away_from_tables_of_others(
    postgres_url, statements, beside_tables, schema
):
    """
    A database of its own is used as before; one of an application is not touched.
    """
    execute(postgres_url, "SELECT 1", *statements)

    with closing(connect(postgres_url)) as connection:
        assert schema == find_schema(connection, None, beside_tables=beside_tables)


async def test_a_role_that_may_not_make_the_schema_is_told_what_to_do(postgres_url):
    """
    Rights on a database are given by its owner, who needs the sentence.
    """
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    role = f"guest_{name}"
    execute(postgres_url, f"CREATE ROLE {role} LOGIN")
    url = postgres_url.replace("postgres@", f"{role}@")
    try:
        with pytest.raises(CannotOpen, match="the schema mine is missing") as refused:
            async with open_postgres(url, SEALING, now=NOW, schema="mine", timeout_s=0):
                pass
        execute(postgres_url, f"CREATE SCHEMA mine AUTHORIZATION {role}")
        async with open_postgres(url, SEALING, now=NOW, schema="mine", timeout_s=0):
            pass
    finally:
        execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    assert "CREATE SCHEMA mine AUTHORIZATION" in refused.value.advice
