"""What every store promises about target policies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.steps import add_targets, delete_target
from contracts.store.store import StoreContract
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import (
    DEFAULT_POLICY,
    Breaker,
    OnDead,
    OnUnreachable,
    Ordering,
    RetryPolicy,
    StoredPolicy,
    TargetPolicy,
    TlsPolicy,
)
from outrider.usecases.ports.store import Store, Unit
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target
from support.runtime import NOW

TARGET = TargetId("101")
SECOND = timedelta(seconds=1)
SECRETS = ("hidden-header", "hidden-client-key", "hidden-password")
FULL = TargetPolicy(
    retry=RetryPolicy(
        waits=(timedelta(microseconds=1), timedelta(days=7)),
        jitter=0.0,
        max_age=timedelta(days=365 * 9999),
        final_statuses=frozenset({404, 410}),
        honor_retry_after=False,
    ),
    max_concurrency=2**32 - 1,
    rate_per_second=0.1,
    ordering=Ordering.BY_AGGREGATE,
    breaker=Breaker(3, timedelta(minutes=5)),
    headers=(("X-Api-Key", SECRETS[0]), ("X-Empty", "0")),
    on_unreachable=OnUnreachable.INTERRUPT,
    tls=TlsPolicy(ca_pem="a", client_cert_pem="b", client_key_pem=SECRETS[1]),
    check_async_status=True,
    proxy_url=f"http://user:{SECRETS[2]}@proxy.example:3128",
    on_dead=OnDead.HALT,
)


async def put(
    store: Store, policy: TargetPolicy = FULL, *, instance: InstanceId = INSTANCE
) -> None:
    """Set the policy of target 101."""
    await store.write(lambda unit: unit.policies.put(instance, TARGET, policy, NOW))


async def get(store: Store, *, instance: InstanceId = INSTANCE) -> StoredPolicy | None:
    """What is stored about target 101."""
    return await store.read(lambda unit: unit.policies.get(instance, TARGET))


async def pause(store: Store, target: str = "101", *, instance: InstanceId = INSTANCE) -> None:
    """Pause a target."""
    await store.write(lambda unit: unit.policies.pause(instance, TargetId(target), NOW))


async def resume(store: Store, target: str = "101", *, instance: InstanceId = INSTANCE) -> None:
    """Resume a target."""
    await store.write(lambda unit: unit.policies.resume(instance, TargetId(target)))


class TargetPoliciesContract(StoreContract):
    """Each test has the target 101 in two instances."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets that policies are about."""
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await add_targets(store, a_target("101"), a_target("102"), instance=instance)

    async def test_nothing_is_known_of_a_target_without_a_policy(self, store: Store) -> None:
        """Most have none."""
        assert None is await get(store)

    @pytest.mark.parametrize("policy", [FULL, DEFAULT_POLICY], ids=["full", "default"])
    async def test_every_field_comes_back(self, store: Store, policy: TargetPolicy) -> None:
        """A field that is lost is a limit that no worker keeps."""
        await put(store, policy)

        assert StoredPolicy(policy, NOW) == await get(store)

    async def test_a_policy_is_replaced_whole(self, store: Store) -> None:
        """Nothing of the former one is left, least of all a secret."""
        await put(store)
        later = TargetPolicy(max_concurrency=1)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TARGET, later, NOW + SECOND))

        assert StoredPolicy(later, NOW + SECOND) == await get(store)

    async def test_another_instance_has_its_own(self, store: Store) -> None:
        """Targets of two instances may have the same id."""
        await put(store)
        await pause(store)

        assert None is await get(store, instance=ANOTHER_INSTANCE)

        await put(store, DEFAULT_POLICY, instance=ANOTHER_INSTANCE)
        await resume(store, instance=ANOTHER_INSTANCE)

        assert StoredPolicy(FULL, NOW, NOW) == await get(store)

    async def test_a_policy_goes_with_its_target(self, store: Store) -> None:
        """With its secrets; that of another instance's target stays."""
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await put(store, instance=instance)
            await pause(store, instance=instance)
        await delete_target(store, TARGET)

        assert None is await get(store)
        assert StoredPolicy(FULL, NOW, NOW) == await get(store, instance=ANOTHER_INSTANCE)

    async def test_pausing_and_policies_do_not_touch_one_another(self, store: Store) -> None:
        """A paused target may be given a policy, and one with a policy may be paused."""
        seen = []
        for step in (pause(store), put(store), resume(store), pause(store)):
            await step
            seen.append(await get(store))

        assert [
            StoredPolicy(paused_at=NOW),
            StoredPolicy(FULL, NOW, NOW),
            StoredPolicy(FULL, NOW),
            StoredPolicy(FULL, NOW, NOW),
        ] == seen

    async def test_a_paused_target_stays_paused_since_then(self, store: Store) -> None:
        """A second pause changes nothing; one resume ends both."""
        await pause(store)
        await store.write(lambda unit: unit.policies.pause(INSTANCE, TARGET, NOW + SECOND))

        assert StoredPolicy(paused_at=NOW) == await get(store)

        await resume(store)
        await resume(store)

        assert None is await get(store)

    async def test_many_are_found_in_one_call(self, store: Store) -> None:
        """Those without a policy are absent."""
        await put(store)
        await pause(store, "102", instance=ANOTHER_INSTANCE)
        ids = [
            (instance, TargetId(target))
            for instance in (INSTANCE, ANOTHER_INSTANCE)
            for target in ("101", "102", "103")
        ]
        found = await store.read(lambda unit: unit.policies.get_many(ids))

        assert {
            (INSTANCE, "101"): StoredPolicy(FULL, NOW),
            (ANOTHER_INSTANCE, "102"): StoredPolicy(paused_at=NOW),
        } == found

    async def test_every_change_moves_the_revision(self, store: Store) -> None:
        """Workers keep policies for as long as it stays."""
        revisions = []
        for step in (put(store), put(store, DEFAULT_POLICY), pause(store), resume(store)):
            revisions.append(await store.read(lambda unit: unit.routing_revision()))
            await step
        revisions.append(await store.read(lambda unit: unit.routing_revision()))

        assert sorted(set(revisions)) == revisions

    async def test_a_unit_that_raises_leaves_no_policy_behind(self, store: Store) -> None:
        """Neither a new one nor a pause."""

        def change_and_fail(unit: Unit) -> None:
            unit.policies.put(INSTANCE, TARGET, FULL, NOW)
            unit.policies.pause(INSTANCE, TARGET, NOW)
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(change_and_fail)

        assert None is await get(store)
