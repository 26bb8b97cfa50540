"""JWT and JWE: opened with the right keys, from any sender."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from outrider_receiver import InvalidCall, Reason, Receiver
from outrider_receiver.jose import Tokens
from outrider_receiver.jwks import StaticKeys
from outrider_receiver.testing import SAMPLES, SIGNING_KEY, Sender
from outrider_receiver.testing_jose import Issuer

BODY = SAMPLES["preaccesstoken"]
SIGNATURES = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"]
ENCRYPTIONS = ["RSA-OAEP-256", "ECDH-ES+A256KW"]


def pem_of(key, encryption=None) -> bytes:
    how = encryption or NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def jwcrypto_of(pem: bytes) -> JWK:
    public = load_pem_private_key(pem, None).public_key()
    return JWK.from_pyca(public)


def encrypted_by_jwcrypto(inner: bytes, alg: str, kid: str, pem: bytes) -> bytes:
    header = {"alg": alg, "cty": "JWT", "enc": "A256GCM", "kid": kid, "typ": "JWT"}
    made = JWE(inner, json.dumps(header), algs=[alg, "A256GCM"])
    made.add_recipient(jwcrypto_of(pem))
    return made.serialize(compact=True).encode()


def signed_by_jwcrypto(alg: str) -> tuple[bytes, StaticKeys]:
    if alg.startswith("RS"):
        made = JWK.generate(kty="RSA", size=2048)
    elif alg == "EdDSA":
        made = JWK.generate(kty="OKP", crv="Ed25519")
    else:
        made = JWK.generate(kty="EC", crv={"256": "P-256", "384": "P-384", "512": "P-521"}[alg[2:]])
    jws = JWS(BODY)
    header = {"alg": alg, "kid": "1", "typ": "JWT"}
    jws.allowed_algs = [alg]
    jws.add_signature(made, alg, json.dumps(header))
    public = {**json.loads(made.export_public()), "kid": "1"}
    return jws.serialize(compact=True).encode(), StaticKeys({"keys": [public]})


@pytest.mark.parametrize("algorithm", SIGNATURES)
def test_what_jwcrypto_signs_is_opened(algorithm):
    """
    Independent code signs, for every algorithm that web keys have.
    """
    token, keys = signed_by_jwcrypto(algorithm)

    assert BODY == Tokens(keys).open(token)


@pytest.mark.parametrize("algorithm", SIGNATURES)
def test_what_ours_signs_is_verified_by_jwcrypto(algorithm):
    """
    The issuer for tests must not be one that only we believe.
    """
    issuer = Issuer(algorithm=algorithm)
    jws = JWS()
    jws.allowed_algs = [algorithm]
    jws.deserialize(issuer.jwt(BODY).decode())
    jws.verify(JWK(**issuer.jwks["keys"][0]), alg=algorithm)

    assert BODY == jws.payload


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), None])
def test_what_jwcrypto_encrypts_is_opened(curve):
    """
    For RSA and for each curve that a target's public key may have.
    """
    issuer = Issuer()
    key = rsa.generate_private_key(65537, 2048) if curve is None else ec.generate_private_key(curve)
    alg = "RSA-OAEP-256" if curve is None else "ECDH-ES+A256KW"
    token = encrypted_by_jwcrypto(issuer.jwt(BODY), alg, "mine", pem_of(key))
    tokens = Tokens(StaticKeys(issuer.jwks), private_keys={"mine": pem_of(key)})

    assert BODY == tokens.open(token)


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_what_ours_encrypts_is_decrypted_by_jwcrypto(encryption):
    """
    Both ways, so that neither is wrong in the same manner.
    """
    issuer = Issuer(encryption=encryption)
    (pem,) = issuer.private_keys.values()
    opened = JWE(algs=[encryption, "A256GCM"])
    opened.deserialize(issuer.jwe(BODY).decode(), JWK.from_pem(pem.encode()))
    jws = JWS()
    jws.deserialize(opened.payload.decode(), JWK(**issuer.jwks["keys"][0]))

    assert BODY == jws.payload


def test_an_event_of_half_a_mebibyte_is_opened():
    """
    The library's own limits end at 64 and at 128 kilobytes.
    """
    issuer = Issuer()
    body = json.dumps({"event_type": "a", "event_payload": {"a": "x" * 600_000}}).encode()
    tokens = issuer.tokens()

    assert (
        body
        == tokens.open(issuer.jwe(body))
        == issuer.tokens(decrypting=False).open(issuer.jwt(body))
    )


def test_the_private_key_is_the_one_that_the_token_names():
    """
    While a public key is changed, both are in use.
    """
    old, new = Issuer(public_key_id="old"), Issuer(public_key_id="new")
    tokens = Tokens(StaticKeys(new.jwks), private_keys={**old.private_keys, **new.private_keys})

    assert BODY == tokens.open(new.jwe(BODY))
    assert "<Tokens of" in repr(tokens)
    assert "PRIVATE" not in repr(tokens)


async def test_a_loop_opens_tokens_too():
    """
    The same verdicts, without blocking.
    """
    issuer = Issuer()
    tokens = issuer.tokens()

    assert BODY == await tokens.open_async(issuer.jwe(BODY))
    with pytest.raises(InvalidCall) as refusal:
        await tokens.open_async(Issuer().jwe(BODY))
    assert Reason.UNREADABLE is refusal.value.reason


@pytest.mark.parametrize(
    ("pem", "advice"),
    [
        ("nonsense", "is no PEM"),
        (b"", "is no PEM"),
        (pem_of(rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"x")), "password"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "2048"),
        (pem_of(ec.generate_private_key(ec.SECP224R1())), "P-256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "neither"),
    ],
)
def test_a_private_key_that_cannot_be_used_says_so_immediately(pem, advice):
    """
    At the start, not at the first call in the night; and without quoting it.
    """
    with pytest.raises(ValueError, match=advice) as failure:
        Tokens(StaticKeys({"keys": []}), private_keys={"mine": pem})
    assert "PRIVATE KEY" not in str(failure.value)


def test_a_receiver_takes_the_payload_types_that_it_is_for():
    """
    Who asked for encryption does not want to be told in plain text.
    """
    issuer = Issuer()
    senders = {name: Sender(issuer=issuer, payload_type=name) for name in ("json", "jwt", "jwe")}
    taken = {
        "json": Receiver(signing_keys=SIGNING_KEY),
        "jwt": Receiver(signing_keys=SIGNING_KEY, tokens=issuer.tokens(decrypting=False)),
        "jwe": Receiver(signing_keys=SIGNING_KEY, tokens=issuer.tokens()),
    }
    for accepted, receiver in taken.items():
        for sent, sender in senders.items():
            assert (204 if accepted == sent else 400) == receiver.handle(*sender.event()).status
    every = Receiver(
        signing_keys=SIGNING_KEY, tokens=issuer.tokens(), accept=["json", "jwt", "jwe"]
    )
    assert {204} == {every.handle(*sender.event()).status for sender in senders.values()}


@pytest.mark.parametrize(
    ("tokens", "accept"),
    [(None, ["jwt"]), (None, []), (None, ["xml"]), (Issuer().tokens(decrypting=False), ["jwe"])],
)
def test_a_payload_type_that_cannot_be_read_cannot_be_accepted(tokens, accept):
    """
    The mistake shows at the start.
    """
    with pytest.raises(ValueError, match="jw"):
        Receiver(signing_keys=SIGNING_KEY, tokens=tokens, accept=accept)


def test_a_token_without_the_signature_header_is_refused():
    """
    A token has no time in it: alone it could be sent again for ever.
    """
    issuer = Issuer()
    receiver = Receiver(signing_keys=SIGNING_KEY, tokens=issuer.tokens(decrypting=False))

    answer = receiver.handle(issuer.jwt(BODY), {})

    assert (400, b"missing: there is no signature header") == (answer.status, answer.body)
