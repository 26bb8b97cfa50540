"""What is sent to a target: headers, signatures, and what cannot be sent."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from outrider.domain.calls.classify import CLASSIFIED_BYTES
from outrider.domain.calls.request import MAX_APPLIED_BYTES, OutboundRequest
from outrider.domain.calls.request_builder import (
    RequestBuilder,
    RequestBuildError,
    plain,
    visible_id,
)
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.signature import standard_webhooks_headers, zitadel_signature
from outrider.domain.targets.policy import TargetPolicy
from outrider.domain.targets.target import PayloadType, SigningKey, TargetType
from outrider_receiver import verify
from support.builders import SIGNING_KEY, a_target
from support.runtime import NOW

BODY = b'{"event_type":"user.human.added"}'
AT = int(NOW.timestamp())
REQUEST_BUILDER = RequestBuilder({PayloadType.UNSPECIFIED: plain, PayloadType.JSON: plain})


def build(
    target=None, *, now=NOW, attempt_number: int | None = 2, **fields: str
) -> OutboundRequest:
    return REQUEST_BUILDER.build(
        ResolvedTarget(target or a_target()),
        BODY,
        message_id="31",
        now=now,
        attempt_number=attempt_number,
        **fields,
    )


def test_a_delivery_carries_the_headers_of_the_contract():
    """
    In full: "HTTP sent to a target". The user agent and the trace are the caller's.
    """
    signature = zitadel_signature(BODY, [SIGNING_KEY], AT)
    standard = standard_webhooks_headers(BODY, "31", [SIGNING_KEY], AT)

    assert (
        ("Content-Type", "application/json"),
        ("Zitadel-Signature", signature),
        ("X-Zitadel-Signature", signature),
        ("webhook-id", "31"),
        ("webhook-timestamp", str(AT)),
        ("webhook-signature", standard["webhook-signature"]),
        ("Outrider-Delivery", "31"),
        ("Outrider-Attempt", "2"),
        ("Outrider-Event", "order-7"),
        ("Outrider-Replay-Of", "30"),
        ("Outrider-Hops", "1"),
    ) == build(event_id="order-7", replay_of="30").headers


def test_a_delivery_that_is_no_replay_or_no_event_says_neither():
    """
    Asynchronous targets of requests, responses and functions get deliveries of no event.
    """
    names = [name for name, _ in build().headers]

    assert ["Outrider-Delivery", "Outrider-Attempt", "Outrider-Hops"] == names[-3:]
    assert "Outrider-Event" not in dict(build(attempt_number=None, event_id="order-7").headers)


@pytest.mark.parametrize(
    ("event_id", "shown"),
    [
        ("order-7", "order-7"),
        ('urn:acme/orders?a=b&c="d"#7', 'urn:acme/orders?a=b&c="d"#7'),
        ("ü 1", "%C3%BC%201"),
        ("\U0001f426\n", "%F0%9F%90%A6%0A"),
        ("\x7f\xa0", "%7F%C2%A0"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        # Decoded, these must not be the ids of others.
        ("%C3%BC", "%25C3%25BC"),
        ("%%20", "%%2520"),
        ("%é", "%%C3%A9"),
    ],
)
def test_an_event_id_of_any_characters_is_a_header(event_id, shown):
    """
    Percent-decoding gives back what the publisher gave, and no two ids look alike.
    """
    headers = dict(build(event_id=event_id).headers)

    assert shown == headers["Outrider-Event"]
    assert event_id == unquote(shown)
    assert shown.isascii()
    assert shown.isprintable()
    assert " " not in shown


@given(st.text())
def test_decoding_gives_back_every_event_id(event_id):
    """
    Whatever a publisher thinks of.
    """
    assert event_id == unquote(visible_id(event_id))
    assert re.fullmatch(r"[!-~]*", visible_id(event_id))


def test_an_interception_has_no_delivery_and_no_attempt():
    """
    The two headers are for events only.
    """
    names = [name for name, _ in build(attempt_number=None).headers]

    assert "webhook-id" in names
    assert not [name for name in names if name.startswith("Outrider-")]


def test_url_body_and_time_out_are_the_targets():
    """
    The URL as it was stored, the time-out for the whole exchange.
    """
    target = a_target(endpoint="https://a.example/?q=1", timeout=timedelta(milliseconds=1500))
    call = build(target)

    assert ("https://a.example/?q=1", BODY, 1.5) == (call.url, call.body, call.timeout)


@pytest.mark.parametrize(
    ("target_type", "attempt_number", "is_test", "expected"),
    [
        (TargetType.REST_CALL, None, False, MAX_APPLIED_BYTES + 1),
        (TargetType.REST_CALL, 1, False, CLASSIFIED_BYTES),
        (TargetType.REST_CALL, None, True, CLASSIFIED_BYTES),
        (TargetType.REST_WEBHOOK, None, False, CLASSIFIED_BYTES),
        (TargetType.REST_ASYNC, 1, False, CLASSIFIED_BYTES),
    ],
)
def test_only_an_answer_that_is_applied_is_kept_in_full(
    target_type, attempt_number, is_test, expected
):
    """
    All others are classified and their first bytes kept; 20 MiB of each would add up.
    """
    resolved_target = ResolvedTarget(a_target(type=target_type))
    call = REQUEST_BUILDER.build(
        resolved_target,
        BODY,
        message_id="31",
        now=NOW,
        attempt_number=attempt_number,
        is_test=is_test,
    )

    assert expected == call.body_limit


@pytest.mark.parametrize("payload_type", [PayloadType.UNSPECIFIED, PayloadType.JSON])
def test_unspecified_is_json(payload_type):
    """
    It behaves so in ZITADEL, and is stored as it was sent.
    """
    assert BODY == build(a_target(payload_type=payload_type)).body


def test_receivers_believe_the_call():
    """
    With our own library and with another one.
    """
    call = build(now=NOW)
    ours = verify(call.body, call.headers, signing_keys=SIGNING_KEY, now=NOW.timestamp())

    assert ("31", 2, AT) == (ours.delivery_id, ours.attempt, ours.signed_at.timestamp())
    webhook = Webhook(SIGNING_KEY.encode())
    signed = webhook.sign("31", NOW, BODY.decode())
    assert signed == dict(call.headers)["webhook-signature"]


@pytest.mark.parametrize("signing_key", ["the new one", "the old one"])
def test_during_a_rotation_either_key_is_enough(signing_key):
    """
    A receiver may learn the new key at any time of the grace period.
    """
    keys = [SigningKey("the new one"), SigningKey("the old one", NOW + timedelta(seconds=1))]
    call = build(a_target(signing_keys=keys))

    assert verify(call.body, call.headers, signing_keys=signing_key, now=AT)
    assert 2 == dict(call.headers)["Zitadel-Signature"].count("v1=")
    assert 2 == dict(call.headers)["webhook-signature"].count("v1,")


def test_during_a_rotation_the_old_key_comes_first():
    """
    A receiver that reads one value has the old key, until it is given the new one.
    """
    keys = ["the new one", "the old one", "an older one"]
    grace = [None, NOW + timedelta(seconds=2), NOW + timedelta(seconds=1)]
    target = a_target(signing_keys=list(map(SigningKey, keys, grace)))
    for passed, first in enumerate(["an older one", "the old one", "the new one"]):
        headers = dict(build(target, now=NOW + timedelta(seconds=passed)).headers)
        at = AT + passed
        alone = standard_webhooks_headers(BODY, "31", [first], at)["webhook-signature"]

        for name in ("Zitadel-Signature", "X-Zitadel-Signature"):
            assert f"{headers[name]},".startswith(f"{zitadel_signature(BODY, [first], at)},")
        assert alone == headers["webhook-signature"].split()[0]


def test_headers_of_a_policy_keep_their_spelling():
    """
    What compares case on the other side was named to the operator as it wants it.
    """
    policy = TargetPolicy(headers=(("X-API-key", "a"), ("authorization", "b")))
    resolved_target = ResolvedTarget(a_target(), policy=policy)
    call = REQUEST_BUILDER.build(resolved_target, BODY, message_id="31", now=NOW)

    assert policy.headers == call.headers[-2:]


def test_a_key_whose_grace_is_over_does_not_sign():
    """
    The time that counts is the attempt's, not the event's.
    """
    keys = [SigningKey("the new one"), SigningKey("the old one", NOW)]
    call = build(a_target(signing_keys=keys))

    assert zitadel_signature(BODY, ["the new one"], AT) == dict(call.headers)["Zitadel-Signature"]


def test_each_attempt_is_signed_again_under_one_id():
    """
    A receiver refuses what is old, and does the work of one id once.
    """
    first, second = build(), build(now=NOW + timedelta(hours=1), attempt_number=3)

    assert dict(first.headers)["webhook-id"] == dict(second.headers)["webhook-id"]
    assert dict(first.headers)["Zitadel-Signature"] != dict(second.headers)["Zitadel-Signature"]
    assert str(AT + 3600) == dict(second.headers)["webhook-timestamp"]
    assert first.body == second.body


@pytest.mark.parametrize(
    ("payload_type", "name"), [(PayloadType.JWT, "JWT"), (PayloadType.JWE, "JWE"), (77, "77")]
)
def test_what_no_encoder_makes_cannot_be_sent(payload_type, name):
    """
    It is an attempt without a request; the log says why.
    """
    with pytest.raises(RequestBuildError) as failure:
        build(a_target(payload_type=payload_type))

    assert f"payload type {name} cannot be sent by this release" == str(failure.value)


def test_what_an_encoder_makes_is_what_is_signed():
    """
    The signature covers the bytes on the wire, wrapped as they are.
    """
    request_builder = RequestBuilder(
        {
            PayloadType.JWT: lambda body, resolved_target, now: (
                resolved_target.target.id.encode() + body
            )
        }
    )
    target = a_target("101", payload_type=PayloadType.JWT)
    call = request_builder.build(ResolvedTarget(target), BODY, message_id="31", now=NOW)

    assert b"101" + BODY == call.body
    assert verify(call.body, call.headers, signing_keys=SIGNING_KEY, now=AT)


def test_a_call_shows_neither_body_nor_headers():
    """
    Signatures and payloads are the target's business alone.
    """
    assert "OutboundRequest(url='https://receiver.example/hook', timeout=10.0)" == repr(build())
