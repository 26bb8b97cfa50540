"""Where both kinds of identifiers start again after a restart."""

from __future__ import annotations

import pytest

from contracts.store.access.web_keys import a_web_key
from contracts.store.steps import add_pending, add_targets, delete_target
from contracts.store.targets.public_keys import a_public_key
from outrider.domain.ids import TargetId
from outrider.runtime import SONYFLAKE, IdGenerator
from support.builders import INSTANCE, a_target, planned
from support.sqlite_databases import empty_sqlite

FORMER = "1004000000000000001"
NEW = 398_000_000_000_000_001


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    """A store of each kind."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_store")
    else:
        async with empty_sqlite(tmp_path / "outrider.db") as opened:
            yield opened


async def test_a_new_store_starts_with_the_clock(store):
    """
    There is nothing that an identifier has to be larger than.
    """
    assert (0, 0) == (store.last_identifier(), store.last_sonyflake())


@pytest.mark.parametrize(
    "add",
    [
        lambda unit: unit.targets.add(INSTANCE, a_target(str(NEW))),
        lambda unit: unit.public_keys.add(INSTANCE, TargetId("101"), a_public_key(str(NEW))),
        lambda unit: unit.web_keys.add(INSTANCE, a_web_key(str(NEW)), b"private part"),
    ],
    ids=["target", "public key", "web key"],
)
async def test_the_next_one_is_larger_than_what_was_made_last(store, add):
    """
    Also when the clock went back meanwhile: an id that comes twice is another key's `kid`.
    """
    await store.write(add)
    await add_targets(store, a_target("7", name="smaller"))
    next_one = IdGenerator(layout=SONYFLAKE, floor=store.last_sonyflake(), now_ms=lambda: 0)

    assert NEW == store.last_sonyflake()
    assert NEW < next_one()
    assert 0 == store.last_identifier(), "deliveries and tokens have an order of their own"


async def test_a_target_that_is_deleted_counts(store):
    """
    Its id is in logs and in executions of other programs.
    """
    await add_targets(store, a_target(str(NEW)))
    await delete_target(store, str(NEW))

    assert NEW == store.last_sonyflake()


async def test_what_a_former_release_made_is_not_counted(store):
    """
    Its 19 digits would be a time in the year 2038, and every id from now on would have 19 digits.
    """
    await add_targets(store, a_target(FORMER))
    # As the former release did it: the row, and nothing else.
    await store.write(
        lambda unit: unit.targets._connection.execute(
            "DELETE FROM metadata WHERE name LIKE 'last%'"
        )
    )
    await add_targets(store, a_target(str(NEW), name="new"))

    assert NEW == store.last_sonyflake()


async def test_deliveries_accounts_and_instances_have_their_own_floor(store):
    """
    The larger ones: of the two kinds, the ids of targets are the smaller numbers at any time.
    """
    await add_targets(store, a_target(str(NEW)))
    await add_pending(store, planned("1005000000000000000", target=str(NEW)))

    assert (1_005_000_000_000_000_000, NEW) == (store.last_identifier(), store.last_sonyflake())
