"""SQLite does large changes in parts; and which units share a commit."""

from __future__ import annotations

import pytest

from contracts.store.delivery.bounds import BoundsContract
from outrider.adapters.sql.stores.unit_queue import MAX_ROWS, MAX_UNITS, Job, UnitQueue
from outrider.usecases.ports.store import Load
from support.sqlite_databases import empty_sqlite


class TestBounds(BoundsContract):
    @pytest.fixture
    async def store(self, tmp_path):
        async with empty_sqlite(tmp_path / "outrider.db") as store:
            yield store


class Lined:
    """A queue of units that only have a name, and the groups that it makes of them."""

    def __init__(self, *units: tuple[str, str, int]) -> None:
        self._queue, self._names = UnitQueue(), {}
        for name, tenant, rows in units:
            job = Job(lambda _: None, True, Load(tenant, rows), None, None)
            self._names[id(job)] = name
            self._queue.add(job)

    def groups(self) -> list[list[str]]:
        """Until none is left."""
        found = []
        while self._queue:
            found.append([self._names[id(job)] for job in self._queue.next_group()])
        return found


def test_small_units_of_all_tenants_share_a_commit():
    """
    One commit costs as much for a hundred as for one.
    """
    units = Lined(("a1", "a", 1), ("a2", "a", 1), ("b1", "b", 2), ("c1", "", 1))

    assert [["a1", "b1", "c1", "a2"]] == units.groups()


def test_a_commit_has_at_most_this_number_of_units():
    """
    More would only make the first of them wait longer.
    """
    names = [f"a{number}" for number in range(MAX_UNITS + 1)]

    assert [names[:-1], names[-1:]] == Lined(*((name, "a", 1) for name in names)).groups()


def test_a_large_unit_is_alone():
    """
    Those who wait for a small one do not wait for its rows, but for one of them at most.
    """
    large, small = MAX_ROWS * 2, 1
    units = Lined(
        *(("a1", "a", large), ("a2", "a", large), ("a3", "a", large)),
        *(("b1", "b", small), ("b2", "b", small)),
    )

    assert [["a1"], ["b1", "b2"], ["a2"], ["a3"]] == units.groups()


def test_a_unit_that_did_not_fit_is_in_the_next_commit():
    """
    A stream of small ones must not keep it away for ever.
    """
    half = MAX_ROWS // 2
    units = Lined(
        *(("a1", "a", half), ("a2", "a", half)),
        *(("b1", "b", MAX_ROWS), ("b2", "b", 1)),
        *(("c1", "c", half), ("c2", "c", half)),
    )

    assert [["a1", "c1"], ["b1"], ["a2", "c2"], ["b2"]] == units.groups()


def test_units_of_one_tenant_keep_their_order():
    """
    A small one does not overtake a large one in front of it.
    """
    units = Lined(("a1", "a", 1), ("a2", "a", MAX_ROWS), ("a3", "a", 1))

    assert [["a1"], ["a2"], ["a3"]] == units.groups()
