"""Public keys of targets: the checks in ZITADEL's order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from outrider.domain.page import Page
from outrider.domain.targets.public_key import PublicKeySort, encryption_key
from outrider.errors import FailedPrecondition, InvalidRequest, OutriderError
from outrider.usecases.targets.public_keys import ManagePublicKeys
from support.builders import ANOTHER_INSTANCE, a_new_target, an_actor
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
HOUR = timedelta(hours=1)
FORMAT = (
    "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format"
    " (ErrPublicKeyFormat)"
)


def read_spki(pem: bytes) -> bytes:
    if not pem.startswith(b"key"):
        raise ValueError("no key")
    return pem


@pytest.fixture
def public_keys(store, runtime) -> ManagePublicKeys:
    return ManagePublicKeys(store, runtime, read_spki)


@pytest.fixture
async def target(targets) -> str:
    return (await targets.create(ACTOR, a_new_target())).id


async def listed(public_keys, target, actor=ACTOR):
    found = await public_keys.search(actor, target, [], PublicKeySort.CREATED, Page(ascending=True))
    return list(found.rows)


async def refusal(call) -> str:
    with pytest.raises(OutriderError) as refused:
        await call
    return str(refused.value)


async def test_adding_is_checked_in_order(public_keys, target):
    """
    A caller that is wrong in several ways is told what ZITADEL tells first.
    """
    past = NOW - HOUR
    assert "ID missing (ErrTargetIDMissing)" == await refusal(
        public_keys.add(ACTOR, "", b"no", past)
    )
    assert "Key expiration date must be in the future (ErrExpirationDateBeforeNow)" == (
        await refusal(public_keys.add(ACTOR, "1", b"no", past))
    )
    assert FORMAT == await refusal(public_keys.add(ACTOR, "1", b"no", None))
    with pytest.raises(FailedPrecondition, match=r"^Target not found \(ErrTargetNotFound\)$"):
        await public_keys.add(ACTOR, "1", b"key", None)
    with pytest.raises(FailedPrecondition):
        await public_keys.add(STRANGER, target, b"key", None)


async def test_a_new_key_is_inactive_and_the_same_key_may_be_added_twice(public_keys, target):
    """
    Uploading must not change what is encrypted to.
    """
    first = await public_keys.add(ACTOR, target, b"key", NOW + HOUR)
    second = await public_keys.add(ACTOR, target, b"key", None)

    assert [first, second] == await listed(public_keys, target)
    assert (False, NOW, NOW + HOUR) == (first.is_active, first.created_at, first.expires_at)
    assert first.fingerprint == second.fingerprint
    assert first.id != second.id
    assert [] == await listed(public_keys, target, STRANGER)


async def test_at_most_one_key_is_active(public_keys, target, clock):
    """
    Activating one is how keys are rotated.
    """
    first = await public_keys.add(ACTOR, target, b"key 1", None)
    second = await public_keys.add(ACTOR, target, b"key 2", None)
    await public_keys.activate(ACTOR, target, first.id)
    later = clock.advance(HOUR)
    changed, former = await public_keys.activate(ACTOR, target, second.id)
    again, none = await public_keys.activate(ACTOR, target, second.id)

    assert later == changed.changed_at == again.changed_at
    assert ([first.id], []) == (former, none)
    keys = await listed(public_keys, target)
    assert [False, True] == [public_key.is_active for public_key in keys]
    assert [later, later] == [public_key.changed_at for public_key in keys]
    assert changed == encryption_key(keys, later)


async def test_an_expired_key_is_not_activated_but_can_be_deactivated(public_keys, target, clock):
    """
    Expiry counts when the key is used, so an active key may expire.
    """
    public_key = await public_keys.add(ACTOR, target, b"key", NOW + HOUR)
    await public_keys.activate(ACTOR, target, public_key.id)
    later = clock.advance(HOUR)

    assert "Target public key is expired (ErrPublicKeyExpired)" == await refusal(
        public_keys.activate(ACTOR, target, public_key.id)
    )
    assert None is encryption_key(await listed(public_keys, target), later)
    first = await public_keys.deactivate(ACTOR, target, public_key.id)
    clock.advance(HOUR)
    assert first == await public_keys.deactivate(ACTOR, target, public_key.id)
    assert (False, later) == (first.is_active, first.changed_at)


@pytest.mark.parametrize("method", ["activate", "deactivate"])
async def test_a_key_that_is_not_there_cannot_be_switched(public_keys, target, method):
    """
    FailedPrecondition, although the API reference speaks of 404.
    """
    public_key = await public_keys.add(ACTOR, target, b"key", None)
    switch = getattr(public_keys, method)

    assert "ID missing (ErrTargetIDMissing)" == await refusal(switch(ACTOR, target, ""))
    assert "ID missing (ErrTargetIDMissing)" == await refusal(switch(ACTOR, "", public_key.id))
    for call in (
        switch(ACTOR, target, "9"),
        switch(ACTOR, "9", public_key.id),
        switch(STRANGER, target, public_key.id),
    ):
        assert "Target not found (ErrKeyNotFound)" == await refusal(call)


async def test_removing(public_keys, targets, target, clock):
    """
    The active key stays; a second removal answers when the target changed last.
    """
    public_key = await public_keys.add(ACTOR, target, b"key", None)
    await public_keys.activate(ACTOR, target, public_key.id)
    assert "Cannot delete active target public key (ErrPublicKeyDeleteActiveKey)" == await refusal(
        public_keys.remove(ACTOR, target, public_key.id)
    )
    await public_keys.deactivate(ACTOR, target, public_key.id)
    assert NOW == await public_keys.remove(ACTOR, target, "9")
    removed = clock.advance(HOUR)
    assert removed == await public_keys.remove(ACTOR, target, public_key.id)
    clock.advance(HOUR)
    assert removed == await public_keys.remove(ACTOR, target, public_key.id)
    assert [] == await listed(public_keys, target)
    assert None is await public_keys.remove(ACTOR, "9", public_key.id)
    with pytest.raises(InvalidRequest):
        await public_keys.remove(ACTOR, target, "")
    deleted = clock.advance(HOUR)
    await targets.delete(ACTOR, target)
    clock.advance(HOUR)
    assert deleted == await public_keys.remove(ACTOR, target, public_key.id)
