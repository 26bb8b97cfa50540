"""What can happen to a call, with servers that really do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from adapters.http.certificates import Authority
from adapters.http.hostile import (
    Hostile,
    answer,
    chunked,
    hangs,
    sends,
    sends_then_closes,
    sends_then_resets,
)
from adapters.http.secure import SecureServer
from outrider.adapters.crypto.jose import KeyPairs
from outrider.domain.access.web_key import ed25519_config
from outrider.domain.targets.target import PayloadType
from outrider.usecases.access.web_keys import ManageWebKeys
from support.builders import an_actor
from usecases.interception.harness import LIMITS, Harness, open_harness

CHANGED = b'{"id":"2"}'
CLAIM = b'{"append_claims":[{"key":"a","value":1}]}'
FORWARDED = b'{"forwardedStatusCode":403,"forwardedErrorMessage":"forbidden"}'
BOUND = 1024


@dataclass(frozen=True)
class Fault:
    """Where to call for it; the fields that the target has to have."""

    harness: Harness
    endpoint: str
    target: dict[str, Any]


Opener = Callable[[str], AbstractAsyncContextManager[Fault]]


def served(*script) -> Opener:
    """A server on loopback, whatever is intercepted."""

    @asynccontextmanager
    async def opened(kind: str) -> AsyncIterator[Fault]:
        async with Hostile(*script) as server, open_harness() as harness:
            yield Fault(harness, server.url(), {})

    return opened


def responding(body: bytes, for_function: bytes) -> Opener:
    """A server that answers 200; for a function with another body."""

    @asynccontextmanager
    async def opened(kind: str) -> AsyncIterator[Fault]:
        sent = for_function if kind == "function" else body
        async with served(sends(answer(200, sent)))(kind) as fault:
            yield fault

    return opened


@asynccontextmanager
async def too_slow(kind: str) -> AsyncIterator[Fault]:
    async with Hostile(hangs) as server, open_harness() as harness:
        yield Fault(harness, server.url(), {"seconds": 0.05})


@asynccontextmanager
async def too_large(kind: str) -> AsyncIterator[Fault]:
    limits = replace(LIMITS, max_body_bytes=BOUND)
    async with (
        Hostile(sends(chunked(b" " * BOUND, b" "))) as server,
        open_harness(limits=limits) as harness,
    ):
        yield Fault(harness, server.url(), {})


@asynccontextmanager
async def no_such_name(kind: str) -> AsyncIterator[Fault]:
    async with open_harness() as harness:
        yield Fault(harness, "http://nowhere.example/hook", {})


@asynccontextmanager
async def untrusted(kind: str) -> AsyncIterator[Fault]:
    stranger = Authority("somebody else")
    async with (
        SecureServer(stranger.server_context("127.0.0.1"), answer()) as server,
        open_harness() as harness,
    ):
        yield Fault(harness, server.url(), {})


@asynccontextmanager
async def blocked(kind: str) -> AsyncIterator[Fault]:
    async with open_harness(names={"hooks_example": "10.0.0.1"}) as harness:
        yield Fault(harness, "http://hooks.example/hook", {})


@asynccontextmanager
async def without_encryption_key(kind: str) -> AsyncIterator[Fault]:
    async with Hostile(sends(answer(200, CHANGED))) as server, open_harness() as harness:
        await new_web_key(harness)
        yield Fault(harness, server.url(), {"payload_type": PayloadType.JWE})
        assert [] == server.requests


async def new_web_key(harness: Harness) -> str:
    """A key that signs; the first one is active."""
    made = await ManageWebKeys(harness.store, harness.runtime, KeyPairs()).create(
        an_actor(), ed25519_config()
    )
    await harness.routing.refresh()
    return made.id


FAULTS: dict[str, Opener] = {
    "2xx": responding(CHANGED, CLAIM),
    "2xx with a forwarded error": served(sends(answer(200, FORWARDED))),
    "2xx with a refusal that is misspelled": served(
        sends(answer(200, b'{"forwarded_status_code":403}'))
    ),
    "2xx with a refusal of another system": responding(b'{"allowed":false}', b'{"allowed":false}'),
    "3xx": served(sends(answer(302, CHANGED, ("Location", "/elsewhere")))),
    "4xx": served(sends(answer(400, CHANGED))),
    "5xx": served(sends(answer(500, CHANGED))),
    "time-out": too_slow,
    "reset": served(sends_then_resets()),
    "cut body": served(sends_then_closes(answer(200, CHANGED)[:-3])),
    "not JSON": served(sends(answer(200, b"not JSON"))),
    "unknown field": responding(b'{"id":"2","unknown":1}', b'{"unknown":1}'),
    "too large": too_large,
    "DNS failure": no_such_name,
    "TLS failure": untrusted,
    "blocked address": blocked,
    "no encryption key": without_encryption_key,
}
