"""Whatever comes, the answer is a verified call or one exception."""

from __future__ import annotations

import base64
import json
import pickle
import time
from collections import UserDict
from datetime import datetime, timedelta, timezone
from email.message import Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from outrider_receiver import InvalidSignature, Reason, VerifiedCall, verify
from outrider_receiver.testing import sign

SIGNING_KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
AT = 1_700_000_000
BODY = b'{"event_type":"user.human.added"}'
SIGNED = sign(BODY, signing_keys=SIGNING_KEY, at=AT)

NAMES = st.sampled_from(
    [
        "ZITADEL-Signature",
        "X-ZITADEL-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "Outrider-Attempt",
        "Outrider-Event",
        "Outrider-Replay-Of",
        "Outrider-Hops",
    ]
)
# What a forger has at hand: the grammar's own characters, digits that are none, line ends.
VALUES = st.text() | st.text(alphabet="tv1=,0aF \t\n\x00٣é+-.e_", max_size=60)
SIGNING_KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
INSTANTS = st.integers(0, 10**11 - 1)


def refused(headers, **arguments) -> Reason | None:
    """Why the call was refused, None when it was believed. Nothing else may come out."""
    try:
        verify(BODY, headers, signing_keys=SIGNING_KEY, **arguments)
    except InvalidSignature as refusal:
        return refusal.reason
    return None


def test_hops_are_told_and_zero_without_the_header():
    """
    A receiver passes them on without asking who called.
    """
    headers = {"ZITADEL-Signature": SIGNED}
    keys = {"signing_keys": SIGNING_KEY, "now": AT}

    assert 0 == verify(BODY, headers, **keys).hops
    assert 16 == verify(BODY, {**headers, "Outrider-Hops": "16"}, **keys).hops
    for wrong in ("", "0", "-1", "1.5", "one", "1111111111", "01"):
        assert refused({**headers, "Outrider-Hops": wrong}, now=AT) is Reason.MALFORMED


@given(VALUES)
@example("")
@example("t=1700000000,v1=" + "0" * 64)
@example("t=" + "9" * 5000)
def test_any_text_answers_with_one_exception(header):
    """
    A client of the URL cannot choose which exception we raise.
    """
    with pytest.raises(InvalidSignature):
        verify(BODY, {"ZITADEL-Signature": header}, signing_keys=SIGNING_KEY, now=AT)


@given(st.lists(st.tuples(NAMES | st.text(), VALUES | st.none())), st.binary())
def test_any_headers_answer_with_one_exception(headers, body):
    """
    In any number, of any name, as often as they like.
    """
    with pytest.raises(InvalidSignature):
        verify(body, headers, signing_keys=SIGNING_KEY, now=AT)


@given(st.dictionaries(NAMES, VALUES), st.data())
def test_nothing_added_to_a_good_call_makes_it_raise_anything_else(headers, data):
    """
    A proxy adds what it likes: the call is believed or refused, never a crash.
    """
    pairs = data.draw(st.permutations([*headers.items(), ("ZITADEL-Signature", SIGNED)]))

    assert refused(pairs, now=AT) in {None, *Reason}


@given(
    st.binary(), st.lists(SIGNING_KEYS, min_size=1, max_size=4, unique=True), INSTANTS, st.data()
)
def test_what_was_signed_is_believed_with_any_of_its_keys(body, signing_keys, at, data):
    """
    During a rotation the receiver knows the old key, the new one, or both.
    """
    header = sign(body, signing_keys=signing_keys, at=at)
    known = data.draw(st.sampled_from(signing_keys))
    call = verify(body, {"zitadel-signature": header}, signing_keys=known, now=at)

    assert VerifiedCall(at) == call
    assert datetime.fromtimestamp(at, tz=timezone.utc) == call.signed_at


@given(st.binary(min_size=1), st.data())
def test_a_body_with_one_bit_changed_is_refused(body, data):
    """
    The point of it all.
    """
    header = sign(body, signing_keys=SIGNING_KEY, at=AT)
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(InvalidSignature) as refusal:
        verify(bytes(changed), {"ZITADEL-Signature": header}, signing_keys=SIGNING_KEY, now=AT)
    assert Reason.NO_MATCH is refusal.value.reason


@given(
    st.floats(AT - 2000, AT + 2000) | st.floats(allow_nan=True, allow_infinity=True),
    st.integers(0, 3000),
)
@example(float("nan"), 300)
@example(float("-inf"), 10**6)
def test_the_window_has_two_sides(now, seconds):
    """
    Whatever the clock says, infinity and not-a-number included.
    """
    reason = refused({"ZITADEL-Signature": SIGNED}, now=now, tolerance=timedelta(seconds=seconds))

    assert (reason is None) is (abs(now - AT) <= seconds)
    assert reason is not Reason.TOO_NEW or now < AT


def test_the_systems_clock_is_the_default():
    """
    In production no caller passes the time.
    """
    now = int(time.time())  # noqa: TID251 - the default is what is tested
    fresh = {"ZITADEL-Signature": sign(BODY, signing_keys=SIGNING_KEY, at=now)}
    stale = {"ZITADEL-Signature": sign(BODY, signing_keys=SIGNING_KEY, at=now - 400)}

    assert now == verify(BODY, fresh, signing_keys=SIGNING_KEY).signed_at.timestamp()
    with pytest.raises(InvalidSignature):
        verify(BODY, stale, signing_keys=SIGNING_KEY)


