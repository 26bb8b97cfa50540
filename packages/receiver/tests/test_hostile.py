"""Calls of strangers: one exception, immediately, and no request to another server."""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_receiver import InvalidCall, Reason, Receiver
from outrider_receiver.jose import Tokens
from outrider_receiver.jwks import Jwks, StaticKeys
from outrider_receiver.testing import sign

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors/receiver_hostile.json").read_text(encoding="utf-8")
)
CASES = VECTORS["cases"]
AT, SIGNING_KEY = VECTORS["now"], VECTORS["signing_key"]
KEYS = StaticKeys(VECTORS["jwks"])
MAX_SECONDS = 0.010

CONNECTED: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo", "urllib.Request"}:
        CONNECTED.append(f"{event} {arguments}")


# It cannot be taken back, and only writes down what the whole process does.
sys.addaudithook(_watch)


def receiver(accept: str, keys=KEYS) -> Receiver:
    tokens = None
    if accept != "json":
        private_keys = VECTORS["private_keys"] if accept == "jwe" else None
        tokens = Tokens(keys, private_keys=private_keys)
    return Receiver(signing_keys=SIGNING_KEY, tokens=tokens, clock=lambda: AT)


RECEIVERS = {accept: receiver(accept) for accept in ("json", "jwt", "jwe")}


def text_of(value) -> str:
    if isinstance(value, str):
        return value
    return value.get("before", "") + value["repeat"] * value["times"] + value.get("after", "")


def body_of(case) -> bytes:
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    return text_of(case.get("body", VECTORS["body"])).encode()


def headers_of(case, body: bytes) -> list[tuple[str, str]]:
    if "headers" in case:
        return [(name, text_of(value)) for name, value in case["headers"]]
    return [("ZITADEL-Signature", sign(body, signing_keys=SIGNING_KEY, at=AT))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_a_stranger_sends_is_refused_immediately_for_one_reason(case):
    """
    Any client that reaches the URL chooses every byte: no crash, no wait, no call to somewhere else.
    """
    body = body_of(case)
    headers = headers_of(case, body)
    took = []
    before = len(CONNECTED)
    for _ in range(5):  # the machine is busy with other things too: the best of five
        started = time.perf_counter()
        with pytest.raises(InvalidCall) as refusal:
            RECEIVERS[case.get("accept", "json")].open(body, headers)
        took.append(time.perf_counter() - started)

    assert case["result"] == refusal.value.reason
    assert InvalidCall is type(refusal.value)
    assert min(took) < MAX_SECONDS
    assert [] == CONNECTED[before:]


def test_the_corpus_is_large_and_has_every_reason():
    """
    What no vector holds, the next change may lose.
    """
    assert len(CASES) > 300
    assert {reason.value for reason in Reason} == {case["result"] for case in CASES}
    assert len(CASES) == len({case["name"] for case in CASES})


def test_the_audit_sees_connections():
    """
    A watch that sees nothing would prove nothing.
    """
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        before = len(CONNECTED)
        socket.create_connection(server.getsockname(), timeout=5).close()

    assert any("socket.connect" in event for event in CONNECTED[before:])


def test_no_token_makes_the_receiver_ask_another_url_than_the_configured_one():
    """
    `jku`, `x5u`, unknown ids: the configuration says where keys are, a token never.
    """
    asked: set[str] = set()

    def fetch(url: str) -> bytes:
        asked.add(url)
        return json.dumps(VECTORS["jwks"]).encode()

    keys = Jwks("https://auth.example.com/oauth/v2/keys", fetch=fetch, cool_down=0)
    configured = {accept: receiver(accept, keys) for accept in ("jwt", "jwe")}
    for case in CASES:
        if "accept" in case:
            body = body_of(case)
            with pytest.raises(InvalidCall):
                configured[case["accept"]].open(body, headers_of(case, body))

    assert {"https://auth.example.com/oauth/v2/keys"} == asked


@pytest.mark.parametrize("accept", ["json", "jwt", "jwe"])
@given(data=st.data())
def test_any_signed_body_answers_with_one_exception(accept, data):
    """
    Even who knows the signing key cannot choose what we raise.
    """
    pieces = st.sampled_from(
        [b".", b"eyJhbGciOiJub25lIn0", b"{", b'"function"', b":", b"}", b"[", b"\xff"]
    )
    body = data.draw(st.binary() | st.lists(pieces, max_size=12).map(b"".join))
    with pytest.raises(InvalidCall):
        RECEIVERS[accept].open(body, headers_of({}, body))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from(
        [
            "event_type",
            "aggregateID",
            "sequence",
            "created_at",
            "event_payload",
            "function",
            "user",
            "user_grants",
            "user_metadata",
            "actor",
            "fullMethod",
            "request",
            "response",
            "headers",
        ]
    ),
)
def test_any_json_under_any_name_is_typed_or_refused(value, name):
    """
    A field that is promised to be a text is a text, or no handler gets it.
    """
    for base in (
        {"event_type": "a"},
        {"function": "function/preuserinfo"},
        {"fullMethod": "/a.B/C"},
    ):
        body = json.dumps({**base, name: value}).encode()
        try:
            opened = RECEIVERS["json"].open(body, headers_of({}, body))
        except InvalidCall as refusal:
            reason = refusal.reason
        else:
            reason = None
            assert body == opened.body
        assert reason in {None, Reason.MALFORMED}


@given(st.data())
def test_a_good_token_with_anything_changed_is_refused(data):
    """
    Every character of a token is covered by something.
    """
    from outrider_receiver.testing_jose import Issuer

    issuer = _issuer.setdefault("one", Issuer())
    token = _issuer.setdefault("token", issuer.jwe(b'{"event_type":"a"}'))
    tokens = _issuer.setdefault("tokens", issuer.tokens())
    assert tokens.open(token) == b'{"event_type":"a"}'

    position = data.draw(st.integers(0, len(token) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda octet: octet != token[position]))
    changed = token[:position] + bytes([octet]) + token[position + 1 :]
    try:
        opened = tokens.open(changed)
    except InvalidCall:
        return
    # The last character of a part carries bits that no decoder reads.
    assert opened == b'{"event_type":"a"}'


_issuer: dict = {}
