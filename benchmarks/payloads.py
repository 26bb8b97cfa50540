"""The cost of a payload type for one call: the CPU time of signing, and of signing and encrypting.

The encoders alone, on the body of an event, as a worker runs them in its loop. `first` is the first
call with a key, which has to be loaded; the others find it loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.options import Options
from benchmarks.results import Result, spread, table
from outrider.adapters.crypto.jose import make_key_pair
from outrider.adapters.crypto.payload_encoders import encrypted, signed
from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    SigningWebKey,
    WebKeyConfig,
    ecdsa_config,
    ed25519_config,
    rsa_config,
)
from outrider.domain.calls.request_builder import plain
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.ids import WebKeyId
from support.builders import NOW, a_public_key, a_target

NAME = "payloads"
_BODY = b"x" * 340
_SIGNERS: dict[str, WebKeyConfig] = {
    "RS256, 2048 bits": DEFAULT_CONFIG,
    "RS256, 4096 bits": rsa_config(4096, 256),
    "ES256": ecdsa_config("P-256"),
    "ES384": ecdsa_config("P-384"),
    "ES512": ecdsa_config("P-521"),
    "EdDSA": ed25519_config(),
}
_RECIPIENTS: dict[str, Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]] = {
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA 4096": lambda: rsa.generate_private_key(65537, 4096),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
}


def run(options: Options) -> Result:
    """A round makes new keys, and wraps a body `calls` times with each."""
    calls = options.count or options.of(500, 5)
    result = Result(NAME, {"calls": calls, "body_bytes": len(_BODY)})
    for _ in range(options.rounds or options.of(5, 1)):
        result.rounds.append(
            {name: _measured(wrap, calls) for name, wrap in _wraps(quick=options.is_quick)}
        )
    result.table = _table(result)
    return result


def _wraps(*, quick: bool) -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "JSON", lambda: plain(_BODY, ResolvedTarget(a_target()), NOW)
    signers = {name: config for name, config in _SIGNERS.items() if not (quick and "RS" in name)}
    web_keys = {name: _web_key(config) for name, config in signers.items()}
    for name, web_key in web_keys.items():
        resolved_target = ResolvedTarget(a_target(), web_key=web_key)
        yield (
            f"JWT, {name}",
            lambda resolved_target=resolved_target: signed(_BODY, resolved_target, NOW),
        )
    # The signature has the time of its row: the rest is the same for each row.
    signer = web_keys["EdDSA"]
    for name, make in _RECIPIENTS.items():
        pem = make().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        resolved_target = ResolvedTarget(
            a_target(), (a_public_key(pem=pem, is_active=True),), signer
        )
        yield (
            f"JWE, EdDSA, {name}",
            lambda resolved_target=resolved_target: encrypted(_BODY, resolved_target, NOW),
        )


def _web_key(config: WebKeyConfig) -> SigningWebKey:
    pair = make_key_pair(config)
    return SigningWebKey(id=WebKeyId("1"), algorithm=config.algorithm, private_key=pair.private_key)


def _measured(wrap: Callable[[], bytes], calls: int) -> dict[str, float]:
    first = _cpu_us(wrap, 1)
    return {"first_us": first, "us": _cpu_us(wrap, calls), "bytes": len(wrap())}


def _cpu_us(wrap: Callable[[], bytes], calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        wrap()
    return (time.process_time() - begin) / calls * 1e6


def _table(result: Result) -> str:
    def column(name: str, measure: str) -> str:
        return spread([figures[name][measure] for figures in result.rounds])

    rows = [
        [name, column(name, "us"), column(name, "first_us"), column(name, "bytes")]
        for name in result.rounds[0]
    ]
    return table(["payload", "CPU µs a call", "the first", "bytes of 340"], rows)
