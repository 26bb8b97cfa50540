"""What a writer knows of its next commit from those before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from outrider.adapters.sql.stores.group_commit import GroupWriter, UnitOutcome
from outrider.adapters.sql.stores.unit_queue import Group
from outrider.usecases.ports.store import LIGHT, WriteRefused

FULL = WriteRefused("the store's disk is full")


class Database:
    """Takes groups, or refuses them."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.writer = GroupWriter("test-writer", self.commit, lambda: None)

    def commit(self, group: Group) -> Sequence[UnitOutcome]:
        return [(None, self.failure)] * len(group)

    async def write(self) -> None:
        await self.writer.write(lambda _: None, shared=False, load=LIGHT)

    async def fail(self, failure: Exception) -> None:
        self.failure = failure
        with pytest.raises(type(failure)):
            await self.write()
        self.failure = None


@pytest.fixture
def database():
    found = Database()
    yield found
    found.writer.close()


async def test_nothing_is_proven_before_the_first_commit(database):
    assert not database.writer.is_proven


async def test_a_commit_proves_the_next_one(database):
    await database.write()

    assert database.writer.is_proven


async def test_a_failed_commit_is_not_forgotten_for_a_smaller_one_that_succeeds(database):
    """A nearly full disk takes a small event now and then, and refuses the others."""
    await database.fail(FULL)
    await database.write()

    assert not database.writer.is_proven


async def test_a_proof_ends_that(database):
    await database.fail(FULL)
    await database.writer.prove(lambda _: None)
    await database.write()

    assert database.writer.is_proven


async def test_a_refused_proof_says_why(database):
    database.failure = FULL
    with pytest.raises(WriteRefused, match="disk is full"):
        await database.writer.prove(lambda _: None)

    assert not database.writer.is_proven
