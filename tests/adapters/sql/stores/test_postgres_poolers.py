"""Poolers between outrider and PostgreSQL: one that keeps sessions is used, every other refused."""

from __future__ import annotations

from functools import partial

import psycopg
import pytest

from outrider.adapters.sql.stores.postgres_inspect import inspect
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.adapters.sql.stores.sqlite import CannotOpen
from support.pgbouncer import PROGRAM, pgbouncer
from support.pooler import pooler
from support.postgres_databases import SEALING
from support.runtime import NOW

# The real pgbouncer comes on top where it is installed, as in `.ci/run`.
POOLS_TRANSACTIONS = {
    "many sessions": pooler,
    "one session": partial(pooler, size=1),
    "sessions in turn": partial(pooler, size=8, takes_turns=True),
} | (
    {
        "pgbouncer": partial(pgbouncer, pool_mode="transaction"),
        "pgbouncer, one session": partial(pgbouncer, pool_mode="transaction", default_pool_size=1),
        "pgbouncer, sessions in turn": partial(
            pgbouncer, pool_mode="transaction", server_round_robin=1, min_pool_size=8
        ),
    }
    if PROGRAM
    else {}
)
POOLS_STATEMENTS = (
    {"pgbouncer, statements": partial(pgbouncer, pool_mode="statement")} if PROGRAM else {}
)
REFUSED = POOLS_TRANSACTIONS | POOLS_STATEMENTS
POOLS_SESSIONS = {"sessions": partial(pooler, keeps_sessions=True)} | (
    {"pgbouncer": partial(pgbouncer, pool_mode="session")} if PROGRAM else {}
)


@pytest.mark.parametrize("pooled", REFUSED.values(), ids=REFUSED)
async def test_a_pooler_of_transactions_is_refused(postgres_url, pooled):
    """
    LISTEN, advisory locks and prepared statements of one client would be another one's.
    """
    with pooled(postgres_url) as url:
        opening = open_postgres(url, SEALING, now=NOW)
        with pytest.raises(CannotOpen) as refused:
            await opening.__aenter__()

    assert "pools transactions" in str(refused.value)
    assert "pool_mode = session" in refused.value.advice
    assert "outrider's tables" not in str(refused.value)


@pytest.mark.parametrize("pooled", POOLS_SESSIONS.values(), ids=POOLS_SESSIONS)
async def test_a_pooler_of_sessions_is_used(postgres_url, pooled):
    """
    It hands a session to one client for as long as that is connected.
    """
    with pooled(postgres_url) as url:
        async with open_postgres(url, SEALING, now=NOW) as store:
            await store.check_writable()
            revision = await store.read(lambda unit: unit.routing_revision())
        is_pooled = inspect(url).is_pooled

    assert revision >= 0
    assert not is_pooled


@pytest.mark.parametrize("pooled", POOLS_TRANSACTIONS.values(), ids=POOLS_TRANSACTIONS)
def test_the_doctor_names_a_pooler_of_transactions(postgres_url, pooled):
    """
    Before anything is started.
    """
    with pooled(postgres_url) as url:
        inspection = inspect(url)

    assert inspection.is_pooled


def test_the_pooler_keeps_a_session_for_a_transaction_and_no_longer(postgres_url):
    """
    Else these tests would show nothing about poolers.
    """
    with (
        pooler(postgres_url, size=2, takes_turns=True) as url,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection,
    ):
        with connection.transaction():
            within = {process_of(connection) for _ in range(4)}
        after = {process_of(connection) for _ in range(4)}

    assert 1 == len(within)
    assert 2 == len(after)


def process_of(connection) -> int:
    """The process of the server that answers."""
    return int(connection.execute("SELECT pg_backend_pid()").fetchone()[0])
