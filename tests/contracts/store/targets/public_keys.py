"""What every store does with the public keys of targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.store.store import StoreContract
from outrider.domain.ids import InstanceId, PublicKeyId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.public_key import (
    ActiveFilter,
    ExpiryFilter,
    PublicKey,
    PublicKeyFilter,
    PublicKeyIdsFilter,
    PublicKeySort,
    TimeMethod,
)
from outrider.usecases.ports.store import Store, Unit
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_public_key, a_target
from support.runtime import NOW

TARGET = TargetId("101")
SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)


async def add(store: Store, *public_keys: PublicKey) -> None:
    """Write keys of the target, which exists."""

    async def add_one(public_key: PublicKey) -> None:
        await store.write(lambda unit: unit.public_keys.add(INSTANCE, TARGET, public_key))

    if await store.read(lambda unit: unit.targets.get(INSTANCE, TARGET)) is None:
        await store.write(lambda unit: unit.targets.add(INSTANCE, a_target("101")))
    for public_key in public_keys:
        await add_one(public_key)


async def keys_of(
    store: Store, instance: InstanceId = INSTANCE, target: TargetId = TARGET
) -> Sequence[PublicKey]:
    """Every key of a target."""
    return await store.read(lambda unit: unit.public_keys.of_target(instance, target))


async def search(
    store: Store,
    *filters: PublicKeyFilter,
    sort: PublicKeySort = PublicKeySort.CREATED,
    page: Page | None = None,
) -> Listing[PublicKey]:
    """One page of the target's keys."""
    newest_first = page or Page()
    return await store.read(
        lambda unit: unit.public_keys.search(INSTANCE, TARGET, filters, sort, newest_first)
    )


async def ids(store: Store, *filters: PublicKeyFilter) -> list[str]:
    """The ids that a search finds, oldest first."""
    return [row.id for row in (await search(store, *filters, page=Page(ascending=True))).rows]


