"""Both stores keep the contract of web keys; and what SQLite writes down of a private key."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from contracts.store.access.web_keys import (
    WebKeysContract,
    a_web_key,
    add,
    change,
    signing,
)
from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.jose import make_key_pair
from outrider.adapters.crypto.sealing import WrongMasterKey
from outrider.domain.access.web_key import WebKeyState, ecdsa_config
from support.sqlite_databases import empty_sqlite

ACTIVE = a_web_key(state=WebKeyState.ACTIVE)


@pytest.fixture
async def sqlite_store(tmp_path):
    async with empty_sqlite(tmp_path / "outrider.db") as store:
        yield store


class TestOnMemory(WebKeysContract):
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class TestOnSqlite(WebKeysContract):
    @pytest.fixture
    async def store(self, sqlite_store):
        return sqlite_store


def rows(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_no_private_part_is_in_the_files(sqlite_store, tmp_path):
    """
    Who has a copy of the database, and not the master key, can sign nothing.
    """
    private_key = make_key_pair(ecdsa_config("P-256")).private_key
    await add(sqlite_store, ACTIVE, private_key)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert ACTIVE.public_jwk["n"].encode() in on_disk
    # The 32 bytes of the secret number are at bytes 36 to 68 of PKCS #8 for P-256.
    assert private_key not in on_disk
    assert private_key[36:68] not in on_disk
    assert private_key == (await signing(sqlite_store)).private_key


async def test_a_private_part_cannot_be_moved_to_another_key(sqlite_store, tmp_path):
    """
    Who can write to the database must not make a key of theirs the one that signs.
    """
    await add(sqlite_store, ACTIVE)
    await add(sqlite_store, a_web_key("602"), b"of another key")
    query = "SELECT sealed_private_key FROM web_keys WHERE id = 602"
    with closing(sqlite3.connect(tmp_path / "outrider.db")) as connection, connection:
        connection.execute(f"UPDATE web_keys SET sealed_private_key = ({query}) WHERE id = 601")

    with pytest.raises(WrongMasterKey):
        await signing(sqlite_store)


async def test_the_private_part_of_a_removed_key_is_gone(sqlite_store, tmp_path):
    """
    A key is removed because it may have leaked: it is not needed any more.
    """
    await add(sqlite_store, a_web_key())
    await change(sqlite_store, a_web_key(state=WebKeyState.REMOVED))

    assert [(None,)] == rows(tmp_path / "outrider.db", "SELECT sealed_private_key FROM web_keys")


async def test_the_database_refuses_a_second_active_key(sqlite_store):
    """
    Two processes that both see none must not both make one.
    """
    await add(sqlite_store, ACTIVE)

    with pytest.raises(sqlite3.IntegrityError):
        await add(sqlite_store, a_web_key("602", WebKeyState.ACTIVE))
