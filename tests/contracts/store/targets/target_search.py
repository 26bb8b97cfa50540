"""How every store finds targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any

import pytest

from contracts.store.steps import add_targets, delete_target
from contracts.store.store import StoreContract
from outrider.domain.ids import TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.search import (
    NameFilter,
    TargetFilter,
    TargetIdsFilter,
    TargetSort,
    TextMethod,
)
from outrider.domain.targets.target import Target, TargetType
from outrider.usecases.ports.store import Store
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target
from support.runtime import NOW

OLDEST_FIRST = Page(ascending=True)

# Names full of what is special in patterns: SQL, GLOB, regular expressions.
NAMES = (
    "100% sure",
    "100 sure",
    "snake_case",
    "snake-case",
    r"back\slash",
    "back/slash",
    "star*",
    "star",
    "why?",
    "[range]",
    "[r]",
    "a-z",
    "{}",
    "{0} %s",
    'it\'s "quoted"',
    "Prüfung ÉTÉ",
    "CAPITAL",
    "🪝 hook",
)
TEXTS = (
    *NAMES,
    *("%", "_", "\\", "*", "?", "[", "]", "{", "}", "'", '"', "^", "\\%", "[a-z]", "%%", ".*"),
    *(
        # Nothing has a NUL, and nothing ends where one stands.
        "CAPITAL\0",
        "\0",
        "prüfung été",
        "PRÜFUNG ÉTÉ",
        "capital",
        "Star",
        "SNAKE-CASE",
        "100",
        "sure",
        "CASE",
        "case",
        "ÜFUNG",
        "été",
        "É",
        "🪝",
        "cap",
        "TAL",
        " ",
        "",
        "absent",
    ),
)
MEANINGS: dict[TextMethod, Callable[[str, str], bool]] = {
    TextMethod.EQUALS: lambda name, text: name == text,
    TextMethod.EQUALS_IGNORE_CASE: lambda name, text: name.lower() == text.lower(),
    TextMethod.STARTS_WITH: lambda name, text: name.startswith(text),
    TextMethod.STARTS_WITH_IGNORE_CASE: lambda name, text: name.lower().startswith(text.lower()),
    TextMethod.CONTAINS: lambda name, text: text in name,
    TextMethod.CONTAINS_IGNORE_CASE: lambda name, text: text.lower() in name.lower(),
    TextMethod.ENDS_WITH: lambda name, text: name.endswith(text),
    TextMethod.ENDS_WITH_IGNORE_CASE: lambda name, text: name.lower().endswith(text.lower()),
}

# Each field has ties, and a different order.
VARIED = tuple(
    a_target(
        str(100 + number),
        name=f"{'zBaÄy'[number % 5]}{number // 5}",
        type=TargetType(number * 7 % 3),
        endpoint=f"https://{'cab'[number % 3]}.example/",
        timeout=timedelta(seconds=1 + number % 4 * 9),
        interrupt_on_error=number % 3 == 1,
        created_at=NOW - timedelta(microseconds=number * 5 % 6),
        changed_at=NOW + timedelta(microseconds=number * 3 % 5),
    )
    for number in (7, 3, 9, 0, 4, 1, 8, 2, 6, 5)
)
SORTED_BY: dict[TargetSort, Callable[[Target], Any]] = {
    TargetSort.ID: attrgetter("id"),
    TargetSort.CREATED: attrgetter("created_at"),
    TargetSort.CHANGED: attrgetter("changed_at"),
    TargetSort.NAME: attrgetter("name"),
    TargetSort.TYPE: attrgetter("type"),
    TargetSort.ENDPOINT: attrgetter("endpoint"),
    TargetSort.TIMEOUT: attrgetter("timeout"),
    TargetSort.INTERRUPT: attrgetter("interrupt_on_error"),
}


async def search(
    store: Store,
    *filters: TargetFilter,
    sort: TargetSort = TargetSort.ID,
    page: Page = OLDEST_FIRST,
) -> Listing[Target]:
    """What the instance's list shows; by id, unless it says otherwise."""
    return await store.read(lambda unit: unit.targets.search(INSTANCE, filters, sort, page))


async def ids(store: Store, *filters: TargetFilter, page: Page = OLDEST_FIRST) -> Sequence[str]:
    """Only the ids, by id."""
    return [row.id for row in (await search(store, *filters, page=page)).rows]


def named(text: str, method: TextMethod = TextMethod.EQUALS) -> NameFilter:
    """Targets of this name."""
    return NameFilter(text, method)


def one_of(*targets: str) -> TargetIdsFilter:
    """Targets with these ids."""
    return TargetIdsFilter(tuple(map(TargetId, targets)))


