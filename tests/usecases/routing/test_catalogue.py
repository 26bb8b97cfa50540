"""Adding to the catalogue, and finding it again."""

from __future__ import annotations

import pytest

from outrider.adapters.json_schema import JsonSchemas
from outrider.bootstrap.app_context import registered_schemas
from outrider.domain.access.permission import Actor
from outrider.domain.ids import AccountId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.errors import InvalidRequest
from outrider.usecases.routing.catalogue import PAGE_BYTES, EntrySearch, ManageCatalogue
from support.builders import ANOTHER_INSTANCE, INSTANCE

ACTOR = Actor(INSTANCE, AccountId("1"), frozenset())
STRANGER = Actor(ANOTHER_INSTANCE, AccountId("2"), frozenset())


@pytest.fixture
def catalogue(store, routing) -> ManageCatalogue:
    return ManageCatalogue(store, routing, JsonSchemas(), registered_schemas)


def event_type(name: str, **described: str) -> Entry:
    return Entry(kind=EntryKind.EVENT_TYPE, name=name, **described)


async def test_what_was_added_is_known_at_once(catalogue, routing):
    """
    The next call sets an execution for it.
    """
    assert 1 == await catalogue.add(ACTOR, [event_type("shop.order.placed")])
    assert routing.catalogue(INSTANCE).has_event_type("shop.order.placed")
    assert not routing.catalogue(ANOTHER_INSTANCE).has_event_type("shop.order.placed")


async def test_what_is_registered_can_be_described_and_is_not_new(catalogue):
    """
    ZITADEL ships names; what they carry is known to those who use them.
    """
    described = event_type("user.human.added", example_json='{"userName":"ada"}')
    search = EntrySearch(prefix="user.human.added", limit=1)

    assert 0 == await catalogue.add(ACTOR, [described])
    assert ([described], None) == await catalogue.search(ACTOR, search)
    assert ([event_type("user.human.added")], None) == await catalogue.search(STRANGER, search)


async def test_one_wrong_entry_refuses_all(catalogue, routing):
    """
    A caller that corrects it adds the rest as well.
    """
    with pytest.raises(InvalidRequest):
        await catalogue.add(ACTOR, [event_type("shop.order.placed"), event_type("a..b")])
    assert not routing.catalogue(INSTANCE).has_event_type("shop.order.placed")


async def test_a_full_page_ends_early_and_the_next_goes_on(catalogue):
    """
    Messages are bounded, whatever schemas are in them.
    """
    text = '{"a":"' + "x" * 60_000 + '"}'
    entries = [event_type(f"long.t{number:03}", schema_json=text) for number in range(60)]
    await catalogue.add(ACTOR, entries)
    found, after, sizes = [], None, []
    for _ in range(10):
        page, after = await catalogue.search(ACTOR, EntrySearch(prefix="long.", after=after))
        found += page
        sizes.append(sum(entry.description_size for entry in page[:-1]))
        if after is None:
            break

    assert entries == found
    assert max(sizes) <= PAGE_BYTES
    assert 4 == len(sizes)


async def test_nothing_is_one_empty_page(catalogue):
    """
    Also behind the end.
    """
    after = EntryName("~", EntryKind.EVENT_TYPE)

    assert ([], None) == await catalogue.search(ACTOR, EntrySearch(after=after))
    assert ([], None) == await catalogue.search(ACTOR, EntrySearch(prefix="nothing begins so"))
