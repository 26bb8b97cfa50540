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
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES
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
class Harness:
    """Tokens of one issuer, a clock that stands still, and the reports of failures."""

    issuer: OidcIssuer
    tokens: ExternalTokens
    clock: FixedClock
    reports: list[tuple[str, str]]

    def token(self, name: str = "P-256", kid: str | None = "", **changes: Any) -> str:
        """Signed with this key; with None, without a `kid`."""
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
async def open_harness() -> AsyncIterator[Callable[..., Any]]:
    """Makes harnesses; ends them after the test."""
    async with asyncio.timeout(30), OidcIssuer("P-256") as issuer:
        opened = []

        def open_one(policy: EgressProfile = EgressProfile.DEV, **entry: Any) -> Harness:
            limits = ClientLimits(max_body_bytes=MAX_DOCUMENT_BYTES)
            caller = EgressClient(EgressPolicy(policy), user_agent="t", limits=limits)
            clock, reports = FixedClock(), []
            tokens = ExternalTokens(
                parse_issuers(json.dumps([issuer.entry(**entry)])),
                "1",
                fixed_runtime(clock),
                ExternalJwts(),
                caller,
                lambda *report: reports.append(report),
            )
            opened.append((tokens, caller))
            return Harness(issuer, tokens, clock, reports)

        yield open_one
        for tokens, caller in opened:
            await tokens.aclose()
            await caller.aclose()


@pytest.fixture
def harness(open_harness) -> Harness:
    return open_harness()


async def test_a_hundred_at_once_make_one_fetch(harness: Harness):
    """
    After a restart all clients come at once, and the issuer must not notice.
    """
    found = await asyncio.gather(*(harness.accepts(harness.token(sub=f"{n}")) for n in range(100)))

    assert [True] * 100 == found
    assert ONCE == harness.issuer.asked


async def test_keys_are_kept_for_ten_minutes(harness: Harness):
    """
    A call that waits for another server is the exception.
    """
    await harness.accepts(harness.token())
    harness.clock.advance(FRESH_FOR - timedelta(seconds=1))
    kept = await harness.accepts(harness.token())

    assert kept
    assert ONCE == harness.issuer.asked


async def test_old_keys_serve_while_new_ones_are_fetched(harness: Harness):
    """
    Nobody waits for a slow issuer whose keys are known.
    """
    await harness.accepts(harness.token())
    goes_on = asyncio.Event()
    harness.issuer.answers[DISCOVERY] = Answer(hang_until=goes_on, status=500)
    harness.clock.advance(FRESH_FOR)
    found = await asyncio.gather(*(harness.accepts(harness.token()) for _ in range(100)))
    await harness.issuer.wait_for(3)

    assert [True] * 100 == found
    assert [*ONCE, DISCOVERY] == harness.issuer.asked
    goes_on.set()
    await harness.settled()
    assert [
        (harness.issuer.url, "the discovery document: the answer has the status 500")
    ] == harness.reports


async def test_a_removed_key_ends_with_the_next_fetch(harness: Harness):
    """
    An issuer whose key was stolen takes it out; an empty set is an answer, not a failure.
    """
    await harness.accepts(harness.token())
    harness.issuer.keys = []
    harness.clock.advance(FRESH_FOR)
    the_last = await harness.accepts(harness.token())
    await harness.settled()

    assert the_last
    assert not await harness.accepts(harness.token())
    assert [] == harness.reports


async def test_a_new_key_is_fetched_when_it_is_used(harness: Harness):
    """
    Issuers change keys when they like, and tokens of both go around for a while.
    """
    await harness.accepts(harness.token())
    harness.issuer.keys.append(published("new"))
    at_once = await harness.accepts(harness.token("new"))
    harness.clock.advance(COOL_DOWN)
    found = await asyncio.gather(*(harness.accepts(harness.token("new")) for _ in range(100)))

    assert not at_once
    assert [True] * 100 == found
    assert ONCE * 2 == harness.issuer.asked
    assert await harness.accepts(harness.token())


async def test_a_new_key_without_a_name_is_fetched_too(harness: Harness):
    """
    Issuers with one key need no names, and change it all the same.
    """
    await harness.accepts(harness.token(kid=None))
    harness.issuer.keys = [published("new", kid=None)]
    harness.clock.advance(COOL_DOWN)

    assert await harness.accepts(harness.token("new", kid=None))


async def test_a_slow_fetch_is_not_made_twice(harness: Harness):
    """
    However slow: the second would be as slow as the first.
    """
    await harness.accepts(harness.token())
    goes_on = asyncio.Event()
    harness.issuer.answers[DISCOVERY] = Answer(hang_until=goes_on, status=500)
    for _ in range(3):
        harness.clock.advance(FRESH_FOR)
        assert await harness.accepts(harness.token())
    await harness.issuer.wait_for(3)
    goes_on.set()
    await harness.settled()

    assert [*ONCE, DISCOVERY] == harness.issuer.asked
    assert 1 == len(harness.reports)


async def test_unknown_keys_cost_one_fetch_in_half_a_minute(harness: Harness):
    """
    Anybody can write a token with the name of a key that nobody has.
    """
    await harness.accepts(harness.token())
    harness.clock.advance(COOL_DOWN)
    for _ in range(50):
        assert not await harness.accepts(harness.token("unpublished"))

    assert ONCE * 2 == harness.issuer.asked


async def test_known_keys_are_used_while_the_issuer_is_down(harness: Harness):
    """
    Deliveries and operators go on for a day; then nobody knows any more which keys are valid.
    """
    await harness.accepts(harness.token())
    harness.goes_down()
    harness.clock.advance(STALE_FOR - timedelta(seconds=1))
    while_down = await harness.accepts(harness.token())
    await harness.settled()
    harness.clock.advance(COOL_DOWN)

    assert while_down
    with pytest.raises(Unavailable):
        await harness.accepts(harness.token())
    harness.issuer.answers.clear()
    harness.clock.advance(COOL_DOWN)
    assert await harness.accepts(harness.token())


