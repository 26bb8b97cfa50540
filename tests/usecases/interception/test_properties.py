"""Random chains against a naive reading of the rules; random responses against the engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fakes.memory.store import MemoryStore
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.formats import go_json
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import TargetType
from outrider.errors import OutriderError
from usecases.interception.harness import FUNCTION, KINDS, Harness, call_target, unreachable_policy

FAILED = "EXEC-dra6yamk98"
SENT = {"a": 1}


class ScriptedClient:
    """Answers by the endpoint."""

    def __init__(self, responses: dict[str, Response | Outcome]) -> None:
        self.responses = responses
        self.called: list[str] = []
        self.bodies: list[bytes] = []

    async def send(self, request: OutboundRequest) -> Response:
        await asyncio.sleep(0)
        self.called.append(request.url)
        self.bodies.append(request.body)
        found = self.responses[request.url]
        if isinstance(found, Outcome):
            raise RequestError(found, Stage.CONNECT, "scripted")
        return found


@dataclass(frozen=True)
class Link:
    """A target of a chain: what it is, and how its call ends."""

    type: TargetType
    interrupts: bool
    choice: str
    status: int
    body: bytes


BODIES = [
    b"",
    b"{}",
    b'{"a":2}',
    b'{"append_claims":[{"key":"k","value":1}]}',
    b'{"append_log_claims":["l"]}',
    b'{"append_log_claims":["m"],"append_claims":null}',
    b'{"append_claims":5}',
    b"null",
    b"[1]",
    b"no JSON",
    b'{"forwardedStatusCode":403,"forwardedErrorMessage":"x"}',
    b'{"forwardedErrorMessage":"y"}',
]
UNREACHABLE, BLOCKED = 0, -1
LINKS = st.builds(
    Link,
    st.sampled_from(TargetType),
    st.booleans(),
    st.sampled_from(["UNSPECIFIED", "CONTINUE", "INTERRUPT"]),
    st.sampled_from([200, 200, 200, 200, 204, 302, 400, 429, 500, UNREACHABLE, BLOCKED]),
    st.sampled_from(BODIES),
)


def expected_of(kind: str, chain: list[Link]) -> tuple[Any, list[int]]:
    """The message in the end, or the id of an error; and who is called."""
    message: dict = {} if kind == "function" else dict(SENT)
    called = []
    for number, link in enumerate(chain):
        if link.type is TargetType.REST_ASYNC:
            continue
        called.append(number)
        error, message = step(kind, link, message)
        stops = link.interrupts
        if link.status in {UNREACHABLE, BLOCKED} and link.choice != "UNSPECIFIED":
            stops = link.choice == "INTERRUPT"
        if error and stops:
            return error, called
    return message, called


def step(kind: str, link: Link, message: dict) -> tuple[str, dict]:
    """One call: the id of its error, if it has one, and the message after it."""
    error = rejection(link)
    if error:
        return error, message
    if link.type is TargetType.REST_WEBHOOK or not link.body:
        return "", message
    if link.body == b"no JSON":
        return ("ACTION-4m9s2" if kind == "function" else FAILED), message
    value = json.loads(link.body)
    if kind == "function":
        return merged(message, value)
    if value is None:
        return FAILED, {}
    return ("", value) if isinstance(value, dict) else (FAILED, message)


def rejection(link: Link) -> str:
    """The id of the error that a call ends with, whatever its body is for."""
    if not 200 <= link.status < 300:
        return FAILED
    if b"forwardedStatusCode" in link.body:
        return "EXEC-reUaUZCzCp"
    return "EXEC-bmhNhpcqpF" if b"forwarded" in link.body else ""


def merged(result: dict, later: Any) -> tuple[str, dict]:
    """The lists of a later response to a function over those before."""
    if later is None:
        return "", result
    if not isinstance(later, dict) or later.get("append_claims") == 5:
        return FAILED, result
    known = {name: later[name] or [] for name in later if name.startswith("append_")}
    return "", {**result, **known}


async def ran(kind: str, chain: list[Link]) -> tuple[Any, list[int], ScriptedClient, int]:
    """What the engine makes of it, and how many deliveries there are then."""
    urls = [f"http://a/{number}" for number in range(len(chain))]
    responses: dict[str, Response | Outcome] = {
        url: {UNREACHABLE: Outcome.UNREACHABLE, BLOCKED: Outcome.BLOCKED}.get(link.status)
        or Response(link.status, (), link.body)
        for url, link in zip(urls, chain, strict=True)
    }
    client = ScriptedClient(responses)
    harness = Harness(MemoryStore(), client)
    targets = [
        call_target(url, str(101 + number), type=link.type, interrupt_on_error=link.interrupts)
        for number, (url, link) in enumerate(zip(urls, chain, strict=True))
    ]
    await harness.bind(kind, *targets)
    for target, link in zip(targets, chain, strict=True):
        await harness.policy(target.id, **unreachable_policy(link.choice))
    try:
        outcome: Any = (await harness.run(kind, dict(SENT))).message
    except OutriderError as error:
        outcome = error.id
    await harness.enqueuer.aclose()
    assert len(harness.bulkheads) == 0
    assert [] == harness.log.events("exception")
    stored = await harness.store.read(lambda unit: unit.deliveries.next_due())
    return outcome, [urls.index(url) for url in client.called], client, stored is not None


@given(st.sampled_from(KINDS), st.lists(LINKS, max_size=6))
def test_a_chain_does_what_a_naive_reading_of_the_rules_says(kind, chain):
    """
    Types, responses and choices in every mixture: the tables have only the usual ones.
    """
    expected, called = expected_of(kind, chain)
    outcome, actually_called, _, has_deliveries = asyncio.run(ran(kind, chain))

    assert (expected, called) == (outcome, actually_called)
    # What is enqueued before an interruption is pending; what is behind it is never created.
    last = called[-1] if isinstance(expected, str) else len(chain)
    enqueued = [link for link in chain[:last] if link.type is TargetType.REST_ASYNC]
    assert bool(enqueued) == has_deliveries


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
ANYTHING = (
    VALUES.map(json.dumps).map(str.encode)
    | st.binary()
    | st.sampled_from(
        [
            b'{"a":' + b"9" * 5000 + b"}",
            b'{"a":1' + b"0" * 308 + b"}",
            b'{"a":1e999}',
            b'{"a":"\\ud800"}',
            b'{"\\udc00":"\\ud83d\\ude00"}',
            b"[" * 100_000,
            b'{"a":' * 60 + b"1" + b"}" * 60,
            b'{"forwardedErrorMessage":"\\ud800"}',
            b'{"forwardedStatusCode":' + b"9" * 400 + b"}",
            b'{"set_user_metadata":[{"key":"\\ud800","value":"\xc3\xa4"}]}',
        ]
    )
)


@given(st.sampled_from(KINDS), st.lists(ANYTHING, min_size=1, max_size=3), st.booleans())
@example("function", [b'{"append_claims":[{"key":"a","value":1e999}]}'], True)
def test_no_response_breaks_the_engine(kind, bodies, interrupts):
    """
    The owner of the endpoint writes the body: it is a result or an error that callers can read.
    """
    chain = [Link(TargetType.REST_CALL, interrupts, "UNSPECIFIED", 200, body) for body in bodies]
    outcome, _, client, _ = asyncio.run(ran(kind, chain))

    assert isinstance(outcome, str | dict)
    # The caller's wire has to carry it, whichever that is.
    assert go_json.dumps(outcome).encode()
    for body in client.bodies:
        sent = json.loads(body)
        assert f"function/{FUNCTION}" == sent["function"] if kind == "function" else kind in sent