class TargetSearchContract(StoreContract):
    """Filters, sorting and pages."""

    @pytest.mark.parametrize("method", TextMethod)
    async def test_names_compare_as_texts(self, store: Store, method: TextMethod) -> None:
        """No character is special, and every letter has its cases, not only those of ASCII."""
        await add_targets(
            store, *(a_target(str(100 + number), name=name) for number, name in enumerate(NAMES))
        )
        everything = (await search(store)).rows

        for text in TEXTS:
            expected = [row.id for row in everything if MEANINGS[method](row.name, text)]
            assert expected == await ids(store, named(text, method)), text

    async def test_ids_select(self, store: Store) -> None:
        """Unknown ids, deleted targets and other instances' are simply not there."""
        await add_targets(store, a_target("101"), a_target("102"), a_target("103"))
        await add_targets(store, a_target("201"), instance=ANOTHER_INSTANCE)
        await delete_target(store, "103")

        assert ["101", "102"] == await ids(store)
        assert ["102"] == await ids(store, one_of("102"))
        assert ["101", "102"] == await ids(store, one_of("102", "101", "101", "103", "201", "x"))
        assert [] == await ids(store, one_of("103"))

    async def test_an_id_does_not_end_at_nul(self, store: Store) -> None:
        """What follows a NUL is part of what was asked for."""
        await add_targets(store)
        condition = TargetIdsFilter((TargetId("101\0"), TargetId("\0")))

        found = await store.read(
            lambda unit: unit.targets.search(INSTANCE, [condition], TargetSort.ID, Page())
        )
        assert Listing([], 0) == found

    async def test_any_number_of_ids_may_be_asked_for(self, store: Store) -> None:
        """A request holds more ids than a database takes parameters."""
        await add_targets(store)
        many = (str(number) for number in range(103, 300_000))

        assert ["103"] == await ids(store, one_of(*many))

    async def test_filters_are_anded(self, store: Store) -> None:
        """Each one narrows."""
        await add_targets(store, a_target("101", name="a1"), a_target("102", name="a2"))
        starts = named("a", TextMethod.STARTS_WITH)
        ends = named("2", TextMethod.ENDS_WITH)

        assert ["101", "102"] == await ids(store, starts)
        assert ["102"] == await ids(store, starts, ends)
        assert [] == await ids(store, starts, ends, one_of("101"))
        assert [] == await ids(store, one_of("101"), one_of("102"))

    @pytest.mark.parametrize("ascending", [True, False])
    @pytest.mark.parametrize("sort", TargetSort)
    async def test_rows_are_sorted_and_ties_follow_their_ids(
        self, store: Store, sort: TargetSort, *, ascending: bool
    ) -> None:
        """A list that is not in one order shows a row twice on two pages, and another never."""
        await add_targets(store, *VARIED)
        listing = await search(store, sort=sort, page=Page(ascending=ascending))
        value = SORTED_BY[sort]
        expected = sorted(
            VARIED, key=lambda target: (value(target), target.id), reverse=not ascending
        )

        assert expected == list(listing.rows)

    async def test_a_target_of_a_former_release_is_older_though_its_id_is_larger(
        self, store: Store
    ) -> None:
        """Ids had 19 digits before they were ZITADEL's: lists stay in the order of creation."""
        former = a_target("1004000000000000001", created_at=NOW)
        new = a_target("398000000000000001", created_at=NOW + timedelta(microseconds=1))
        await add_targets(store, former, new)
        page = Page(ascending=True)

        assert [former, new] == list((await search(store, sort=TargetSort.CREATED, page=page)).rows)

    async def test_pages_together_are_the_list(self, store: Store) -> None:
        """And each says how many rows match in all."""
        await add_targets(store, *VARIED)
        pages = [
            await search(store, page=Page(offset, limit=4, ascending=True))
            for offset in range(0, 12, 4)
        ]

        assert [4, 4, 2] == [len(page.rows) for page in pages]
        assert [10, 10, 10] == [page.total for page in pages]
        assert list((await search(store)).rows) == [row for page in pages for row in page.rows]

    async def test_the_total_counts_what_matches(self, store: Store) -> None:
        """Not the page, not the other instance, not what was deleted."""
        await add_targets(store, *VARIED)
        await add_targets(store, *VARIED, instance=ANOTHER_INSTANCE)
        await delete_target(store, VARIED[0].id)
        first_five = one_of(*(target.id for target in VARIED[:5]))
        listing = await search(store, first_five, page=Page(limit=1))

        assert (1, 4) == (len(listing.rows), listing.total)

    @pytest.mark.parametrize("offset", [10, 11, 2**40])
    async def test_behind_the_end_there_is_nothing_and_the_total_is_0(
        self, store: Store, offset: int
    ) -> None:
        """ZITADEL counts in the rows of the page, and so do its users."""
        await add_targets(store, *VARIED)
        listing = await search(store, page=Page(offset=offset))

        assert ([], 0) == (list(listing.rows), listing.total)

    async def test_nothing_matches_nothing(self, store: Store) -> None:
        """An empty instance has an empty list."""
        listing = await search(store, named("absent"))

        assert ([], 0) == (list(listing.rows), listing.total)
