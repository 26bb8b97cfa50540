"""Web keys from creation to removal, without a wire (docs/contract.md#web-keys)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    KeyPair,
    WebKeyState,
    ecdsa_config,
    ed25519_config,
)
from outrider.domain.ids import WebKeyId
from outrider.errors import FailedPrecondition, Internal, NotFound
from outrider.usecases.access.web_keys import ManageWebKeys, UseWebKeys
from support.builders import ANOTHER_INSTANCE, INSTANCE, an_actor
from support.runtime import FIRST_SONYFLAKE, NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
SECOND = timedelta(seconds=1)
INITIAL, ACTIVE, INACTIVE = WebKeyState.INITIAL, WebKeyState.ACTIVE, WebKeyState.INACTIVE


class NumberedPairs:
    """Keys that sign nothing, each with its number."""

    def __init__(self) -> None:
        self.made = 0

    async def make(self, config) -> KeyPair:
        self.made += 1
        number = self.made
        await asyncio.sleep(0)
        return KeyPair({"kty": "oct", "n": f"{number}"}, f"private {number}".encode())


@pytest.fixture
def key_pairs():
    return NumberedPairs()


@pytest.fixture
def web_keys(store, runtime, key_pairs):
    return ManageWebKeys(store=store, runtime=runtime, key_pairs=key_pairs)


@pytest.fixture
def use(store):
    return UseWebKeys(store)


async def states(web_keys, actor=ACTOR):
    return [web_key.state for web_key in await web_keys.list(actor)]


async def test_a_new_instance_gets_two_keys_the_first_active(web_keys):
    """
    It can sign from the first event on, and its second key is known before it is needed.
    """
    await web_keys.ensure_first(INSTANCE)
    keys = await web_keys.list(ACTOR)

    assert [ACTIVE, INITIAL] == [web_key.state for web_key in keys]
    assert [DEFAULT_CONFIG] * 2 == [web_key.config for web_key in keys]
    assert [str(FIRST_SONYFLAKE), str(FIRST_SONYFLAKE + 1)] == [web_key.id for web_key in keys]


async def test_a_second_start_makes_no_keys(web_keys, key_pairs):
    """
    Neither in the store nor for nothing: they cost a part of the second that a start may take.
    """
    await web_keys.ensure_first(INSTANCE)
    before = await web_keys.list(ACTOR)
    await web_keys.ensure_first(INSTANCE)

    assert before == await web_keys.list(ACTOR)
    assert 2 == key_pairs.made


async def test_two_that_start_at_once_make_one_pair_of_keys(web_keys):
    """
    Who comes second finds the keys of the first.
    """
    await asyncio.gather(*(web_keys.ensure_first(INSTANCE) for _ in range(5)))

    assert [ACTIVE, INITIAL] == await states(web_keys)


async def test_the_first_of_all_keys_is_active_at_once(web_keys):
    """
    The second is not.
    """
    first = await web_keys.create(ACTOR, ecdsa_config("P-256"))
    second = await web_keys.create(ACTOR, ed25519_config())

    assert [ACTIVE, INITIAL] == [first.state, second.state]
    assert [first, second] == list(await web_keys.list(ACTOR))


async def test_keys_that_are_made_at_once_leave_one_active(web_keys):
    """
    Whether there is an active key is asked in the transaction that adds one.
    """
    await asyncio.gather(*(web_keys.create(ACTOR, ed25519_config()) for _ in range(10)))

    assert [ACTIVE, *[INITIAL] * 9] == sorted(await states(web_keys), key=lambda state: -state)


async def test_activating_hands_over(web_keys, use, clock):
    """
    What is signed from then on is signed with the new key, by its own private part.
    """
    old = await web_keys.create(ACTOR, ed25519_config())
    new = await web_keys.create(ACTOR, ed25519_config())
    clock.advance(SECOND)
    at, former = await web_keys.activate(ACTOR, new.id)
    listed = await web_keys.list(ACTOR)
    signing = await use.signing_key(INSTANCE)

    assert (NOW + SECOND, [old.id]) == (at, former)
    assert [(old.id, INACTIVE, at), (new.id, ACTIVE, at)] == [
        (web_key.id, web_key.state, web_key.changed_at) for web_key in listed
    ]
    assert (new.id, b"private 2") == (signing.id, signing.private_key)


async def test_activating_the_active_key_answers_its_date(web_keys, clock):
    """
    And the other keys stay what they are.
    """
    key = await web_keys.create(ACTOR, ed25519_config())
    await web_keys.create(ACTOR, ed25519_config())
    clock.advance(SECOND)

    assert (NOW, []) == await web_keys.activate(ACTOR, key.id)
    assert [ACTIVE, INITIAL] == await states(web_keys)


async def test_an_inactive_key_can_come_back(web_keys):
    """
    The way back when receivers do not know the new one.
    """
    first = await web_keys.create(ACTOR, ed25519_config())
    second = await web_keys.create(ACTOR, ed25519_config())
    await web_keys.activate(ACTOR, second.id)
    await web_keys.activate(ACTOR, first.id)

    assert [ACTIVE, INACTIVE] == await states(web_keys)


async def test_an_unknown_key_cannot_be_activated(web_keys):
    """
    Nor one that is removed, nor another instance's.
    """
    theirs = await web_keys.create(STRANGER, ed25519_config())
    await web_keys.create(ACTOR, ed25519_config())
    gone = await web_keys.create(ACTOR, ed25519_config())
    await web_keys.delete(ACTOR, gone.id)

    for id_ in ("notexisting", theirs.id, gone.id):
        with pytest.raises(NotFound) as refused:
            await web_keys.activate(ACTOR, WebKeyId(id_))
        assert "Web key not found (COMMAND-teiG3)" == str(refused.value)
    assert [ACTIVE] == await states(web_keys)


async def test_the_active_key_cannot_be_deleted(web_keys):
    """
    Nothing could be signed any more.
    """
    key = await web_keys.create(ACTOR, ed25519_config())

    with pytest.raises(FailedPrecondition) as refused:
        await web_keys.delete(ACTOR, key.id)
    assert "Cannot delete active web key (COMMAND-Chai1)" == str(refused.value)
    assert [key] == list(await web_keys.list(ACTOR))


async def test_deleting_answers_the_date_of_the_first_time(web_keys, clock):
    """
    However often it is called.
    """
    kept = await web_keys.create(ACTOR, ed25519_config())
    key = await web_keys.create(ACTOR, ed25519_config())
    clock.advance(SECOND)
    first = await web_keys.delete(ACTOR, key.id)
    clock.advance(SECOND)

    assert [NOW + SECOND] * 2 == [first, await web_keys.delete(ACTOR, key.id)]
    assert [kept] == list(await web_keys.list(ACTOR))


async def test_deleting_an_unknown_key_has_no_date(web_keys):
    """
    And deletes nothing of another instance.
    """
    await web_keys.create(STRANGER, ed25519_config())
    theirs = await web_keys.create(STRANGER, ed25519_config())

    assert None is await web_keys.delete(ACTOR, WebKeyId("notexisting"))
    assert None is await web_keys.delete(ACTOR, theirs.id)
    assert [ACTIVE, INITIAL] == await states(web_keys, STRANGER)


async def test_what_is_published_is_every_key_that_is_not_removed(web_keys, use):
    """
    What signs next, what signs now, and what has signed.
    """
    keys = [await web_keys.create(ACTOR, ed25519_config()) for _ in range(4)]
    await web_keys.activate(ACTOR, keys[1].id)
    await web_keys.delete(ACTOR, keys[3].id)
    found = await use.published_jwks(INSTANCE)

    assert [web_key.id for web_key in keys[:3]] == [jwk["kid"] for jwk in found]
    assert {"kid": keys[0].id, "alg": "EdDSA", "use": "sig", "kty": "oct", "n": "1"} == found[0]
    assert [] == list(await use.published_jwks(ANOTHER_INSTANCE))


async def test_without_an_active_key_nothing_is_signed(web_keys, use):
    """
    Another instance's key is no way out.
    """
    await web_keys.create(STRANGER, ed25519_config())

    with pytest.raises(Internal) as refused:
        await use.signing_key(INSTANCE)
    assert ("No active web key found (QUERY-Opoh7)", "internal") == (
        str(refused.value),
        refused.value.code.value,
    )
