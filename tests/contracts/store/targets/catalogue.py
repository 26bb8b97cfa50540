"""What every store does with entries of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from contracts.store.store import StoreContract
from outrider.domain.ids import InstanceId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.usecases.ports.store import Store
from support.builders import ANOTHER_INSTANCE, INSTANCE

METHOD = Entry(kind=EntryKind.METHOD, name="/shop.v1.Shop/Buy")
FUNCTION = Entry(kind=EntryKind.FUNCTION, name="price")
TWO_MESSAGES = Entry(
    kind=EntryKind.METHOD,
    name="/shop.v1.Shop/Sell",
    schema_json='{"a":1}',
    example_json='{"b":1}',
    response_schema_json='{"c":1}',
    response_example_json='{"d":"ü"}',
)
EVENT_TYPE = Entry(
    kind=EntryKind.EVENT_TYPE,
    name="shop.order.placed",
    schema_json='{"type":"object"}',
    example_json='{"größe":"🪝"}',
)
SAME_NAME = Entry(kind=EntryKind.EVENT_TYPE, name=FUNCTION.name)


async def put(store: Store, *entries: Entry, instance: InstanceId = INSTANCE) -> set[EntryName]:
    """Write entries; return the names that were new."""
    return await store.write(lambda unit: unit.catalogue.put(instance, entries))


async def remember(store: Store, *event_types: str) -> None:
    """What publishing an event of an unknown type does."""
    await store.write(lambda unit: unit.catalogue.remember(INSTANCE, event_types))


async def found(
    store: Store, *names: EntryName, instance: InstanceId = INSTANCE
) -> Sequence[Entry]:
    """The entries of these names, in the order of their names."""
    entries = await store.read(lambda unit: unit.catalogue.get_many(instance, names))
    return sorted(entries, key=lambda entry: entry.entry_name)


async def names(store: Store) -> dict[InstanceId, dict[EntryKind, Collection[str]]]:
    """Every name."""
    known = await store.read(lambda unit: unit.catalogue.names())
    return {instance: dict(kinds) for instance, kinds in known.items()}


async def revision(store: Store) -> int:
    """What the router is compared by."""
    return await store.read(lambda unit: unit.routing_revision())


class CatalogueContract(StoreContract):
    """Entries of all instances, by kind and name."""

    async def test_an_entry_is_found_as_it_was_written(self, store: Store) -> None:
        """With its description, or without one."""
        entries = [METHOD, TWO_MESSAGES, FUNCTION, EVENT_TYPE]
        new = await put(store, *entries)

        assert {entry.entry_name for entry in entries} == new
        assert entries == await found(store, *new)

    async def test_one_name_may_be_of_two_kinds(self, store: Store) -> None:
        """A function and an event type have nothing to do with each other."""
        await put(store, FUNCTION, SAME_NAME)

        assert [SAME_NAME] == await found(store, SAME_NAME.entry_name)
        assert [FUNCTION, SAME_NAME] == await found(
            store, FUNCTION.entry_name, SAME_NAME.entry_name
        )

    async def test_what_is_written_again_replaces(self, store: Store) -> None:
        """What is not given any more is gone; the name is not new."""
        await put(store, EVENT_TYPE)
        bare = Entry(kind=EVENT_TYPE.kind, name=EVENT_TYPE.name, example_json="{}")

        assert set() == await put(store, bare)
        assert [bare] == await found(store, bare.entry_name)

    async def test_the_last_of_two_with_one_name_stays(self, store: Store) -> None:
        """It is one new name."""
        bare = Entry(kind=EVENT_TYPE.kind, name=EVENT_TYPE.name)

        assert {bare.entry_name} == await put(store, bare, EVENT_TYPE)
        assert [EVENT_TYPE] == await found(store, bare.entry_name)

    async def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        """Nor is another instance's."""
        await put(store, METHOD, instance=ANOTHER_INSTANCE)

        assert [] == await found(store, METHOD.entry_name, FUNCTION.entry_name)
        assert [] == await found(store)
        assert [METHOD] == await found(store, METHOD.entry_name, instance=ANOTHER_INSTANCE)

    async def test_names_are_told_by_instance_and_kind(self, store: Store) -> None:
        """What one tenant's publishers send is not in another's catalogue."""
        await put(store, METHOD, FUNCTION, SAME_NAME)
        await remember(store, "b.type", "C.type")
        await put(store, EVENT_TYPE, instance=ANOTHER_INSTANCE)

        assert {
            INSTANCE: {
                EntryKind.METHOD: {METHOD.name},
                EntryKind.FUNCTION: {FUNCTION.name},
                EntryKind.EVENT_TYPE: {SAME_NAME.name, "b.type", "C.type"},
            },
            ANOTHER_INSTANCE: {EntryKind.EVENT_TYPE: {EVENT_TYPE.name}},
        } == await names(store)

    async def test_what_is_removed_is_gone(self, store: Store) -> None:
        """Of this instance and this kind alone; the rest stays, with its description."""
        await put(store, TWO_MESSAGES, FUNCTION, SAME_NAME)
        await put(store, TWO_MESSAGES, instance=ANOTHER_INSTANCE)
        before = await revision(store)
        gone = [TWO_MESSAGES.entry_name, FUNCTION.entry_name, METHOD.entry_name]
        removed = await store.write(lambda unit: unit.catalogue.remove(INSTANCE, gone))

        assert {TWO_MESSAGES.entry_name, FUNCTION.entry_name} == removed
        assert before < await revision(store)
        assert [SAME_NAME] == await found(store, *gone, SAME_NAME.entry_name)
        assert [TWO_MESSAGES] == await found(store, *gone, instance=ANOTHER_INSTANCE)

    async def test_removing_nothing_changes_no_routing(self, store: Store) -> None:
        """A router that is rebuilt for nothing delays others."""
        await put(store, FUNCTION)
        before = await revision(store)
        removed = await store.write(
            lambda unit: unit.catalogue.remove(INSTANCE, [METHOD.entry_name])
        )

        assert set() == removed
        assert before == await revision(store)

    async def test_remembering_takes_no_description_away(self, store: Store) -> None:
        """Publishing an event says nothing about its schema."""
        await put(store, EVENT_TYPE)
        await remember(store, EVENT_TYPE.name, "new.type")
        new = Entry(kind=EntryKind.EVENT_TYPE, name="new.type")

        assert [new, EVENT_TYPE] == await found(store, EVENT_TYPE.entry_name, new.entry_name)

    async def test_the_routing_revision_grows_with_new_names_alone(self, store: Store) -> None:
        """A router that is rebuilt for a description is rebuilt for nothing."""
        revisions = [await revision(store)]
        await put(store, FUNCTION)
        revisions.append(await revision(store))
        await put(store, FUNCTION)
        revisions.append(await revision(store))

        assert revisions[0] < revisions[1] == revisions[2]

    async def test_a_thousand_entries_are_written_in_one_call(self, store: Store) -> None:
        """As many as one call may bring."""
        entries = [Entry(kind=EntryKind.FUNCTION, name=f"f{number}") for number in range(1000)]

        assert 1000 == len(await put(store, *entries))
        assert 1000 == len(await found(store, *(entry.entry_name for entry in entries)))

    async def test_the_schema_of_a_method_is_a_part_of_routing(self, store: Store) -> None:
        """Answers are checked against it: every node has to notice that it changed."""
        revisions = [await revision(store)]
        for schema in (None, "{}", '{"type":"object"}', None):
            await put(store, replace(METHOD, schema_json=schema))
            revisions.append(await revision(store))

            await put(store, replace(METHOD, schema_json=schema, response_schema_json="{}"))
            revisions.append(await revision(store))

        assert sorted(set(revisions)) == revisions
        again = replace(METHOD, response_schema_json="{}")
        await put(store, again, replace(again, example_json="{}", response_example_json="{}"))
        assert revisions[-1] == await revision(store)

    async def test_what_describes_an_event_type_is_no_part_of_routing(self, store: Store) -> None:
        """Nothing is checked against it."""
        await put(store, EVENT_TYPE)
        before = await revision(store)
        await put(store, replace(EVENT_TYPE, schema_json="{}"))

        assert before == await revision(store)
