"""What every store does with targets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.store.steps import add_targets, delete_target
from contracts.store.store import StoreContract
from outrider.domain.ids import TargetId
from outrider.domain.targets.target import PayloadType, SigningKey, Target, TargetType
from outrider.errors import AlreadyExists
from outrider.usecases.ports.store import Store
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)

FULL = a_target(
    "101",
    name="Prüfung ✓ 'quoted' \"twice\"",
    type=TargetType.REST_CALL,
    endpoint="https://receiver.example/hook?a=%2F&b=ü",
    timeout=timedelta(seconds=1, microseconds=1),
    interrupt_on_error=True,
    payload_type=PayloadType.JWE,
    signing_keys=(
        SigningKey("current", None),
        SigningKey("older", NOW + timedelta(days=7)),
        SigningKey("oldest", NOW + timedelta(microseconds=1)),
    ),
    created_at=NOW,
    changed_at=NOW + timedelta(microseconds=1),
)


async def get(store: Store, target: str) -> Target | None:
    """The target of the instance, as it is stored."""
    return await store.read(lambda unit: unit.targets.get(INSTANCE, TargetId(target)))


class TargetsContract(StoreContract):
    """Adding, changing, deleting, and whose name is whose."""

    async def test_a_target_comes_back_as_it_was_added(self, store: Store) -> None:
        """Times to the microsecond, every key in its order: the next call is signed with them."""
        await add_targets(store, FULL)

        assert FULL == await get(store, "101")

    async def test_an_unknown_payload_type_is_kept(self, store: Store) -> None:
        """ZITADEL stores what was sent; the attempt shows that it cannot be delivered."""
        odd = a_target(payload_type=77)
        await add_targets(store, odd)

        assert odd == await get(store, "101")

    async def test_what_does_not_exist_is_none(self, store: Store) -> None:
        """Absence is a result, whatever the id was."""
        assert None is await get(store, "101")
        assert None is await get(store, "no id of ours")
        assert None is await get(store, "")
        assert None is await store.read(
            lambda unit: unit.targets.deleted_at(INSTANCE, TargetId("101"))
        )

    async def test_another_instances_target_does_not_exist(self, store: Store) -> None:
        """A tenant must not even learn that an id is in use."""
        target = TargetId("101")
        await add_targets(store, FULL, instance=ANOTHER_INSTANCE)
        await delete_target(store, "101")

        assert None is await get(store, "101")
        assert set() == await store.read(lambda unit: unit.targets.existing(INSTANCE, [target]))
        assert {} == await store.read(lambda unit: unit.targets.get_many([(INSTANCE, target)]))
        assert None is await store.read(lambda unit: unit.targets.deleted_at(INSTANCE, target))
        assert FULL == await store.read(lambda unit: unit.targets.get(ANOTHER_INSTANCE, target))

    async def test_many_are_found_in_one_call(self, store: Store) -> None:
        """A worker loads the targets of a whole batch."""
        await add_targets(store, a_target("101"), a_target("102"))
        await add_targets(store, a_target("201"), instance=ANOTHER_INSTANCE)
        ids = [
            (INSTANCE, TargetId("102")),
            (INSTANCE, TargetId("201")),
            (INSTANCE, TargetId("999")),
            (ANOTHER_INSTANCE, TargetId("201")),
        ]
        found = await store.read(lambda unit: unit.targets.get_many(ids))

        assert {ids[0]: a_target("102"), ids[3]: a_target("201")} == found

    async def test_existing_returns_the_ids_that_exist(self, store: Store) -> None:
        """An execution may name only what is there."""
        await add_targets(store, a_target("101"), a_target("102"), a_target("103"))
        await delete_target(store, "103")
        ids = [TargetId(text) for text in ("101", "102", "103", "999", "", "101")]

        assert {"101", "102"} == await store.read(lambda unit: unit.targets.existing(INSTANCE, ids))

    @pytest.mark.parametrize("name", ["audit", "AUDIT", "aUdIt"])
    async def test_a_name_is_taken_in_any_case_of_its_letters(
        self, store: Store, name: str
    ) -> None:
        """As in ZITADEL, with its id and its text."""
        await add_targets(store, a_target("101", name="Audit"))

        with pytest.raises(AlreadyExists) as refused:
            await add_targets(store, a_target("102", name=name))
        assert "Errors.Target.AlreadyExists (V3-DKcYh)" == str(refused.value)
        assert None is await get(store, "102")

    async def test_letters_beyond_ascii_have_cases_too(self, store: Store) -> None:
        """SQLite's own lower() knows 26 letters."""
        await add_targets(store, a_target("101", name="Prüfstelle ÉTÉ Ω"))

        with pytest.raises(AlreadyExists):
            await add_targets(store, a_target("102", name="PRÜFSTELLE été ω"))

    async def test_two_instances_may_use_one_name(self, store: Store) -> None:
        """A name is taken inside an instance, never across instances."""
        await add_targets(store, a_target("101", name="audit"))
        await add_targets(store, a_target("201", name="audit"), instance=ANOTHER_INSTANCE)

        assert a_target("101", name="audit") == await get(store, "101")

    async def test_deleting_frees_the_name(self, store: Store) -> None:
        """A user who deletes and creates again expects to get the name back."""
        await add_targets(store, a_target("101", name="audit"))
        await delete_target(store, "101")
        await add_targets(store, a_target("102", name="Audit"))

        assert a_target("102", name="Audit") == await get(store, "102")

    async def test_renaming_moves_the_name(self, store: Store) -> None:
        """The old name is free, the new one is taken."""
        await add_targets(store, a_target("101", name="audit"))
        renamed = a_target("101", name="archive")
        await store.write(lambda unit: unit.targets.replace(INSTANCE, renamed))
        await add_targets(store, a_target("102", name="audit"))

        with pytest.raises(AlreadyExists):
            await add_targets(store, a_target("103", name="ARCHIVE"))

    async def test_a_target_may_change_the_case_of_its_name(self, store: Store) -> None:
        """It does not stand in its own way."""
        await add_targets(store, a_target("101", name="audit"))
        renamed = a_target("101", name="Audit")
        await store.write(lambda unit: unit.targets.replace(INSTANCE, renamed))

        assert renamed == await get(store, "101")

    async def test_renaming_to_a_taken_name_is_refused(self, store: Store) -> None:
        """And changes nothing."""
        await add_targets(store, a_target("101", name="audit"), a_target("102", name="archive"))
        renamed = a_target("102", name="AUDIT", timeout=timedelta(seconds=99))

        with pytest.raises(AlreadyExists) as refused:
            await store.write(lambda unit: unit.targets.replace(INSTANCE, renamed))
        assert "V3-DKcYh" == refused.value.id
        assert a_target("102", name="archive") == await get(store, "102")

    async def test_of_many_targets_with_one_name_one_is_added(self, store: Store) -> None:
        """However close together they come."""
        rivals = [a_target(str(number), name="audit") for number in range(101, 151)]
        results = await asyncio.gather(
            *(add_targets(store, target) for target in rivals), return_exceptions=True
        )

        assert 49 == sum(isinstance(result, AlreadyExists) for result in results)
        assert 1 == results.count(None)

    async def test_a_changed_target_is_replaced_whole(self, store: Store) -> None:
        """Every field, keys included; the date of creation is a field like others."""
        await add_targets(store, FULL, a_target("102"))
        changed = a_target("101", changed_at=LATER)
        await store.write(lambda unit: unit.targets.replace(INSTANCE, changed))

        assert changed == await get(store, "101")
        assert a_target("102") == await get(store, "102")

    async def test_replacing_reaches_one_instance(self, store: Store) -> None:
        """Two instances may have targets with one id, after a restore for example."""
        await add_targets(store, a_target("101"))
        await add_targets(store, a_target("101"), instance=ANOTHER_INSTANCE)
        changed = replace(FULL, changed_at=LATER)
        await store.write(lambda unit: unit.targets.replace(ANOTHER_INSTANCE, changed))

        assert a_target("101") == await get(store, "101")

    async def test_a_deleted_target_is_gone_and_its_date_is_kept(self, store: Store) -> None:
        """DeleteTarget answers the first date however often it is called."""
        target = TargetId("101")
        await add_targets(store, a_target("101"))
        await delete_target(store, "101", at=LATER)

        assert None is await get(store, "101")
        assert set() == await store.read(lambda unit: unit.targets.existing(INSTANCE, [target]))
        assert {} == await store.read(lambda unit: unit.targets.get_many([(INSTANCE, target)]))
        assert LATER == await store.read(lambda unit: unit.targets.deleted_at(INSTANCE, target))

    async def test_a_target_that_exists_was_not_deleted(self, store: Store) -> None:
        """The date means deletion, and only that."""
        await add_targets(store, a_target("101"))

        assert None is await store.read(
            lambda unit: unit.targets.deleted_at(INSTANCE, TargetId("101"))
        )
