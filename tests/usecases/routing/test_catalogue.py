"""Adding to the catalogue, and finding it again."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from outrider.adapters.json_schema import JsonSchemas
from outrider.bootstrap.app_context import registered_schemas
from outrider.domain.access.permission import Actor
from outrider.domain.ids import AccountId, TargetId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.errors import FailedPrecondition, InvalidRequest
from outrider.usecases.routing.catalogue import PAGE_BYTES, EntrySearch, ManageCatalogue
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target, an_execution

ACTOR = Actor(INSTANCE, AccountId("1"), frozenset())
STRANGER = Actor(ANOTHER_INSTANCE, AccountId("2"), frozenset())


@pytest.fixture
def catalogue(store, routing) -> ManageCatalogue:
    return ManageCatalogue(store, routing, JsonSchemas(), registered_schemas)


def event_type(name: str, **described: str) -> Entry:
    return Entry(kind=EntryKind.EVENT_TYPE, name=name, **described)


async def test_what_was_added_is_known_immediately(catalogue, routing):
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
    assert ([replace(described, is_built_in=True)], None) == await catalogue.search(ACTOR, search)
    known = Entry(kind=EntryKind.EVENT_TYPE, name="user.human.added", is_built_in=True)
    assert ([known], None) == await catalogue.search(STRANGER, search)


async def test_one_wrong_entry_refuses_all(catalogue, routing):
    """
    A caller that corrects it adds the rest as well.
    """
    with pytest.raises(InvalidRequest):
        await catalogue.add(ACTOR, [event_type("shop.order.placed"), event_type("a..b")])
    assert not routing.catalogue(INSTANCE).has_event_type("shop.order.placed")


async def test_a_full_page_ends_early_and_the_next_continues(catalogue):
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


BUY = Entry(kind=EntryKind.METHOD, name="/shop.v1.Shop/Buy")
SELL = Entry(kind=EntryKind.METHOD, name="/shop.v1.Shop/Sell")
PLACED = event_type("shop.order.placed")
PRICE = Entry(kind=EntryKind.FUNCTION, name="price")


async def bind(store, routing, condition: Condition) -> None:
    """Have a target called."""
    target = a_target(id=TargetId("1"))
    execution = an_execution(target.id, condition=condition)

    def apply(unit) -> None:
        unit.targets.add(INSTANCE, target)
        unit.executions.put(INSTANCE, execution)

    await store.write(apply)
    await routing.refresh()


async def test_what_was_added_can_be_removed(catalogue, routing):
    """
    Immediately, and of this instance only; what was never there counts for nothing.
    """
    for actor in (ACTOR, STRANGER):
        await catalogue.add(actor, [BUY, PRICE, PLACED])
    names = [BUY.entry_name, PRICE.entry_name, SELL.entry_name]

    assert 2 == await catalogue.remove(ACTOR, names)
    assert 0 == await catalogue.remove(ACTOR, names)
    assert not routing.catalogue(INSTANCE).has_service("shop.v1.Shop")
    assert routing.catalogue(INSTANCE).has_event_type(PLACED.name)
    assert routing.catalogue(ANOTHER_INSTANCE).has_service("shop.v1.Shop")


async def test_what_is_built_in_stays(catalogue, routing):
    """
    It would come back with the next start; what the instance said about it goes.
    """
    described = Entry(kind=EntryKind.FUNCTION, name="preuserinfo", example_json="{}")
    await catalogue.add(ACTOR, [described, PLACED])

    assert 1 == await catalogue.remove(ACTOR, [described.entry_name])
    with pytest.raises(FailedPrecondition, match=r"Entries\[1\]: preuserinfo is built in"):
        await catalogue.remove(ACTOR, [PLACED.entry_name, described.entry_name])
    assert routing.catalogue(INSTANCE).has_function("preuserinfo")
    assert routing.catalogue(INSTANCE).has_event_type(PLACED.name)


@pytest.mark.parametrize(
    ("condition", "needed"),
    [
        (Condition(ConditionKind.REQUEST, Scope.METHOD, BUY.name), BUY),
        (Condition(ConditionKind.RESPONSE, Scope.METHOD, BUY.name), BUY),
        (Condition(ConditionKind.REQUEST, Scope.SERVICE, "shop.v1.Shop"), BUY),
        (Condition(ConditionKind.FUNCTION, Scope.NAME, PRICE.name), PRICE),
        (Condition(ConditionKind.EVENT, Scope.EVENT, PLACED.name), PLACED),
        (Condition(ConditionKind.EVENT, Scope.GROUP, "shop"), PLACED),
    ],
    ids=lambda value: getattr(value, "execution_id", None),
)
async def test_what_an_execution_needs_stays(catalogue, store, routing, condition, needed):
    """
    It would still be matched, although no list shows it any more.
    """
    await catalogue.add(ACTOR, [BUY, PRICE, PLACED])
    await bind(store, routing, condition)
    names = [BUY.entry_name, PRICE.entry_name, PLACED.entry_name]

    with pytest.raises(FailedPrecondition, match=re.escape(f"{condition.execution_id};")):
        await catalogue.remove(ACTOR, names)
    assert 2 == await catalogue.remove(ACTOR, [name for name in names if name[0] != needed.name])


async def test_a_service_stays_bound_by_another_method(catalogue, store, routing):
    """
    The condition names something as long as the service has a method.
    """
    await catalogue.add(ACTOR, [BUY, SELL])
    await bind(store, routing, Condition(ConditionKind.REQUEST, Scope.SERVICE, "shop.v1.Shop"))

    assert 1 == await catalogue.remove(ACTOR, [SELL.entry_name])
    with pytest.raises(FailedPrecondition):
        await catalogue.remove(ACTOR, [BUY.entry_name])


async def test_what_is_built_in_is_described_when_asked(catalogue):
    """
    An operator reads what a target will get, and what it may answer, without ZITADEL's protos.
    """
    search = EntrySearch(prefix="/zitadel.", limit=1000, describes_built_in=True)
    found, after = [], None
    while True:
        page, after = await catalogue.search(ACTOR, replace(search, after=after))
        found += page
        if after is None:
            break
    functions = EntrySearch(kinds=[EntryKind.FUNCTION], describes_built_in=True)
    contexts, _ = await catalogue.search(ACTOR, functions)
    examples = {entry.name: json.loads(entry.example_json) for entry in contexts}

    assert 899 == len(found)
    assert all(text for entry in found for _, text in entry.descriptions)
    assert all(entry.is_built_in for entry in found)
    assert ["openid", "profile", "email"] == examples["preuserinfo"]["request"]["scope"]
    assert ["openid", "profile", "email"] == examples["preaccesstoken"]["request"]["scope"]
    assert "sub" in examples["presamlresponse"]["userinfo"]


async def test_what_the_instance_says_comes_before_what_is_built_in(catalogue):
    """
    Who describes a method means it.
    """
    own = Entry(
        kind=EntryKind.METHOD,
        name="/zitadel.auth.v1.AuthService/Healthz",
        schema_json="{}",
        is_built_in=True,
    )
    await catalogue.add(ACTOR, [own])
    search = EntrySearch(prefix=own.name, describes_built_in=True)

    assert ([own], None) == await catalogue.search(ACTOR, search)


@pytest.mark.parametrize("field", ["schema_json", "response_schema_json"])
async def test_an_unusable_schema_of_a_method_names_its_field(catalogue, field):
    """
    A method has two.
    """
    name = "Schema" if field == "schema_json" else "ResponseSchema"
    entry = replace(BUY, **{field: '{"type":"nothing"}'})

    with pytest.raises(InvalidRequest, match=rf"Entries\[1\]\.{name}: value must be a JSON Schema"):
        await catalogue.add(ACTOR, [PRICE, entry])