async def test_an_issuer_that_is_down_is_asked_once_in_half_a_minute(harness: Harness):
    """
    A call that fails at once is better than one that waits, for both servers.
    """
    harness.goes_down()
    asked = (harness.accepts(harness.token()) for _ in range(100))
    failed = await asyncio.gather(*asked, return_exceptions=True)
    with pytest.raises(Unavailable):
        await harness.accepts(harness.token())

    assert {Unavailable} == {type(error) for error in failed}
    assert [DISCOVERY] == harness.issuer.asked
    assert 1 == len(harness.reports)
    harness.issuer.answers.clear()
    harness.clock.advance(COOL_DOWN)
    assert await harness.accepts(harness.token())


async def test_a_caller_that_goes_away_stops_no_other(harness: Harness):
    """
    The first of them may be the impatient one.
    """
    goes_on = asyncio.Event()
    document = json.dumps(
        {"issuer": harness.issuer.url, "jwks_uri": harness.issuer.url + KEYS}
    ).encode()
    harness.issuer.answers[DISCOVERY] = Answer(body=document, hang_until=goes_on)
    first = asyncio.create_task(harness.accepts(harness.token()))
    second = asyncio.create_task(harness.accepts(harness.token()))
    await harness.issuer.wait_for(1)
    first.cancel()
    goes_on.set()

    assert await second
    assert ONCE == harness.issuer.asked
    assert first.cancelled()


async def test_a_clock_that_is_set_back_changes_nothing(harness: Harness):
    """
    By a little, keys stay; by a day, they are fetched again.
    """
    await harness.accepts(harness.token())
    harness.clock.advance(timedelta(minutes=-5))
    back_a_little = await harness.accepts(harness.token())
    harness.clock.advance(-STALE_FOR)

    assert back_a_little
    assert ONCE == harness.issuer.asked
    assert await harness.accepts(harness.token())
    assert ONCE * 2 == harness.issuer.asked


async def test_an_operator_may_say_where_the_keys_are(open_harness):
    """
    Some issuers describe themselves nowhere.
    """
    at_once = open_harness()
    harness = open_harness(jwks_url=at_once.issuer.url + KEYS)

    assert await harness.accepts(harness.token())
    assert [KEYS] == harness.issuer.asked


async def test_an_issuer_of_another_instance_is_none_here(open_harness):
    """
    Tenants do not choose each other's issuers.
    """
    harness = open_harness(instance="7")

    assert None is await harness.tokens.find(harness.token(), "1")
    found = await harness.tokens.find(harness.token(), "7")
    assert ("7", f"{harness.issuer.url}#ada") == (found.instance_id, found.account_id)


async def test_an_algorithm_that_the_operator_left_out_is_refused(open_harness):
    """
    Whoever knows that an issuer signs with RSA alone may say so.
    """
    harness = open_harness(algorithms=["RS256"])

    assert not await harness.accepts(harness.token())


async def test_an_issuer_is_called_no_further_than_a_target(open_harness):
    """
    The operator says in one place where this server may go.
    """
    harness = open_harness(EgressProfile.STRICT)

    with pytest.raises(Unavailable):
        await harness.accepts(harness.token())
    assert [] == harness.issuer.asked
    assert "loopback" in harness.reports[0][1]


def keys_are(members: object) -> dict[str, Answer]:
    return {KEYS: Answer(body=json.dumps({"keys": members}).encode())}


def discovered(**changes: object) -> Callable[[str], dict[str, Answer]]:
    def answers(url: str) -> dict[str, Answer]:
        metadata = {"issuer": url, "jwks_uri": url + KEYS, **changes}
        return {DISCOVERY: Answer(body=json.dumps(metadata).encode())}

    return answers


WRONG = {
    "the discovery document is that of another": discovered(issuer="https://a.example"),
    "the discovery document is that": discovered(jwks_uri=7),
    "the discovery document lacks": lambda _: {DISCOVERY: Answer(body=b"<html>")},
    "the discovery document lacks issuer": lambda _: {DISCOVERY: Answer(body=b"[" * 10_000)},
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
    "the keys: the answer cannot be read": lambda _: keys_are([{}] * MAX_JSON_VALUES),
    "the discovery document: the answer cannot be read": lambda _: {
        DISCOVERY: Answer(body=json.dumps([0] * MAX_JSON_VALUES).encode())
    },
    "the keys: connection": lambda _: {KEYS: Answer(body=b"{}  ", cut_at=2)},
    "the keys: answer is not HTTP: it begins with 'SSH-2.0-x": lambda _: {
        KEYS: Answer(raw=b"SSH-2.0-x\r\n")
    },
    "the answer is no JWK set": lambda _: {KEYS: Answer(body=b"\xff")},
    "the answer is no JWK": lambda _: keys_are({}),
    "the answer is no": lambda _: {KEYS: Answer(body=b'"keys"')},
    "the JWK set has more than 100 keys": lambda _: keys_are([{}] * (MAX_KEYS + 1)),
}


@pytest.mark.parametrize("pattern", WRONG)
async def test_what_cannot_be_used_is_reported(harness: Harness, pattern: str):
    """
    Callers are told to come again, and the operator why they have to.
    """
    harness.issuer.answers |= WRONG[pattern](harness.issuer.url)
    with pytest.raises(Unavailable, match="issuer cannot be fetched"):
        await harness.accepts(harness.token())

    ((issuer, reason),) = harness.reports
    assert harness.issuer.url == issuer
    assert re.match(pattern, reason), reason
