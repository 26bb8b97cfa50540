"""What arrives for each payload type, and what becomes of it while keys come, go and change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet

from adapters.crypto.openssl import key_files
from adapters.crypto.reference import header_of
from contracts.store.steps import add_pending, add_targets
from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.public_keys import read_public_key
from outrider.adapters.http.client import EgressClient
from outrider.domain.access.web_key import ecdsa_config
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.targets.target import PayloadType, Target, TargetType
from outrider.testing.receiver import ReceivedCall, Receiver
from outrider.usecases.access.web_keys import ManageWebKeys, UseWebKeys
from outrider.usecases.targets.public_keys import ManagePublicKeys
from support.builders import (
    INSTANCE,
    SIGNING_KEY,
    a_stored_event,
    a_target,
    an_actor,
    planned,
)
from usecases.interception.harness import EXPECTED_BODIES, KINDS
from usecases.interception.harness import Harness as Interception
from worker.harness import Harness, working

ACTOR = an_actor()
ES256 = ecdsa_config("P-256")
HOUR = timedelta(hours=1)
ENCRYPTION = ["ECDH-ES+A256KW", "A256GCM"]


@dataclass
class Instance:
    """An instance whose targets are called, its keys, and the receiver that gets the calls."""

    harness: Harness
    receiver: Receiver
    web_keys: ManageWebKeys
    public_keys: ManagePublicKeys
    pending: list[str] = field(default_factory=list)

    async def new_web_key(self) -> str:
        """A web key; the first one is active."""
        return (await self.web_keys.create(ACTOR, ES256)).id

    async def upload(self, target: str, pem: bytes, *, within: timedelta | None = None) -> str:
        """A public key of a target, active from now on."""
        expires_at = None if within is None else self.harness.clock() + within
        public_key = await self.public_keys.add(ACTOR, target, pem, expires_at)
        await self.public_keys.activate(ACTOR, target, public_key.id)
        return public_key.id

    def target(self, number: str = "101", **fields) -> Target:
        """A target whose calls the receiver gets."""
        return a_target(number, endpoint=f"{self.receiver.url}/{number}", **fields)

    async def add_pending(self, count: int, target: str) -> list[str]:
        """Make a number of deliveries to a target, each due immediately; return their ids."""
        first = len(self.pending) + 1
        new = [planned(str(number), target) for number in range(first, first + count)]
        await add_pending(self.harness.store, *new, event=f"event-{first}")
        self.pending += [delivery.id for delivery in new]
        return self.pending[first - 1 :]

    async def jwks(self) -> KeySet:
        """What the instance publishes."""
        published = await UseWebKeys(self.harness.store).published_jwks(INSTANCE)
        return KeySet.import_key_set({"keys": published})

    def body_of(self, delivery: str) -> str:
        """What arrived last for a delivery."""
        got = {call.verified.delivery_id: call.body.decode() for call in self.receiver.calls}
        return got[delivery]


@pytest.fixture
async def instance(harness: Harness) -> AsyncIterator[Instance]:
    """With a receiver on loopback, and no key at all."""
    runtime = harness.runtime
    harness.client = EgressClient(EgressPolicy(EgressProfile.DEV, ()), user_agent="outrider/test")
    async with Receiver(signing_keys=[SIGNING_KEY], now=harness.clock) as receiver:
        yield Instance(
            harness,
            receiver,
            ManageWebKeys(harness.store, runtime, KeyPairs()),
            ManagePublicKeys(harness.store, runtime, read_public_key),
        )
    await harness.client.aclose()


def unwrapped(body: str, payload_type: PayloadType, jwks: KeySet) -> bytes:
    """The JSON inside, as a receiver with the first private key reads it."""
    if payload_type is PayloadType.JWE:
        body = opened(body)
    if payload_type in {PayloadType.JWT, PayloadType.JWE}:
        return jws.deserialize_compact(body, jwks, ["ES256"]).payload
    return body.encode()


def opened(body: str, copy: int = 0) -> str:
    """What is encrypted to a copy of the key of the type P-256."""
    private = ECKey.import_key(key_files("P-256", copy).private_pem)
    return jwe.decrypt_compact(body, private, ENCRYPTION).plaintext.decode()


async def call_for_event(instance: Instance, target: Target) -> tuple[ReceivedCall, bytes]:
    """Publish an event that the target gets; return the call, and the JSON that it has to carry."""
    await instance.add_pending(1, target.id)
    async with working(worker := instance.harness.worker()):
        await instance.harness.reaches(worker, "DELIVERED")
    [call] = instance.receiver.calls
    return call, a_stored_event().body


def call_for_interception(kind: str) -> CallFor:
    """Run a request, a response or a function through the target; a worker calls who is not awaited."""

    async def call(instance: Instance, target: Target) -> tuple[ReceivedCall, bytes]:
        harness = instance.harness
        intercepting = Interception(harness.store, harness.client, harness.clock)
        await intercepting.execute(kind, target.id)
        done = await intercepting.run(kind)
        await intercepting.enqueuer.aclose()
        if not target.is_awaited:
            async with working(worker := harness.worker()):
                await harness.reaches(worker, "DELIVERED")
        [received] = instance.receiver.calls
        assert [target.id] == [call.target_id for call in done.calls]
        return received, EXPECTED_BODIES[kind]

    return call


CallFor = Callable[[Instance, Target], Awaitable[tuple[ReceivedCall, bytes]]]
# One entry for each kind of condition whose targets are called.
CALLS: dict[str, CallFor] = {
    "event": call_for_event,
    **{kind: call_for_interception(kind) for kind in KINDS},
}
JSON, JWT, JWE = PayloadType.JSON, PayloadType.JWT, PayloadType.JWE
every_kind = pytest.mark.parametrize("kind", CALLS)


@every_kind
@pytest.mark.parametrize("type_", list(TargetType), ids=lambda value: value.name)
@pytest.mark.parametrize("payload_type", [JSON, JWT, JWE], ids=lambda value: value.name)
async def test_every_payload_type_reaches_every_type_of_target(instance, kind, type_, payload_type):
    """
    As JSON to HTTP, signed with the target's key as it is on the wire, and readable inside.
    """
    await instance.new_web_key()
    target = instance.target(type=type_, payload_type=payload_type)
    await add_targets(instance.harness.store, target)
    await instance.upload(target.id, key_files("P-256").public_pem)
    call, body = await CALLS[kind](instance, target)

    assert call.verified
    assert "application/json" == call.header("content-type")
    if payload_type is not JSON:
        assert {JWT: 2, JWE: 4}[payload_type] == call.body.count(b".")
    assert body == unwrapped(call.body.decode(), payload_type, await instance.jwks())


async def build_failed(instance: Instance) -> str:
    """What the log says of the one attempt that there was; nothing has left."""
    harness = instance.harness
    await instance.add_pending(1, "101")
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
    [attempt] = (await harness.delivery()).attempts
    assert ("BUILD_FAILED", "build") == (attempt.outcome.name, attempt.stage)
    assert [] == instance.receiver.calls
    return attempt.error


async def retried(instance: Instance) -> str:
    """Let the retry happen, which succeeds; return its body."""
    harness = instance.harness
    due_at = (await harness.delivery()).next_attempt_at
    harness.clock.advance(due_at - harness.clock())
    async with working(worker := harness.worker("worker-b")):
        await harness.reaches(worker, "DELIVERED")
    assert ["BUILD_FAILED", "ACCEPTED"] == await harness.attempts()
    return instance.body_of("1")


@pytest.mark.parametrize("payload_type", [JWT, JWE], ids=lambda value: value.name)
async def test_a_web_key_that_is_added_later_repairs_the_retry(instance, payload_type):
    """
    Nothing is sent unsigned meanwhile, and nothing has to be published again.
    """
    target = instance.target(payload_type=payload_type)
    await add_targets(instance.harness.store, target)
    await instance.upload("101", key_files("P-256").public_pem)

    reason = await build_failed(instance)
    assert "the instance has no active web key to sign with" == reason

    await instance.new_web_key()
    body = await retried(instance)
    assert a_stored_event().body == unwrapped(body, payload_type, await instance.jwks())


@pytest.mark.parametrize("before", ["no key", "inactive", "expired", "P-224"])
async def test_a_public_key_that_is_added_later_repairs_the_retry(instance, before):
    """
    Nothing is sent in plain text meanwhile.
    """
    await instance.new_web_key()
    await add_targets(instance.harness.store, instance.target(payload_type=JWE))
    expected = "the target has no active public key to encrypt to"
    if before == "P-224":
        kid = await instance.upload("101", key_files("P-224").public_pem)
        expected = f"public key {kid} cannot be encrypted to: its curve has no name in JOSE"
    elif before != "no key":
        pem = key_files("P-256", 1).public_pem
        kid = await instance.upload("101", pem, within=HOUR)
        if before == "inactive":
            await instance.public_keys.deactivate(ACTOR, "101", kid)
        else:
            instance.harness.clock.advance(HOUR)
            expected = f"the target's active public key {kid} has expired"

    assert expected == await build_failed(instance)

    await instance.upload("101", key_files("P-256").public_pem)
    body = await retried(instance)
    assert a_stored_event().body == unwrapped(body, JWE, await instance.jwks())


async def test_a_key_that_expires_between_two_calls_is_used_no_more(instance):
    """
    A worker keeps keys between polls: time alone must be enough to end one.
    """
    harness = instance.harness
    await instance.new_web_key()
    await add_targets(harness.store, instance.target(payload_type=JWE))
    await instance.upload("101", key_files("P-256").public_pem, within=HOUR)
    async with working(worker := harness.worker()):
        await instance.add_pending(1, "101")
        await harness.reaches(worker, "DELIVERED")
        harness.clock.advance(HOUR)
        await instance.add_pending(1, "101")
        await harness.reaches(worker, "DELIVERED", "RETRYING")

    assert ["BUILD_FAILED"] == await harness.attempts("2")
    assert 1 == len(instance.receiver.calls)


async def delivered_around(
    instance: Instance, change: Callable[[], Awaitable[object]]
) -> tuple[list[str], list[str]]:
    """Deliver a lot, and make a change in the middle. Return the ids before it and after it."""
    before = await instance.add_pending(150, "101")
    async with working(worker := instance.harness.worker(concurrency=8)):
        await instance.receiver.wait_for(20)
        await change()
        after = await instance.add_pending(150, "101")
        await instance.harness.reaches(worker, *["DELIVERED"] * 300)
    assert 300 == len(instance.receiver.calls)
    assert [] == instance.harness.log.events("warning", "error", "exception")
    return before, after


@pytest.mark.parametrize("payload_type", [JWT, JWE], ids=lambda value: value.name)
async def test_the_web_key_changes_under_load_and_every_call_verifies(instance, payload_type):
    """
    With what the instance publishes; what is published after the change has the new key.
    """
    old, new = await instance.new_web_key(), await instance.new_web_key()
    await add_targets(instance.harness.store, instance.target(payload_type=payload_type))
    await instance.upload("101", key_files("P-256").public_pem)
    before, after = await delivered_around(instance, lambda: instance.web_keys.activate(ACTOR, new))
    jwks, kids = await instance.jwks(), {}
    for delivery_id in (*before, *after):
        body = instance.body_of(delivery_id)
        inner = opened(body) if payload_type is JWE else body
        assert jws.deserialize_compact(inner, jwks, ["ES256"]).payload == a_stored_event().body
        kids[delivery_id] = header_of(inner)["kid"]

    assert {old} <= {kids[delivery_id] for delivery_id in before} <= {old, new}
    assert {new} == {kids[delivery_id] for delivery_id in after}


async def test_the_public_key_changes_under_load_and_every_call_can_be_read(instance):
    """
    With the key that `kid` names, which is one of the two that the receiver has.
    """
    await instance.new_web_key()
    await add_targets(instance.harness.store, instance.target(payload_type=JWE))
    kids = [await instance.upload("101", key_files("P-256").public_pem)]

    async def switch() -> None:
        kids.append(await instance.upload("101", key_files("P-256", 1).public_pem))

    before, after = await delivered_around(instance, switch)
    used = {
        delivery_id: header_of(instance.body_of(delivery_id))["kid"]
        for delivery_id in (*before, *after)
    }
    for delivery_id, kid in used.items():
        assert opened(instance.body_of(delivery_id), kids.index(kid))

    assert {kids[0]} <= {used[delivery_id] for delivery_id in before} <= set(kids)
    assert {kids[1]} == {used[delivery_id] for delivery_id in after}
