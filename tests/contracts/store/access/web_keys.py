"""What every store promises about web keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from contracts.store.store import StoreContract
from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    SigningWebKey,
    WebKey,
    WebKeyConfig,
    WebKeyState,
    ecdsa_config,
    ed25519_config,
    rsa_config,
)
from outrider.domain.ids import InstanceId, WebKeyId
from outrider.usecases.ports.store import Store, Unit
from support.builders import ANOTHER_INSTANCE, INSTANCE
from support.runtime import NOW

PRIVATE_KEY = b"private part"
MICROSECOND = timedelta(microseconds=1)
LATER = NOW + timedelta(hours=1)
CONFIGS = [DEFAULT_CONFIG, rsa_config(4096, 512), ecdsa_config("P-521"), ed25519_config()]


def a_web_key(
    id: str = "601",  # noqa: A002 - the name of the field
    state: WebKeyState = WebKeyState.INITIAL,
    *,
    config: WebKeyConfig = DEFAULT_CONFIG,
    created_at: datetime = NOW,
    changed_at: datetime = NOW,
) -> WebKey:
    """A key that nothing is signed with."""
    return WebKey(
        id=WebKeyId(id),
        config=config,
        state=state,
        public_jwk={"kty": "RSA", "n": f"modulus of {id}", "e": "AQAB"},
        created_at=created_at,
        changed_at=changed_at,
    )


async def add(
    store: Store,
    web_key: WebKey,
    private_key: bytes = PRIVATE_KEY,
    instance: InstanceId = INSTANCE,
) -> None:
    """Write a key."""
    await store.write(lambda unit: unit.web_keys.add(instance, web_key, private_key))


async def change(store: Store, web_key: WebKey, instance: InstanceId = INSTANCE) -> None:
    """Write a changed key."""
    await store.write(lambda unit: unit.web_keys.replace(instance, web_key))


async def get(store: Store, web_key: str, instance: InstanceId = INSTANCE) -> WebKey | None:
    """One key."""
    return await store.read(lambda unit: unit.web_keys.get(instance, WebKeyId(web_key)))


async def listed(store: Store, instance: InstanceId = INSTANCE) -> Sequence[WebKey]:
    """The keys of an instance."""
    return await store.read(lambda unit: unit.web_keys.list(instance))


async def active(store: Store, instance: InstanceId = INSTANCE) -> WebKey | None:
    """The active key of an instance."""
    return await store.read(lambda unit: unit.web_keys.active(instance))


async def signing(store: Store, instance: InstanceId = INSTANCE) -> SigningWebKey | None:
    """What an instance signs with."""
    return await store.read(lambda unit: unit.web_keys.signing(instance))


class WebKeysContract(StoreContract):
    """Keys, which of them is active, and where their private parts are."""

    @pytest.mark.parametrize(
        "config", CONFIGS, ids=lambda value: f"{value.algorithm}-{value.rsa_bits}"
    )
    @pytest.mark.parametrize("state", [WebKeyState.INITIAL, WebKeyState.ACTIVE])
    async def test_a_key_is_read_as_it_was_written(
        self, store: Store, config: WebKeyConfig, state: WebKeyState
    ) -> None:
        """To the microsecond, with every number of its public part."""
        written = a_web_key(state=state, config=config, changed_at=LATER + MICROSECOND)
        await add(store, written)

        assert written == await get(store, "601")
        assert [written] == list(await listed(store))

    async def test_what_does_not_exist_is_none(self, store: Store) -> None:
        """Whatever was asked for."""
        for web_key in ("601", "no id of ours", "", "9" * 40, "0601"):
            assert None is await get(store, web_key)
        assert None is await active(store)
        assert None is await signing(store)
        assert [] == list(await listed(store))

    async def test_a_list_is_in_the_order_of_creation(self, store: Store) -> None:
        """And of two of the same microsecond the smaller id is first, as a number."""
        web_keys = [
            a_web_key("700", created_at=NOW - MICROSECOND),
            a_web_key("9"),
            a_web_key("10"),
            a_web_key("5", created_at=NOW + MICROSECOND),
        ]
        for index in (3, 2, 0, 1):
            await add(store, web_keys[index])

        assert web_keys == list(await listed(store))

    async def test_a_key_of_a_former_release_is_older_though_its_id_is_larger(
        self, store: Store
    ) -> None:
        """Ids had 19 digits before they were ZITADEL's: JWKS and lists stay in order."""
        former = a_web_key("1004000000000000001", created_at=NOW)
        new = a_web_key("398000000000000001", created_at=NOW + MICROSECOND)
        await add(store, new)
        await add(store, former)

        assert [former, new] == list(await listed(store))

    async def test_a_change_of_state_is_kept(self, store: Store) -> None:
        """With its date; nothing else of a key ever changes."""
        await add(store, a_web_key())
        changed = a_web_key(state=WebKeyState.INACTIVE, changed_at=LATER)
        await change(store, changed)

        assert changed == await get(store, "601")
        assert [changed] == list(await listed(store))

    async def test_the_routing_revision_moves_when_a_key_does(self, store: Store) -> None:
        """A worker keeps its key as long as it stays: it would sign with a former one for ever."""
        states = [
            WebKeyState.INITIAL,
            WebKeyState.ACTIVE,
            WebKeyState.INACTIVE,
            WebKeyState.REMOVED,
        ]
        revisions = [await store.read(lambda unit: unit.routing_revision())]
        for state in states:
            write = add if state is WebKeyState.INITIAL else change
            await write(store, a_web_key(state=state))
            revisions.append(await store.read(lambda unit: unit.routing_revision()))

        assert sorted(set(revisions)) == revisions

    async def test_a_removed_key_is_found_by_its_id_alone(self, store: Store) -> None:
        """Removing it again answers the first date; no reader sees the key."""
        await add(store, a_web_key())
        await add(store, a_web_key("602"))
        gone = a_web_key(state=WebKeyState.REMOVED, changed_at=LATER)
        await change(store, gone)

        assert gone == await get(store, "601")
        assert [a_web_key("602")] == list(await listed(store))
        assert None is await active(store)

    async def test_the_active_key_signs_with_its_own_private_part(self, store: Store) -> None:
        """A signature by another key verifies nowhere."""
        web_key = a_web_key("602", WebKeyState.ACTIVE, config=ecdsa_config("P-384"))
        await add(store, a_web_key("601"), b"another private part")
        await add(store, web_key)

        assert web_key == await active(store)
        assert SigningWebKey(
            id=web_key.id, algorithm=web_key.config.algorithm, private_key=PRIVATE_KEY
        ) == await signing(store)

    async def test_another_key_takes_over_in_one_unit(self, store: Store) -> None:
        """No reader ever sees two active keys, or none."""
        former, next_one = a_web_key("601", WebKeyState.ACTIVE), a_web_key("602")
        await add(store, former, b"former")
        await add(store, next_one, b"next")

        def enqueuer(unit: Unit) -> None:
            unit.web_keys.replace(INSTANCE, replace(former, state=WebKeyState.INACTIVE))
            unit.web_keys.replace(INSTANCE, replace(next_one, state=WebKeyState.ACTIVE))

        await store.write(enqueuer)
        found = await signing(store)

        assert found is not None
        assert ("602", b"next") == (found.id, found.private_key)
        assert [WebKeyState.INACTIVE, WebKeyState.ACTIVE] == [
            web_key.state for web_key in await listed(store)
        ]

    async def test_another_instances_keys_do_not_exist(self, store: Store) -> None:
        """Neither to read, nor to sign with, nor to change."""
        written = a_web_key(state=WebKeyState.ACTIVE)
        await add(store, written, instance=ANOTHER_INSTANCE)

        assert None is await get(store, "601")
        assert None is await active(store)
        assert None is await signing(store)
        assert [] == list(await listed(store))
        assert written == await get(store, "601", ANOTHER_INSTANCE)
        assert [written] == list(await listed(store, ANOTHER_INSTANCE))

    async def test_two_instances_have_an_active_key_each(self, store: Store) -> None:
        """One tenant's JWTs are never signed with another's key."""
        await add(store, a_web_key("601", WebKeyState.ACTIVE), b"ours")
        await add(store, a_web_key("602", WebKeyState.ACTIVE), b"theirs", ANOTHER_INSTANCE)
        ours, theirs = await signing(store), await signing(store, ANOTHER_INSTANCE)

        assert ours is not None
        assert theirs is not None
        assert [b"ours", b"theirs"] == [ours.private_key, theirs.private_key]

    async def test_a_unit_that_raises_leaves_no_key_behind(self, store: Store) -> None:
        """Neither a new one nor a new state."""
        before = a_web_key(state=WebKeyState.ACTIVE)
        await add(store, before)

        def change_and_fail(unit: Unit) -> None:
            unit.web_keys.replace(INSTANCE, replace(before, state=WebKeyState.INACTIVE))
            unit.web_keys.add(INSTANCE, a_web_key("602", WebKeyState.ACTIVE), b"never")
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(change_and_fail)
        found = await signing(store)

        assert [before] == list(await listed(store))
        assert found is not None
        assert PRIVATE_KEY == found.private_key
