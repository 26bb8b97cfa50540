"""Accounts of a release that knew them by their tokens alone."""

from __future__ import annotations

from contextlib import closing

from contracts.store.access.accounts import an_account
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.schema.connection import from_time
from outrider.adapters.sql.schema.migrations import all_migrations
from outrider.adapters.sql.stores.sqlite import connect, open_sqlite
from support.builders import INSTANCE, a_token
from support.runtime import NOW

BEFORE_ACCOUNTS = 4


async def test_they_keep_their_tokens_and_are_as_old_as_the_first(tmp_path):
    """
    An upgrade logs no account out.
    """
    path = tmp_path / "outrider.db"
    with closing(connect(path)) as connection:
        connection.execute(
            "CREATE TABLE schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in all_migrations()[:BEFORE_ACCOUNTS]:
            connection.executescript(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, 0)", (step.version, step.name)
            )
        connection.execute(
            "INSERT INTO accounts (instance_id, id, name, roles) VALUES (?, ?, ?, ?)",
            (INSTANCE, "11", "publisher", "EVENT_PUBLISHER"),
        )
        connection.execute(
            "INSERT INTO tokens (id, instance_id, account_id, secret_hash, created_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (501, INSTANCE, "11", b"hash", from_time(NOW)),
        )
    async with open_sqlite(path, Sealing(bytes(32)), now=NOW) as store:
        assert a_token() == await store.read(lambda unit: unit.tokens.by_hash(b"hash"))
        assert [an_account()] == list(await store.read(lambda unit: unit.accounts.list(INSTANCE)))