@pytest.mark.parametrize("body", [b"{}", '{"name":"Zoë"}'.encode()])
def test_what_the_standard_webhooks_package_signs_is_believed(body):
    """
    Senders that are not outrider sign like this.
    """
    webhook = Webhook(SIGNING_KEY.encode())
    signed_at = datetime.fromtimestamp(AT, tz=timezone.utc)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": str(AT),
        "webhook-signature": webhook.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", signed_at, body.decode()),
    }
    call = verify(body, headers, signing_keys=SIGNING_KEY, now=AT)

    assert "msg_p5jXN8AQM9LWM0D4loKWxJek" == call.delivery_id
    assert signed_at == call.signed_at


def test_headers_come_in_the_shapes_that_frameworks_have():
    """
    A mapping, an object with `items`, pairs, an iterator of pairs.
    """
    message = Message()
    message["Zitadel-Signature"] = SIGNED
    shapes = [
        {"ZITADEL-Signature": SIGNED},
        UserDict({"zitadel-signature": SIGNED}),
        message,
        [("Host", "example.com"), ("x-zitadel-signature", SIGNED)],
        iter([("ZITADEL-SIGNATURE", SIGNED)]),
        {"ZITADEL-Signature": SIGNED, "X-ZITADEL-Signature": None},
    ]
    for headers in shapes:
        call = verify(BODY, headers, signing_keys=SIGNING_KEY, now=AT)

        assert AT == call.signed_at.timestamp()


def test_a_header_that_did_not_come_is_missing_and_no_mistake():
    """
    `{"ZITADEL-Signature": request.headers.get(...)}` is often written, and the caller decides.
    """
    with pytest.raises(InvalidSignature) as refusal:
        verify(BODY, {"ZITADEL-Signature": None}, signing_keys=SIGNING_KEY, now=AT)
    assert Reason.MISSING is refusal.value.reason


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (BODY.decode(), "read the bytes before"),
        (json.loads(BODY), "parse the JSON after"),
        ([], "parse the JSON after"),
        (bytearray(BODY), "as they arrived"),
        (None, "as they arrived"),
    ],
)
def test_a_body_that_is_not_bytes_is_the_programmers_mistake(body, advice):
    """
    The most frequent mistake of all: verifying what was decoded, parsed or written again.
    """
    with pytest.raises(TypeError, match=advice):
        verify(body, {"ZITADEL-Signature": SIGNED}, signing_keys=SIGNING_KEY, now=AT)


@pytest.mark.parametrize(
    ("signing_keys", "kind", "advice"),
    [
        ("", ValueError, "is the setting missing"),
        ([], ValueError, "nothing could be verified"),
        ([SIGNING_KEY, ""], ValueError, "is the setting missing"),
        (None, TypeError, "CreateTarget"),
        (SIGNING_KEY.encode(), TypeError, "CreateTarget"),
        ([SIGNING_KEY.encode()], TypeError, "CreateTarget"),
        ([None], TypeError, "CreateTarget"),
    ],
)
def test_without_a_signing_key_nothing_is_verified(signing_keys, kind, advice):
    """
    A forgotten secret must stop the receiver, not open it.
    """
    with pytest.raises(kind, match=advice):
        verify(BODY, {"ZITADEL-Signature": SIGNED}, signing_keys=signing_keys, now=AT)
    with pytest.raises(kind, match=advice):
        sign(BODY, signing_keys=signing_keys, at=AT)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"ZITADEL-Signature", SIGNED)],
        [("ZITADEL-Signature", SIGNED.encode())],
        {"ZITADEL-Signature": [SIGNED]},
    ],
)
def test_headers_that_are_not_text_are_the_programmers_mistake(headers):
    """
    ASGI has bytes there: the message says what to do about it.
    """
    with pytest.raises(TypeError, match="decode it"):
        verify(BODY, headers, signing_keys=SIGNING_KEY, now=AT)


@given(VALUES)
def test_a_refusal_repeats_nothing_of_what_was_sent(header):
    """
    It is logged and sent back: neither a forged line nor a secret may come out of it.
    """
    marked = f"{header}SENT-BY-THE-CALLER"
    with pytest.raises(InvalidSignature) as refusal:
        verify(BODY, {"ZITADEL-Signature": marked}, signing_keys=SIGNING_KEY, now=AT)

    assert "SENT-BY" not in str(refusal.value)
    assert SIGNING_KEY not in repr(refusal.value)


def test_a_refusal_crosses_a_process():
    """
    Task queues and test runners pickle what was raised.
    """
    refusal = pickle.loads(pickle.dumps(InvalidSignature(Reason.TOO_OLD, "too old")))

    assert (Reason.TOO_OLD, "too old") == (refusal.reason, str(refusal))


def test_a_reason_reads_as_its_value():
    """
    On every version of Python, in a log line as in a metric.
    """
    assert "too_old" == f"{Reason.TOO_OLD}" == str(Reason.TOO_OLD) == Reason.TOO_OLD


def test_a_library_that_wants_base64_gets_the_same_secret():
    """
    The README's sentence about `whsec_`, in code.
    """
    secret = "whsec_" + base64.b64encode(SIGNING_KEY.encode()).decode()
    signed_at = datetime.fromtimestamp(AT, tz=timezone.utc)

    assert Webhook(SIGNING_KEY.encode()).sign("1", signed_at, "{}") == Webhook(secret).sign(
        "1", signed_at, "{}"
    )
