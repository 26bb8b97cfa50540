"""Make calls that a receiver believes, to test yours without a sender.

    sender = Sender()
    receiver = Receiver(signing_keys=sender.signing_keys)
    answer = receiver.handle(*sender.event("user.human.added"))

With `pytest_plugins = ["outrider_receiver.pytest_plugin"]` in a conftest, `outrider_sender` is one.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from outrider_receiver._samples import SAMPLES
from outrider_receiver._signing_keys import hmac_sha256, secrets_of
from outrider_receiver.payloads import (
    Event,
    Payload,
    Request,
    Response,
    parse_payload,
    payload_bytes,
)

if TYPE_CHECKING:
    from outrider_receiver.testing_jose import Issuer

__all__ = ["SAMPLES", "SIGNING_KEY", "Sender", "SignedCall", "sample", "sign", "standard_headers"]

SIGNING_KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
"""A signing key as CreateTarget makes them, which protects nothing."""

_VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def sample(name: str) -> Payload:
    """A golden sample with every member that outrider or ZITADEL sends, typed.

    `name` is one of `SAMPLES`: event, request, response, preuserinfo, preaccesstoken,
    presamlresponse. `dataclasses.replace` changes what your test is about.
    """
    return parse_payload(SAMPLES[name])


def sign(body: bytes, *, signing_keys: str | Sequence[str], at: int) -> str:
    """The value of a `ZITADEL-Signature` header over this body, with one `v1` for each key.

    Args:
        body: the bytes that the receiver will get.
        signing_keys: as for `verify`.
        at: Unix seconds; the receiver refuses what is too far from its own clock.
    """
    signatures = [hmac_sha256(secret, b"%d." % at, body) for secret in secrets_of(signing_keys)]
    return ",".join([f"t={at}", *(f"v1={signature.hex()}" for signature in signatures)])


def standard_headers(
    body: bytes, *, signing_keys: str | Sequence[str], at: int, delivery_id: str
) -> dict[str, str]:
    """The headers of Standard Webhooks over this body; arguments as for `sign`."""
    prefix = b"%b.%d." % (delivery_id.encode(), at)
    macs = [hmac_sha256(secret, prefix, body) for secret in secrets_of(signing_keys)]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{b64encode(mac).decode()}" for mac in macs),
    }


class SignedCall(NamedTuple):
    """What is sent: give both to `Receiver.handle`, or to a test client of your framework."""

    body: bytes
    headers: dict[str, str]


class Sender:
    """Makes calls as outrider, or as ZITADEL, makes them."""

    def __init__(
        self,
        signing_keys: str | Sequence[str] = SIGNING_KEY,
        *,
        issuer: Issuer | None = None,
        payload_type: str = "json",
        as_zitadel: bool = False,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - a default
    ) -> None:
        """Sign with these keys.

        Args:
            signing_keys: as for `verify`.
            issuer: whose keys make tokens, for the payload types `jwt` and `jwe`: see
                `outrider_receiver.testing_jose.Issuer`.
            payload_type: `json`, `jwt` or `jwe`.
            as_zitadel: only the one header that ZITADEL sends, without a delivery id.
            clock: Unix seconds.
        """
        self.signing_keys: tuple[str, ...] = secrets_of(signing_keys)
        self._issuer = issuer
        self._payload_type = payload_type
        self._as_zitadel = as_zitadel
        self._clock = clock
        self._calls = 0

    def event(
        self,
        event_type: str = "user.human.added",
        event_payload: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> SignedCall:
        """An event: the sample with other fields, named as those of `Event`."""
        event = sample("event")
        assert isinstance(event, Event)  # noqa: S101 - for the reader of types
        changed = replace(event, event_type=event_type, **fields)
        if event_payload is not None:
            changed = replace(changed, event_payload=event_payload)
        return self.call(changed)

    def request(self, full_method: str, request: Mapping[str, Any], **fields: Any) -> SignedCall:
        """A request before its method: the sample with other fields, named as those of `Request`."""
        call = sample("request")
        assert isinstance(call, Request)  # noqa: S101
        return self.call(replace(call, full_method=full_method, request=request, **fields))

    def response(
        self,
        full_method: str,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        **fields: Any,
    ) -> SignedCall:
        """A response after its method: the sample with other fields."""
        call = sample("response")
        assert isinstance(call, Response)  # noqa: S101
        changed = replace(call, full_method=full_method, request=request, response=response)
        return self.call(replace(changed, **fields))

    def function(self, name: str, **fields: Any) -> SignedCall:
        """A function, such as `preuserinfo`: the sample with other fields of its payload."""
        return self.call(replace(sample(name), **fields))

    def call(
        self,
        payload: Payload | Mapping[str, Any] | bytes,
        *,
        delivery_id: str | None = None,
        attempt: int = 1,
        event_id: str | None = None,
        replay_of: str | None = None,
        hops: int = 1,
    ) -> SignedCall:
        """Any payload, signed: typed, as a mapping of JSON, or as the very bytes.

        The same `delivery_id` again is another attempt of the same delivery; the same `event_id`
        with another one is the event for another target or, with `replay_of`, a replay.
        """
        self._calls += 1
        body = self._wrapped(_bytes_of(payload))
        at = int(self._clock())
        signature = sign(body, signing_keys=self.signing_keys, at=at)
        headers = {"Content-Type": "application/json", "Zitadel-Signature": signature}
        if self._as_zitadel:
            return SignedCall(body, headers)
        name = delivery_id or f"delivery-{self._calls}"
        standard = standard_headers(body, signing_keys=self.signing_keys, at=at, delivery_id=name)
        headers |= {"X-Zitadel-Signature": signature, **standard}
        headers |= {"Outrider-Delivery": name, "Outrider-Attempt": str(attempt)}
        if event_id is not None:
            headers["Outrider-Event"] = quote(event_id, safe=_VISIBLE)
        if replay_of is not None:
            headers["Outrider-Replay-Of"] = replay_of
        headers["Outrider-Hops"] = str(hops)
        return SignedCall(body, headers)

    def _wrapped(self, body: bytes) -> bytes:
        if self._payload_type == "json":
            return body
        if self._issuer is None:
            raise ValueError("tokens need an issuer")
        is_encrypted = self._payload_type == "jwe"
        return self._issuer.jwe(body) if is_encrypted else self._issuer.jwt(body)


def _bytes_of(payload: Payload | Mapping[str, Any] | bytes) -> bytes:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, Mapping):
        return json.dumps(payload, separators=(",", ":")).encode()
    return payload_bytes(payload)