class PublicKeysContract(StoreContract):
    """Keys belong to a target of an instance, and live with it."""

    async def test_a_key_comes_back_as_it_was_written(self, store: Store) -> None:
        """Receivers compare the bytes that they sent."""
        public_key = a_public_key(pem=b"\x00 not even text \xff", expires_at=LATER)
        await add(store, public_key)

        assert [public_key] == list(await keys_of(store))

    async def test_another_instances_and_another_targets_keys_do_not_exist(
        self, store: Store
    ) -> None:
        """No payload is encrypted to another target's key."""
        await add(store, a_public_key())

        assert [] == list(await keys_of(store, instance=ANOTHER_INSTANCE))
        assert [] == list(await keys_of(store, target=TargetId("102")))

    async def test_a_changed_key_takes_the_place_of_the_old_one(self, store: Store) -> None:
        """Its neighbours stay as they are."""
        first, second = a_public_key("601"), a_public_key("602")
        await add(store, first, second)
        changed = replace(first, is_active=True, changed_at=LATER)
        await store.write(lambda unit: unit.public_keys.replace(INSTANCE, TARGET, changed))

        assert [changed, second] == list(await keys_of(store))

    async def test_a_removed_key_is_gone_but_for_the_date(self, store: Store) -> None:
        """Removing it again answers when the target changed last."""
        await add(store, a_public_key("601"), a_public_key("602"))
        assert None is await store.read(
            lambda unit: unit.public_keys.last_removal(INSTANCE, TARGET)
        )

        for key_id, at in (("601", SOON), ("601", LATER), ("no id of ours", LATER)):
            await store.write(
                lambda unit, key_id=key_id, at=at: unit.public_keys.remove(  # type: ignore[misc]
                    INSTANCE, TARGET, PublicKeyId(key_id), at
                )
            )

        assert ["602"] == await ids(store)
        assert SOON == await store.read(
            lambda unit: unit.public_keys.last_removal(INSTANCE, TARGET)
        )

    async def test_the_routing_revision_moves_when_a_key_does(self, store: Store) -> None:
        """A worker keeps keys as long as it stays: it would encrypt to one that was withdrawn."""
        await add(store)
        active = a_public_key(is_active=True, changed_at=LATER)
        changes: list[Callable[[Unit], None]] = [
            lambda unit: unit.public_keys.add(INSTANCE, TARGET, a_public_key()),
            lambda unit: unit.public_keys.replace(INSTANCE, TARGET, active),
            lambda unit: unit.public_keys.replace(INSTANCE, TARGET, a_public_key()),
            lambda unit: unit.public_keys.remove(INSTANCE, TARGET, active.id, LATER),
        ]
        revisions = [await store.read(lambda unit: unit.routing_revision())]
        for change in changes:
            await store.write(change)
            revisions.append(await store.read(lambda unit: unit.routing_revision()))

        assert sorted(set(revisions)) == revisions

    async def test_a_key_of_a_former_release_is_older_though_its_id_is_larger(
        self, store: Store
    ) -> None:
        """Ids had 19 digits before they were ZITADEL's: lists stay in the order of creation."""
        former, new = "1004000000000000001", "398000000000000001"
        await add(store, a_public_key(former), a_public_key(new, created_at=SOON))

        assert [former, new] == [public_key.id for public_key in await keys_of(store)]
        assert [former, new] == await ids(store)

    async def test_the_keys_of_a_deleted_target_are_invisible(self, store: Store) -> None:
        """A list of nothing, not an error."""
        await add(store, a_public_key())
        await store.write(lambda unit: unit.targets.delete(INSTANCE, TARGET, LATER))

        assert [] == list(await keys_of(store))
        assert Listing([], 0) == await search(store)

    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            (PublicKeyIdsFilter((PublicKeyId("602"), PublicKeyId("x"))), ["602"]),
            (ActiveFilter(is_active=True), ["602"]),
            (ActiveFilter(is_active=False), ["601", "603"]),
            (ExpiryFilter(SOON, TimeMethod.EQUALS), ["601"]),
            (ExpiryFilter(SOON, TimeMethod.AFTER), ["602", "603"]),
            (ExpiryFilter(SOON, TimeMethod.AFTER_OR_EQUALS), ["601", "602", "603"]),
            (ExpiryFilter(LATER, TimeMethod.BEFORE), ["601"]),
            (ExpiryFilter(LATER, TimeMethod.BEFORE_OR_EQUALS), ["601", "602"]),
        ],
        ids=str,
    )
    async def test_filters(
        self, store: Store, condition: PublicKeyFilter, found: list[str]
    ) -> None:
        """A key that never expires is after every time, and before none."""
        await add(
            store,
            a_public_key("601", expires_at=SOON),
            a_public_key("602", expires_at=LATER, is_active=True),
            a_public_key("603"),
        )

        assert found == await ids(store, condition)
        assert [] == await ids(store, condition, PublicKeyIdsFilter((PublicKeyId("9"),)))

    async def test_sorting_and_pages(self, store: Store) -> None:
        """The total counts every match; behind the end it is 0, as in ZITADEL."""
        await add(
            store,
            a_public_key("601", created_at=NOW, changed_at=LATER),
            a_public_key("602", created_at=SOON, changed_at=SOON, expires_at=SOON),
            a_public_key("603", created_at=SOON, changed_at=LATER, expires_at=LATER),
        )

        async def sorted_by(sort: PublicKeySort, page: Page) -> tuple[list[str], int]:
            found = await search(store, sort=sort, page=page)
            return [row.id for row in found.rows], found.total

        assert (["603", "602", "601"], 3) == await sorted_by(PublicKeySort.CREATED, Page())
        up = Page(ascending=True)
        assert (["602", "601", "603"], 3) == await sorted_by(PublicKeySort.CHANGED, up)
        assert (["602", "603", "601"], 3) == await sorted_by(PublicKeySort.EXPIRES, up)
        assert (["602"], 3) == await sorted_by(PublicKeySort.CREATED, Page(offset=1, limit=1))
        assert ([], 0) == await sorted_by(PublicKeySort.CREATED, Page(offset=3))
