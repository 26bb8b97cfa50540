"""Independent code on both ends: what outrider sends others verify, what others sign we verify."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime, timezone

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from outrider.adapters.crypto.jose import make_key_pair
from outrider.adapters.crypto.payload_encoders import encrypted, signed
from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    SigningWebKey,
    ecdsa_config,
    ed25519_config,
)
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.signature import standard_webhooks_headers
from outrider.domain.ids import WebKeyId
from outrider_receiver import verify
from outrider_receiver.jose import Tokens
from outrider_receiver.jwks import StaticKeys
from outrider_receiver.testing import SAMPLES, SIGNING_KEY, standard_headers
from support.builders import NOW, a_public_key, a_target

SECRET = "whsec_" + base64.b64encode(SIGNING_KEY.encode()).decode()
LIBRARIES = {
    "standardwebhooks": standardwebhooks.Webhook(SECRET),
    "svix": svix.webhooks.Webhook(SECRET),
}
MAKERS = {
    "outrider": lambda body, at: standard_webhooks_headers(body, "314159", [SIGNING_KEY], at),
    "testing": lambda body, at: standard_headers(
        body, signing_keys=SIGNING_KEY, at=at, delivery_id="314159"
    ),
    "outrider, two keys": lambda body, at: standard_webhooks_headers(
        body, "314159", ["another", SIGNING_KEY], at
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_outrider_sends_is_verified_by_others(library, maker, sample):
    """
    With their own code, and the key as their documentation wants it.
    """
    now = int(time.time())  # noqa: TID251 - the libraries read the real clock
    body = SAMPLES[sample]

    assert (
        json.loads(body) == LIBRARIES[library].verify(body, MAKERS[maker](body, now))
        or library == "svix"
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_was_changed_is_refused_by_others_too(library, maker):
    """
    A library that accepts everything would prove nothing above.
    """
    now = int(time.time())  # noqa: TID251 - the libraries read the real clock
    headers = MAKERS[maker](b"{}", now)

    with pytest.raises(Exception, match=r"(?i)signature"):
        LIBRARIES[library].verify(b"[]", headers)


@pytest.mark.parametrize("recipient", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), None])
@pytest.mark.parametrize(
    "config", [DEFAULT_CONFIG, ecdsa_config("P-521"), ed25519_config()], ids=str
)
def test_what_outrider_encrypts_is_opened(recipient, config):
    """
    The service's own encoders, with every kind of key that a target may have.
    """
    is_rsa = recipient is None
    key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(recipient)
    pair = make_key_pair(config)
    web_key = SigningWebKey(
        id=WebKeyId("w1"), algorithm=config.algorithm, private_key=pair.private_key
    )
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_key = a_public_key(pem=public, is_active=True)
    resolved_target = ResolvedTarget(a_target(), (public_key,), web_key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    keys = StaticKeys({"keys": [{**pair.public_jwk, "kid": "w1"}]})
    tokens = Tokens(keys, private_keys={str(public_key.id): pem})
    for body in SAMPLES.values():
        assert body == tokens.open(encrypted(body, resolved_target, NOW))
        assert body == Tokens(keys).open(signed(body, resolved_target, NOW))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_others_sign_is_verified(library, sample):
    """
    A sender that is not outrider, and not ours.
    """
    at, body = 1_700_000_000, SAMPLES[sample]
    signed_at = datetime.fromtimestamp(at, tz=timezone.utc)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": LIBRARIES[library].sign("msg_1", signed_at, body.decode()),
    }
    call = verify(body, headers, signing_keys=SIGNING_KEY, now=at)

    assert ("msg_1", signed_at) == (call.delivery_id, call.signed_at)
