"""The keys of an issuer: fetched once for many, kept, renewed, and used when it is down."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from api.access.external.issuer import DISCOVERY, KEYS, OidcIssuer, published, signed
from outrider.adapters.crypto.external_jwt import ExternalJwts
from outrider.adapters.http.client import EgressClient
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.access.external_issuer import parse_issuers
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.errors import Unavailable
from outrider.testing.receiver import Answer
from outrider.usecases.access.external_keys import COOL_DOWN, FRESH_FOR, STALE_FOR
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.ports.external_tokens import MAX_DOCUMENT_BYTES, MAX_KEYS
from support.runtime import FixedClock, fixed_runtime

DOWN = Answer(reset=True)
ONCE = [DISCOVERY, KEYS]


@dataclass(frozen=True)
class Rig:
    """Tokens of one issuer, a clock that stands still, and what was said about failures."""

    issuer: OidcIssuer
    tokens: ExternalTokens
    clock: FixedClock
    reports: list[tuple[str, str]]

    def token(self, name: str = "P-256", kid: str | None = "", **changes: Any) -> str:
        """Signed with this key; with None nothing says so."""
        claims = self.issuer.claims(self.clock().timestamp(), **changes)
        return signed(claims, name, {"alg": "ES256", "kid": name if kid == "" else kid})

    async def accepts(self, token: str) -> bool:
        return await self.tokens.find(token, "1") is not None

    def goes_down(self) -> None:
        self.issuer.answers |= {DISCOVERY: DOWN, KEYS: DOWN}

    async def settled(self) -> None:
        """Wait for a fetch that is under way in the background."""
        for cache in self.tokens._caches.values():
            if cache._fetching is not None:
                await asyncio.wait([cache._fetching])


@pytest.fixture
async def open_rig() -> AsyncIterator[Callable[..., Any]]:
    """Makes rigs; ends them after the test."""
    async with asyncio.timeout(30), OidcIssuer("P-256") as issuer:
        opened = []

        def open_one(policy: EgressProfile = EgressProfile.DEV, **entry: Any) -> Rig:
            limits = ClientLimits(max_body_bytes=MAX_DOCUMENT_BYTES)
            caller = EgressClient(EgressPolicy(policy), user_agent="t", limits=limits)
            clock, reports = FixedClock(), []
            tokens = ExternalTokens(
                parse_issuers(json.dumps([issuer.entry(**entry)])),
                "1",
                fixed_runtime(clock),
                ExternalJwts(),
                caller,
                lambda *said: reports.append(said),
            )
            opened.append((tokens, caller))
            return Rig(issuer, tokens, clock, reports)

        yield open_one
        for tokens, caller in opened:
            await tokens.aclose()
            await caller.aclose()


@pytest.fixture
def rig(open_rig) -> Rig:
    return open_rig()


async def test_a_hundred_at_once_make_one_fetch(rig: Rig):
    """
    After a restart all clients come at once, and the issuer must not notice.
    """
    found = await asyncio.gather(*(rig.accepts(rig.token(sub=f"{n}")) for n in range(100)))

    assert [True] * 100 == found
    assert ONCE == rig.issuer.asked


async def test_keys_are_kept_for_ten_minutes(rig: Rig):
    """
    A call that waits for another server is the exception.
    """
    await rig.accepts(rig.token())
    rig.clock.advance(FRESH_FOR - timedelta(seconds=1))
    kept = await rig.accepts(rig.token())

    assert kept
    assert ONCE == rig.issuer.asked


async def test_old_keys_serve_while_new_ones_are_fetched(rig: Rig):
    """
    Nobody waits for a slow issuer whose keys are known.
    """
    await rig.accepts(rig.token())
    goes_on = asyncio.Event()
    rig.issuer.answers[DISCOVERY] = Answer(hang_until=goes_on, status=500)
    rig.clock.advance(FRESH_FOR)
    found = await asyncio.gather(*(rig.accepts(rig.token()) for _ in range(100)))
    await rig.issuer.wait_for(3)

    assert [True] * 100 == found
    assert [*ONCE, DISCOVERY] == rig.issuer.asked
    goes_on.set()
    await rig.settled()
    assert [
        (rig.issuer.url, "the discovery document: the answer has the status 500")
    ] == rig.reports


async def test_a_removed_key_ends_with_the_next_fetch(rig: Rig):
    """
    An issuer whose key was stolen takes it out; an empty set is an answer, not a failure.
    """
    await rig.accepts(rig.token())
    rig.issuer.keys = []
    rig.clock.advance(FRESH_FOR)
    the_last = await rig.accepts(rig.token())
    await rig.settled()

    assert the_last
    assert not await rig.accepts(rig.token())
    assert [] == rig.reports


async def test_a_new_key_is_fetched_when_it_is_used(rig: Rig):
    """
    Issuers change keys when they like, and tokens of both go around for a while.
    """
    await rig.accepts(rig.token())
    rig.issuer.keys.append(published("new"))
    at_once = await rig.accepts(rig.token("new"))
    rig.clock.advance(COOL_DOWN)
    found = await asyncio.gather(*(rig.accepts(rig.token("new")) for _ in range(100)))

    assert not at_once
    assert [True] * 100 == found
    assert ONCE * 2 == rig.issuer.asked
    assert await rig.accepts(rig.token())


async def test_a_new_key_without_a_name_is_fetched_too(rig: Rig):
    """
    Issuers with one key need no names, and change it all the same.
    """
    await rig.accepts(rig.token(kid=None))
    rig.issuer.keys = [published("new", kid=None)]
    rig.clock.advance(COOL_DOWN)

    assert await rig.accepts(rig.token("new", kid=None))


async def test_a_slow_fetch_is_not_made_twice(rig: Rig):
    """
    However slow: the second would be as slow as the first.
    """
    await rig.accepts(rig.token())
    goes_on = asyncio.Event()
    rig.issuer.answers[DISCOVERY] = Answer(hang_until=goes_on, status=500)
    for _ in range(3):
        rig.clock.advance(FRESH_FOR)
        assert await rig.accepts(rig.token())
    await rig.issuer.wait_for(3)
    goes_on.set()
    await rig.settled()

    assert [*ONCE, DISCOVERY] == rig.issuer.asked
    assert 1 == len(rig.reports)


async def test_unknown_keys_cost_one_fetch_in_half_a_minute(rig: Rig):
    """
    Anybody can write a token with the name of a key that nobody has.
    """
    await rig.accepts(rig.token())
    rig.clock.advance(COOL_DOWN)
    for _ in range(50):
        assert not await rig.accepts(rig.token("unpublished"))

    assert ONCE * 2 == rig.issuer.asked


async def test_known_keys_are_used_while_the_issuer_is_down(rig: Rig):
    """
    Deliveries and operators go on for a day; then nobody knows any more which keys are valid.
    """
    await rig.accepts(rig.token())
    rig.goes_down()
    rig.clock.advance(STALE_FOR - timedelta(seconds=1))
    while_down = await rig.accepts(rig.token())
    await rig.settled()
    rig.clock.advance(COOL_DOWN)

    assert while_down
    with pytest.raises(Unavailable):
        await rig.accepts(rig.token())
    rig.issuer.answers.clear()
    rig.clock.advance(COOL_DOWN)
    assert await rig.accepts(rig.token())


async def test_an_issuer_that_is_down_is_asked_once_in_half_a_minute(rig: Rig):
    """
    A call that fails at once is better than one that waits, for both servers.
    """
    rig.goes_down()
    asked = (rig.accepts(rig.token()) for _ in range(100))
    failed = await asyncio.gather(*asked, return_exceptions=True)
    with pytest.raises(Unavailable):
        await rig.accepts(rig.token())

    assert {Unavailable} == {type(error) for error in failed}
    assert [DISCOVERY] == rig.issuer.asked
    assert 1 == len(rig.reports)
    rig.issuer.answers.clear()
    rig.clock.advance(COOL_DOWN)
    assert await rig.accepts(rig.token())


async def test_a_caller_that_goes_away_stops_nobody_else(rig: Rig):
    """
    The first of them may be the impatient one.
    """
    goes_on = asyncio.Event()
    document = json.dumps({"issuer": rig.issuer.url, "jwks_uri": rig.issuer.url + KEYS}).encode()
    rig.issuer.answers[DISCOVERY] = Answer(body=document, hang_until=goes_on)
    first = asyncio.create_task(rig.accepts(rig.token()))
    second = asyncio.create_task(rig.accepts(rig.token()))
    await rig.issuer.wait_for(1)
    first.cancel()
    goes_on.set()

    assert await second
    assert ONCE == rig.issuer.asked
    assert first.cancelled()


async def test_a_clock_that_is_set_back_changes_nothing(rig: Rig):
    """
    By a little, keys stay; by a day, they are fetched again.
    """
    await rig.accepts(rig.token())
    rig.clock.advance(timedelta(minutes=-5))
    back_a_little = await rig.accepts(rig.token())
    rig.clock.advance(-STALE_FOR)

    assert back_a_little
    assert ONCE == rig.issuer.asked
    assert await rig.accepts(rig.token())
    assert ONCE * 2 == rig.issuer.asked


async def test_an_operator_may_say_where_the_keys_are(open_rig):
    """
    Some issuers describe themselves nowhere.
    """
    at_once = open_rig()
    rig = open_rig(jwks_url=at_once.issuer.url + KEYS)

    assert await rig.accepts(rig.token())
    assert [KEYS] == rig.issuer.asked


async def test_an_issuer_of_another_instance_is_none_here(open_rig):
    """
    Tenants do not choose each other's issuers.
    """
    rig = open_rig(instance="7")

    assert None is await rig.tokens.find(rig.token(), "1")
    found = await rig.tokens.find(rig.token(), "7")
    assert ("7", f"{rig.issuer.url}#ada") == (found.instance_id, found.account_id)


async def test_an_algorithm_that_the_operator_left_out_is_refused(open_rig):
    """
    Whoever knows that an issuer signs with RSA alone may say so.
    """
    rig = open_rig(algorithms=["RS256"])

    assert not await rig.accepts(rig.token())


async def test_an_issuer_is_called_no_further_than_a_target(open_rig):
    """
    The operator says in one place where this server may go.
    """
    rig = open_rig(EgressProfile.STRICT)

    with pytest.raises(Unavailable):
        await rig.accepts(rig.token())
    assert [] == rig.issuer.asked
    assert "loopback" in rig.reports[0][1]


def keys_are(members: object) -> dict[str, Answer]:
    return {KEYS: Answer(body=json.dumps({"keys": members}).encode())}


def discovered(**changes: object) -> Callable[[str], dict[str, Answer]]:
    def answers(url: str) -> dict[str, Answer]:
        said = {"issuer": url, "jwks_uri": url + KEYS, **changes}
        return {DISCOVERY: Answer(body=json.dumps(said).encode())}

    return answers


WRONG = {
    "the discovery document is that of another": discovered(issuer="https://a.example"),
    "the discovery document is that": discovered(jwks_uri=7),
    "the discovery document lacks": lambda _: {DISCOVERY: Answer(body=b"<html>")},
    "the discovery document lacks issuer": lambda _: {DISCOVERY: Answer(body=b"[" * 100_000)},
    "the discovery document lacks issuer or jwks_uri": lambda _: {DISCOVERY: Answer(body=b"[]")},
    "the URL must begin with https://": discovered(jwks_uri="http://a.example/keys"),
    "the URL's scheme is neither": discovered(jwks_uri="file:///etc/passwd"),
    "the keys: host .* is link-local|the keys: .*metadata": discovered(
        jwks_uri="https://169.254.169.254/keys"
    ),
    "the keys: the answer has the status 302": lambda url: {
        KEYS: Answer(status=302, headers=(("Location", url),))
    },
    "the keys: the answer has the status 404": lambda _: {KEYS: Answer(status=404)},
    "the keys: answer larger than 1 MiB": lambda _: {KEYS: Answer(body=bytes(2**20 + 1))},
    "the keys: connection": lambda _: {KEYS: Answer(body=b"{}  ", cut_at=2)},
    "the keys: answer is not valid HTTP": lambda _: {KEYS: Answer(raw=b"SSH-2.0-x\r\n")},
    "the answer is no JWK set": lambda _: {KEYS: Answer(body=b"\xff")},
    "the answer is no JWK": lambda _: keys_are({}),
    "the answer is no": lambda _: {KEYS: Answer(body=b'"keys"')},
    "the JWK set has more than 100 keys": lambda _: keys_are([{}] * (MAX_KEYS + 1)),
}


@pytest.mark.parametrize("says", WRONG)
async def test_what_cannot_be_used_is_reported(rig: Rig, says: str):
    """
    Callers are told to come again, and the operator why they have to.
    """
    rig.issuer.answers |= WRONG[says](rig.issuer.url)
    with pytest.raises(Unavailable, match="issuer cannot be fetched"):
        await rig.accepts(rig.token())

    ((issuer, reason),) = rig.reports
    assert rig.issuer.url == issuer
    assert re.match(says, reason), reason
