"""Policies and pauses: whose they are, what stays, and what two concurrent callers do to them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from outrider.domain.targets.policy import (
    DEFAULT_POLICY,
    RetryPolicy,
    StoredPolicy,
    TargetPolicy,
    TlsPolicy,
)
from outrider.errors import FailedPrecondition, InvalidRequest, NotFound
from outrider.usecases.targets.policies import ManageTargetPolicies
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_new_target, an_actor
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
HOUR = timedelta(hours=1)
SECRET = TargetPolicy(headers=(("X-Key", "secret"),))
REDACTED = TargetPolicy(headers=(("X-Key", ""),))


def no_check(_: TlsPolicy) -> None:
    """Any PEM will do."""


@pytest.fixture
def policies(store, runtime) -> ManageTargetPolicies:
    return ManageTargetPolicies(store, runtime, no_check)


@pytest.fixture
async def target(targets):
    return (await targets.create(ACTOR, a_new_target())).id


async def stored(store, target):
    """What is in the store, secrets included."""
    return await store.read(lambda unit: unit.policies.get(INSTANCE, target))


async def test_a_target_has_the_default_policy(policies, target):
    """
    And was never changed.
    """
    assert StoredPolicy() == await policies.get(ACTOR, target)


async def test_a_policy_is_set_whole(policies, target, store, clock):
    """
    What a new policy does not say has its default again.
    """
    first = TargetPolicy(max_concurrency=3, retry=RetryPolicy(jitter=0.0))
    assert NOW == await policies.set(ACTOR, target, first)
    clock.advance(HOUR)
    assert NOW + HOUR == await policies.set(ACTOR, target, SECRET)

    assert StoredPolicy(SECRET, NOW + HOUR) == await stored(store, target)
    assert StoredPolicy(REDACTED, NOW + HOUR) == await policies.get(ACTOR, target)


async def test_what_was_read_can_be_set_again(policies, target, store):
    """
    Read, change one number, write: the secrets stay.
    """
    await policies.set(ACTOR, target, SECRET)
    await policies.set(ACTOR, target, (await policies.get(ACTOR, target)).policy)

    assert SECRET == (await stored(store, target)).policy

    await policies.set(ACTOR, target, DEFAULT_POLICY)
    with pytest.raises(InvalidRequest):
        await policies.set(ACTOR, target, REDACTED)


async def test_a_target_that_is_not_there_has_no_policy(policies, targets, target):
    """
    Nor has another instance's, nor a deleted one.
    """
    calls = (
        policies.get,
        lambda actor, target_id: policies.set(actor, target_id, DEFAULT_POLICY),
        policies.pause,
        policies.resume,
    )
    for call in calls:
        for actor, target_id in ((ACTOR, "1"), (STRANGER, target)):
            with pytest.raises(NotFound, match="QUERY-hj5oaniyrz"):
                await call(actor, target_id)
    await policies.set(ACTOR, target, SECRET)
    await targets.delete(ACTOR, target)
    for call in calls:
        with pytest.raises(NotFound):
            await call(ACTOR, target)


async def test_what_is_wrong_is_refused_before_the_target_is_looked_for(policies):
    """
    The request is wrong whatever the state.
    """
    with pytest.raises(InvalidRequest, match="Host"):
        await policies.set(ACTOR, "1", TargetPolicy(headers=(("Host", "a"),)))


async def test_certificates_are_checked_with_the_key_that_stays(store, runtime, target):
    """
    Else a policy could be set that no call can be made with.
    """
    seen = []
    policies = ManageTargetPolicies(store, runtime, seen.append)
    pair = TlsPolicy(client_cert_pem="certificate", client_key_pem="key")
    await policies.set(ACTOR, target, TargetPolicy(tls=pair))
    redacted = (await policies.get(ACTOR, target)).policy
    await policies.set(ACTOR, target, redacted)

    assert TlsPolicy(client_cert_pem="certificate") == redacted.tls
    assert [pair, pair] == seen


async def test_a_secret_that_another_changes_meanwhile_is_not_put_back(store, runtime, target):
    """
    A rotated credential must not come back because another caller changed a number in the same policy.
    """
    rotated = TargetPolicy(headers=(("X-Key", "new"),))
    loop = asyncio.get_running_loop()

    async def rotate() -> None:
        await ManageTargetPolicies(store, runtime, no_check).set(ACTOR, target, rotated)

    def rotates_meanwhile(_: TlsPolicy) -> None:
        asyncio.run_coroutine_threadsafe(rotate(), loop).result(10)

    await ManageTargetPolicies(store, runtime, no_check).set(ACTOR, target, SECRET)
    slow = ManageTargetPolicies(store, runtime, rotates_meanwhile)
    policy = TargetPolicy(headers=REDACTED.headers, tls=TlsPolicy(ca_pem="an authority"))
    with pytest.raises(FailedPrecondition, match="OUTRIDER-policy"):
        await slow.set(ACTOR, target, policy)

    assert rotated == (await stored(store, target)).policy


async def test_a_pause_is_one_however_often_it_is_asked_for(policies, target, clock):
    """
    Scripts repeat themselves. The date is that of the first.
    """
    await policies.set(ACTOR, target, SECRET)
    assert NOW == await policies.pause(ACTOR, target)
    clock.advance(HOUR)
    assert NOW == await policies.pause(ACTOR, target)
    assert StoredPolicy(REDACTED, NOW, NOW) == await policies.get(ACTOR, target)

    assert NOW + HOUR == await policies.resume(ACTOR, target)
    assert None is await policies.resume(ACTOR, target)
    assert StoredPolicy(REDACTED, NOW) == await policies.get(ACTOR, target)
