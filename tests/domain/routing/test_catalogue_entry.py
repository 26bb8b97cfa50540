"""Entries of the catalogue: what they may be, and how they are paged through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.catalogue_entry import (
    MAX_DESCRIPTION_BYTES,
    Entry,
    EntryKind,
    EntryName,
    check_entry,
    names_after,
)
from outrider.errors import InvalidRequest

SHORT = st.text("ab.", min_size=1, max_size=4)
NAMES = st.tuples(st.sets(SHORT), st.sets(SHORT), st.sets(SHORT))
KINDS = st.sets(st.sampled_from(EntryKind))


def of_kinds(kinds, methods, functions, event_types):
    """Everything of these kinds, in the order of lists."""
    named = {
        EntryKind.METHOD: methods,
        EntryKind.FUNCTION: functions,
        EntryKind.EVENT_TYPE: event_types,
    }
    return sorted(EntryName(name, kind) for kind in kinds for name in named[kind])


@given(KINDS, NAMES, SHORT | st.just(""), st.integers(1, 5))
def test_pages_are_the_sorted_list_in_pieces(kinds, names, prefix, size):
    """
    A caller that follows the tokens sees every entry once, the same name of two kinds included.
    """
    services, functions, types = names
    methods = {f"/{service}/B" for service in services}
    catalogue = Catalogue(methods=list(methods), functions=list(functions), event_types=list(types))
    everything = of_kinds(kinds, methods, functions, types)
    expected = [name for name in everything if name.name.startswith(prefix)]
    found: list[EntryName] = []
    for _ in range(len(expected) + 1):
        page = names_after(catalogue, kinds, prefix, found[-1] if found else None, size)
        assert len(page) <= size
        found += page

    assert expected == found


def test_a_page_may_begin_after_what_is_not_there():
    """
    Entries may come between two pages: a token names an entry that may not be there.
    """
    catalogue = Catalogue(event_types=["a", "c"])
    after = EntryName("b", EntryKind.METHOD)

    assert [EntryName("c", EntryKind.EVENT_TYPE)] == names_after(
        catalogue, set(EntryKind), "", after, 10
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EntryKind.METHOD, "/shop.v1.Shop/Buy"),
        (EntryKind.METHOD, "/Shop/buy_2"),
        (EntryKind.METHOD, "/outrider.v2.Shop/Buy"),
        (EntryKind.FUNCTION, "pre-user_info2"),
        (EntryKind.EVENT_TYPE, "order"),
        (EntryKind.EVENT_TYPE, "shop.order-2.placed_now"),
    ],
)
def test_names_that_conditions_can_have(kind, name):
    """
    All that is refused here could never be set.
    """
    check_entry(Entry(kind=kind, name=name), 0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EntryKind.METHOD, "shop.v1.Shop/Buy"),
        (EntryKind.METHOD, "/shop.v1.Shop"),
        (EntryKind.METHOD, "/shop.v1.Shop/Buy/All"),
        (EntryKind.METHOD, "/shop.v1.Shop/Büy"),
        (EntryKind.METHOD, "/shop.v1.Shop/Buy\n"),
        (EntryKind.METHOD, "/outrider.v1.EventService/PublishEvents"),
        (EntryKind.FUNCTION, "a.b"),
        (EntryKind.FUNCTION, ""),
        (EntryKind.EVENT_TYPE, "a..b"),
        (EntryKind.EVENT_TYPE, "a.*"),
    ],
)
def test_names_that_no_condition_can_have(kind, name):
    """
    The error says which entry it is.
    """
    with pytest.raises(InvalidRequest, match=r"^invalid AddEntriesRequest\.Entries\[7\]\.Name: "):
        check_entry(Entry(kind=kind, name=name), 7)


@pytest.mark.parametrize("field", ["schema_json", "example_json"])
def test_descriptions_are_bounded_in_bytes(field):
    """
    They are shown whole on every page that has them.
    """
    longest = "ü" * (MAX_DESCRIPTION_BYTES // 2)
    check_entry(Entry(kind=EntryKind.FUNCTION, name="a", **{field: longest}), 0)
    entry = Entry(kind=EntryKind.FUNCTION, name="a", **{field: longest + "a"})

    assert MAX_DESCRIPTION_BYTES + 1 == entry.description_size
    with pytest.raises(InvalidRequest, match=str(MAX_DESCRIPTION_BYTES)):
        check_entry(entry, 0)
