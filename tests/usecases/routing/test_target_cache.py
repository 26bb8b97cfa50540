"""What a call needs is loaded, and nothing that it does not need."""

from __future__ import annotations

import pytest

from fakes.memory.store import MemoryStore
from outrider.domain.access.web_key import DEFAULT_CONFIG, Algorithm, SigningWebKey, new_web_key
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.ids import InstanceId, TargetId, WebKeyId
from outrider.domain.targets.target import PayloadType
from outrider.usecases.ports.store import Unit
from outrider.usecases.routing.target_cache import load_resolved_targets
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    SIGNING_KEY,
    a_public_key,
    a_target,
)
from support.runtime import NOW

PLAIN = [PayloadType.UNSPECIFIED, PayloadType.JSON, 77]


def signing(web_key: str) -> SigningWebKey:
    return SigningWebKey(
        id=WebKeyId(web_key), algorithm=Algorithm.RS256, private_key=f"of {web_key}".encode()
    )


def add_web_key(unit: Unit, instance: InstanceId, number: str) -> None:
    web_key = new_web_key(DEFAULT_CONFIG, {"kty": "RSA"}, WebKeyId(number), active=None, now=NOW)
    unit.web_keys.add(instance, web_key, f"of {number}".encode())


async def loaded(
    store: MemoryStore, *pairs: tuple[InstanceId, str]
) -> dict[object, ResolvedTarget]:
    target_keys = [(instance, TargetId(target)) for instance, target in pairs]
    return await store.read(lambda unit: load_resolved_targets(unit, target_keys))


@pytest.fixture
async def store() -> MemoryStore:
    """Two instances with a web key each; in each a target with two public keys."""
    store = MemoryStore()

    def fill(unit: Unit) -> None:
        for instance, web_key in ((INSTANCE, "701"), (ANOTHER_INSTANCE, "702")):
            add_web_key(unit, instance, web_key)
            unit.targets.add(instance, a_target(payload_type=PayloadType.JWE))
            for key_id in ("601", "602"):
                unit.public_keys.add(instance, TargetId("101"), a_public_key(key_id))

    await store.write(fill)
    return store


async def test_each_instance_has_its_own_keys(store):
    """
    No instance may sign for another one, or read what is another's.
    """
    found = await loaded(store, (INSTANCE, "101"), (ANOTHER_INSTANCE, "101"))
    target = a_target(payload_type=PayloadType.JWE)
    keys = (a_public_key("601"), a_public_key("602"))

    assert {
        (INSTANCE, "101"): ResolvedTarget(target, keys, signing("701")),
        (ANOTHER_INSTANCE, "101"): ResolvedTarget(target, keys, signing("702")),
    } == found


@pytest.mark.parametrize("payload_type", [*PLAIN, PayloadType.JWT], ids=str)
async def test_keys_that_the_payload_type_does_not_take_are_not_loaded(store, payload_type):
    """
    Most targets get JSON: a private key has no business in their resolved targets.
    """
    target = a_target(payload_type=payload_type)
    await store.write(lambda unit: unit.targets.replace(INSTANCE, target))
    web_key = None if payload_type in PLAIN else signing("701")

    assert {(INSTANCE, "101"): ResolvedTarget(target, (), web_key)} == await loaded(
        store, (INSTANCE, "101")
    )


async def test_who_does_not_exist_is_left_out(store):
    """
    Its deliveries are cancelled.
    """
    assert {} == await loaded(store, (INSTANCE, "102"), (InstanceId("instance-c"), "101"))


async def test_a_missing_key_is_none_and_no_failure(store):
    """
    What a missing key means is the payload type's to say: other targets have to be called.
    """
    nowhere = InstanceId("instance-c")
    target = a_target(payload_type=PayloadType.JWE)
    await store.write(lambda unit: unit.targets.add(nowhere, target))

    assert {(nowhere, "101"): ResolvedTarget(target)} == await loaded(store, (nowhere, "101"))


async def test_one_web_key_is_read_for_all_targets_of_an_instance(store):
    """
    To read one is to unseal it: a poll of a worker has hundreds of targets.
    """
    more = [a_target(str(number), payload_type=PayloadType.JWT) for number in range(200, 250)]

    class Counted:
        """A unit that counts how often the active web key is asked for."""

        def __init__(self, unit: Unit) -> None:
            self.unit, self.web_keys, self.reads = unit, self, 0

        def __getattr__(self, part: str) -> object:
            return getattr(self.unit, part)

        def signing(self, instance: InstanceId) -> SigningWebKey | None:
            self.reads += 1
            return self.unit.web_keys.signing(instance)

    def load(unit: Unit) -> tuple[int, int]:
        for target in more:
            unit.targets.add(INSTANCE, target)
        counted = Counted(unit)
        return len(
            load_resolved_targets(counted, [(INSTANCE, target.id) for target in more])
        ), counted.reads

    assert (50, 1) == await store.write(load)


async def test_a_resolved_target_shows_no_secret(store):
    """
    It is in the tracebacks of whatever breaks.
    """
    shown = repr(await loaded(store, (INSTANCE, "101")))

    assert "of 701" not in shown
    assert SIGNING_KEY not in shown
