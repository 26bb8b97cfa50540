"""An engine whose database is PostgreSQL, and refuses."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from outrider.embed import Engine, Event
from outrider.errors import StartupError, Unavailable

METHOD = "/acme.v1.Shop/Create"
EVENT = Event(id="event-1", event_type="order.paid", aggregate_id="1")


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


def engine_on(url: str, tmp_path) -> Engine:
    return Engine.open(data_dir=tmp_path / "data", database_url=url, dev=True)


async def test_a_program_reads_why_nothing_is_stored_and_goes_on(postgres_url, tmp_path):
    """
    The same error that callers of a server get, and no exception of a driver.
    """
    async with engine_on(postgres_url, tmp_path) as engine:
        await engine.register_methods([METHOD])
        await engine.register_event_types(["order.paid"])
        execute(postgres_url, "ALTER TABLE outrider.events RENAME TO gone")
        with pytest.raises(Unavailable) as refused:
            await engine.publish(EVENT)
        intercepted = await engine.intercept_request(METHOD, {"amount": 1})
        execute(postgres_url, "ALTER TABLE outrider.gone RENAME TO events")
        result = await engine.publish(EVENT)

    assert "SQLSTATE 42P01): nothing of this call was stored" in str(refused.value)
    assert {"amount": 1} == intercepted.message
    assert not result.is_duplicate


async def test_an_engine_on_a_database_with_too_few_connections_does_not_start(
    postgres_url, tmp_path
):
    """
    It needs four; what is missing is said at once.
    """
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    role = f"few_{name}"
    execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 3",
        f"GRANT ALL ON SCHEMA public TO {role}",
    )
    try:
        engine = engine_on(postgres_url.replace("postgres@", f"{role}@"), tmp_path)
        with pytest.raises(StartupError) as refused:
            await engine.__aenter__()
    finally:
        execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    assert "CONNECTION LIMIT of the role leaves 3 of 3" in str(refused.value)
    assert "4 are needed" in str(refused.value)
