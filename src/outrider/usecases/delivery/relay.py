"""Relay: verify events of another server's executions and store them like published events."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from outrider.domain.access.external_issuer import ALGORITHMS
from outrider.domain.events.content import content_of_body
from outrider.domain.events.event import Event
from outrider.domain.events.relay_event import read_relayed, relayed_id
from outrider.domain.events.relay_source import RelaySource
from outrider.domain.ids import InstanceId
from outrider.errors import FailedPrecondition, Unauthenticated, Unavailable
from outrider.runtime import Runtime
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.ports.external_tokens import (
    InvalidSignature,
    IssuerKeys,
    JweDecrypter,
    KeySet,
    SignatureVerifier,
    UnknownKey,
)

_ALGORITHMS = frozenset(ALGORITHMS)
# Read in a thread when longer: other callers do not wait for it.
_QUICK_BYTES = 64 * 1024
# This number of characters is hashed in a millisecond.
_LONG_CHARS = 128 * 1024
_PARTS_OF_JWE, _PARTS_OF_JWS = 5, 3

Report = Callable[[str, str], None]
"""Called with the name of a source, and why a call to it was refused."""


@dataclass(frozen=True, slots=True)
class SourceKeys:
    """A source with the keys to its calls, and the instance that its events belong to.

    `signature` is None for a source whose calls have none, `keys` for one whose calls are no JWTs,
    `decrypter` for one that encrypts nothing.
    """

    source: RelaySource
    instance: InstanceId
    signature: SignatureVerifier | None = field(repr=False)
    keys: IssuerKeys | None = field(default=None, repr=False)
    decrypter: JweDecrypter | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RelayedCall:
    """A call that was verified: whose it is, and the JSON that was signed."""

    sender: SourceKeys = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relay:
    """Takes calls of other servers. Their signature is who they are."""

    sources: Mapping[str, SourceKeys]
    runtime: Runtime
    publish: PublishEvents
    report: Report = field(repr=False)

    def check_headers(self, name: str, signatures: Sequence[str]) -> None:
        """Return when a call may be genuine, as far as its headers tell: then its body may be read.

        `signatures` are the values of both signature headers. Raise `Unauthenticated` for an
        unknown name, and for a call that its source cannot have signed.
        """
        sender = self.sources.get(name)
        if sender is None:
            raise self._unsigned(name, "there is no such source")
        if sender.signature is not None:
            try:
                sender.signature.check_headers(signatures, self.runtime.now().timestamp())
            except InvalidSignature as problem:
                raise self._unsigned(name, str(problem)) from None

    async def verified(self, name: str, signatures: Sequence[str], body: bytes) -> RelayedCall:
        """Return the call, its JSON out of whatever was around it.

        `signatures` are the values of both signature headers. Raise `Unauthenticated` for what no
        known key has signed, and for an unknown name: both have the same text. Raise
        `Unavailable` when the keys of the source's issuer cannot be fetched.
        """
        sender = self.sources.get(name)
        if sender is None:
            raise self._unsigned(name, "there is no such source")
        try:
            if sender.signature is not None:
                arguments = signatures, body, self.runtime.now().timestamp()
                if len(body) > _LONG_CHARS:
                    await asyncio.to_thread(sender.signature.check, *arguments)
                else:
                    sender.signature.check(*arguments)
            return RelayedCall(sender, await _inner(sender, body))
        except InvalidSignature as problem:
            raise self._unsigned(name, str(problem)) from None

    async def accept(self, call: RelayedCall, hops: int = 0) -> PublishResult:
        """Store the event of a call, with its deliveries; it is on disk on return.

        The body goes to targets as it came. An event that is known already is a duplicate and
        makes no second delivery. `hops` is how many outriders it came through, as its headers say.
        Raise `InvalidRequest` for what is no event, `AlreadyExists` for one that has the key of
        another and is not the same, `FailedPrecondition` for an event that was published in this
        very instance or has come through too many (an event loop).
        """
        event, origin, content = await self._read(call)
        instance = call.sender.instance
        if origin == instance:
            raise FailedPrecondition(
                "the event comes from the instance that it would go to (a relay loop)",
                hint="relay no event to the instance that published it",
            )
        if call.sender.source.instance and not await self._exists(instance):
            raise FailedPrecondition(
                "the instance of this source does not exist",
                hint="name an instance of `outrider instance list` in relay_sources",
            )
        named = replace(event, id=relayed_id(event, origin, call.body), hops=hops)
        return await self.publish.relayed(instance, named, call.body, content)

    async def _read(self, call: RelayedCall) -> tuple[Event, str, bytes]:
        """The event, the instance that it comes from, and its content."""
        received_ns = int(self.runtime.now().timestamp()) * 1_000_000_000
        read = partial(_read, call.body, received_ns, may_be_token=call.sender.signature is None)
        return read() if len(call.body) <= _QUICK_BYTES else await asyncio.to_thread(read)

    def _unsigned(self, name: str, reason: str) -> Unauthenticated:
        self.report(name, reason)
        return Unauthenticated(
            "this source has not signed the call",
            hint="sign it with a key that relay_sources names; the server's log says what is wrong",
        )

    async def _exists(self, instance: InstanceId) -> bool:
        # An operator may have written any id, and an instance may be gone by now.
        return await self.publish.store.read(
            lambda unit: any(known.id == instance for known in unit.instances.list())
        )


def _read(body: bytes, received_ns: int, *, may_be_token: bool) -> tuple[Event, str, bytes]:
    event, origin = read_relayed(body, received_ns, may_be_token=may_be_token)
    return event, origin, content_of_body(event, body)


async def _inner(sender: SourceKeys, body: bytes) -> bytes:
    """The JSON of a call whose own signature was checked. Raise `InvalidSignature`."""
    if sender.keys is None:
        return body
    compact = body.strip()
    if sender.decrypter is not None and compact.count(b".") == _PARTS_OF_JWE - 1:
        try:
            compact = await asyncio.to_thread(sender.decrypter.decrypted, compact)
        except ValueError as problem:
            raise InvalidSignature(str(problem)) from None
    if compact.count(b".") != _PARTS_OF_JWS - 1 or not compact.isascii():
        raise InvalidSignature("the body is no JWT, or is encrypted with another key")
    return await _payload(sender.keys, compact.decode())


async def _verify(keys: KeySet, compact: str) -> None:
    """Raise `ValueError` for a JWT that no key has signed; a long one is hashed in a thread."""
    if len(compact) > _LONG_CHARS:
        await asyncio.to_thread(keys.verified, compact, _ALGORITHMS)
    else:
        keys.verified(compact, _ALGORITHMS)


async def _payload(keys: IssuerKeys, compact: str) -> bytes:
    known = await keys.current()
    if known is None:
        raise Unavailable(
            "the keys of the source's issuer cannot be fetched",
            hint="call again; the server's log says why",
        )
    try:
        try:
            await _verify(known, compact)
        except UnknownKey:
            newer = await keys.newer(known)
            if newer is None:
                raise
            await _verify(newer, compact)
        encoded = compact.split(".")[1]
        return b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
    except ValueError as problem:
        raise InvalidSignature(f"no known web key has signed the JWT: {problem}") from None
