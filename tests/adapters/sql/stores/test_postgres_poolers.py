"""Poolers between outrider and PostgreSQL: one that keeps sessions is used, every other refused."""

from __future__ import annotations

import pytest

from outrider.adapters.sql.stores.postgres_inspect import inspect
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.adapters.sql.stores.sqlite import CannotOpen
from support.pgbouncer import pgbouncer
from support.postgres_databases import SEALING
from support.runtime import NOW


@pytest.mark.parametrize(
    ("pool_mode", "settings"),
    [
        ("transaction", {}),
        ("transaction", {"default_pool_size": 1}),
        ("transaction", {"server_round_robin": 1, "min_pool_size": 8}),
        ("statement", {}),
    ],
    ids=str,
)
async def test_a_pooler_of_transactions_is_refused(postgres_url, pool_mode, settings):
    """
    LISTEN, advisory locks and prepared statements of one client would be another one's.
    """
    with pgbouncer(postgres_url, pool_mode, **settings) as url:
        opening = open_postgres(url, SEALING, now=NOW)
        with pytest.raises(CannotOpen) as refused:
            await opening.__aenter__()

    assert "pools transactions" in str(refused.value)
    assert "pool_mode = session" in refused.value.advice
    assert "outrider's tables" not in str(refused.value)


async def test_a_pooler_of_sessions_is_used(postgres_url):
    """
    It hands a session to one client for as long as that is connected.
    """
    with pgbouncer(postgres_url, "session") as url:
        async with open_postgres(url, SEALING, now=NOW) as store:
            await store.check_writable()
            revision = await store.read(lambda unit: unit.routing_revision())
        is_pooled = inspect(url).is_pooled

    assert revision >= 0
    assert not is_pooled


def test_the_doctor_names_a_pooler_of_transactions(postgres_url):
    """
    Before anything is started.
    """
    with pgbouncer(postgres_url, "transaction") as url:
        inspection = inspect(url)

    assert inspection.is_pooled
