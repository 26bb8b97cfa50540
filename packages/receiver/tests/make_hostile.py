"""Write vectors/receiver_hostile.json: `python packages/receiver/tests/make_hostile.py`.

Keys and ciphertexts are random: a new file has other bytes and the same verdicts. A text is given as
it is, or as `{"repeat": text, "times": n}` with `before` and `after`. Bodies that are no text are
`body_base64`. A case without `headers` is signed rightly: what is hostile comes after the signature.
"""

# ruff: noqa: RUF001 - digits that are none, on purpose

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from outrider_receiver.testing import SIGNING_KEY, sign, standard_headers

TARGET = Path(__file__).parents[3] / "vectors" / "receiver_hostile.json"
AT = 1_700_000_000
GOOD = b'{"event_type":"user.human.added"}'
SIGNED = sign(GOOD, signing_keys=SIGNING_KEY, at=AT)
MAC = SIGNED.partition("v1=")[2]
STANDARD = standard_headers(GOOD, signing_keys=SIGNING_KEY, at=AT, delivery_id="1")

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
TO_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TO_EC = ec.generate_private_key(ec.SECP256R1())

Case = dict[str, Any]


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: Any, kid: str, **members: str) -> dict[str, Any]:
    public = json.loads(JWK.from_pem(public_pem(key)).export_public())
    public.pop("kid", None)
    return {**public, "kid": kid, "use": "sig", **members}


def hs256(secret: bytes, data: bytes) -> bytes:
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(data)
    return mac.finalize()


def rs256(data: bytes, key: rsa.RSAPrivateKey = RSA_KEY) -> bytes:
    return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def es256(data: bytes) -> bytes:
    r, s = decode_dss_signature(EC_KEY.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def jws(header: Any, payload: bytes = GOOD, signer: Any = rs256) -> str:
    text = header if isinstance(header, str) else json.dumps(header)
    data = f"{b64(text.encode())}.{b64(payload)}"
    return f"{data}.{b64(signer(data.encode()))}"


RS = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}
ES = {"alg": "ES256", "kid": "ec", "typ": "JWT"}
GOOD_JWT = jws(RS)
TO_RSA_HEADER = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "to-rsa"}
TO_EC_HEADER = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "to-ec"}
EVERYTHING = [
    *("RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"),
    *("dir", "A256KW", "PBES2-HS256+A128KW", "A128GCM", "A256GCM", "A256CBC-HS512"),
]


def jwe(header: dict[str, Any], key: Any, plaintext: str = GOOD_JWT) -> str:
    made = JWE(plaintext.encode(), json.dumps(header), algs=EVERYTHING)
    made.add_recipient(JWK.from_pem(public_pem(key)) if not isinstance(key, JWK) else key)
    return made.serialize(compact=True)


def signature(name: str, value: Any, reason: str, *more: tuple[str, Any]) -> Case:
    headers = [["ZITADEL-Signature", value], *(list(header) for header in more)]
    return {"name": f"header: {name}", "headers": headers, "result": reason}


def headers() -> Iterator[Case]:
    yield {"name": "header: none", "headers": [], "result": "missing"}
    for name, value in {
        "empty": "",
        "space": " ",
        "comma": ",",
        "only t": f"t={AT}",
        "equals": "=",
        "t twice": f"t={AT},t={AT},v1={MAC}",
        "no t": f"v1={MAC}",
        "t empty": f"t=,v1={MAC}",
        "t negative": f"t=-{AT},v1={MAC}",
        "t plus": f"t=+{AT},v1={MAC}",
        "t float": f"t={AT}.0,v1={MAC}",
        "t exponent": f"t=17e8,v1={MAC}",
        "t hex": f"t=0x6553f100,v1={MAC}",
        "t underscore": f"t=1_700_000_000,v1={MAC}",
        "t leading zero": f"t=0{AT},v1={MAC}",
        "t ten digits with zero": f"t=0{str(AT)[:9]},v1={MAC}",
        "t spaces": f"t= {AT},v1={MAC}",
        "t newline": f"t={AT}\n,v1={MAC}",
        "t nul": f"t={AT}\x00,v1={MAC}",
        "t word": f"t=now,v1={MAC}",
        "t nan": f"t=nan,v1={MAC}",
        "t infinity": f"t=inf,v1={MAC}",
        "t twelve digits": f"t={AT}00,v1={MAC}",
        "upper-case names": f"T={AT},V1={MAC}",
        "no equals": f"t={AT},v1{MAC}",
        "double equals": f"t={AT},v1=={MAC}",
        "semicolons": f"t={AT};v1={MAC}",
        "json": json.dumps({"t": AT, "v1": MAC}),
    }.items():
        reason = "malformed" if name != "only t" else "no_match"
        yield signature(name, value, reason)
    for name, value in {
        "t Arabic digits": f"t=١٧٠٠٠٠٠٠٠٠,v1={MAC}",
        "t superscript": f"t=170000000²,v1={MAC}",
        "non-ASCII part": f"t={AT},v1={MAC},é=1",
        "full-width": f"t={AT},v1={MAC[:-1]}０",
    }.items():
        yield signature(name, value, "malformed")
    for name, value in {
        "t five thousand digits": {"repeat": "9", "times": 5000, "before": "t=", "after": ",v1="},
        "one megabyte": {"repeat": "a", "times": 1_000_000},
        "one megabyte of commas": {"repeat": ",", "times": 1_000_000},
        "one megabyte of v1": {"repeat": f",v1={MAC}", "times": 15_000, "before": f"t={AT}"},
        "one megabyte of hex": {"repeat": "0", "times": 1_000_000, "before": f"t={AT},v1="},
        "forty signatures": {"repeat": f",v1={MAC}", "times": 40, "before": f"t={AT}"},
        "two thousand parts": {"repeat": ",a=1", "times": 1000, "before": f"t={AT}"},
    }.items():
        yield signature(name, value, "malformed")
    for name, value in {
        "empty mac": f"t={AT},v1=",
        "short mac": f"t={AT},v1={MAC[:-2]}",
        "long mac": f"t={AT},v1={MAC}00",
        "odd mac": f"t={AT},v1={MAC[:-1]}",
        "not hex": f"t={AT},v1={'zz' * 32}",
        "zeros": f"t={AT},v1={'0' * 64}",
        "one bit": f"t={AT},v1={int(MAC, 16) ^ 1:064x}",
        "v0": f"t={AT},v0={MAC}",
        "v2": f"t={AT},v2={MAC}",
        "v1 with space": f"t={AT}, v1={MAC}",
        "another second": f"t={AT + 1},v1={MAC}",
        "another key": sign(GOOD, signing_keys="guess", at=AT),
        "another body": sign(b"{}", signing_keys=SIGNING_KEY, at=AT),
        "bytes as repr": f"t={AT},v1=b'{MAC}'",
        "Base64 mac": f"t={AT},v1={base64.b64encode(bytes.fromhex(MAC)).decode()[:-1]}",
    }.items():
        yield signature(name, value, "no_match")
    for seconds in (301, 3600, 10**6, AT):
        old = sign(GOOD, signing_keys=SIGNING_KEY, at=AT - seconds)
        yield signature(f"{seconds} s ago", old, "too_old")
    for seconds in (301, 3600, 10**9, 90_000_000_000):
        new = sign(GOOD, signing_keys=SIGNING_KEY, at=AT + seconds)
        yield signature(f"in {seconds} s", new, "too_new")
    other = sign(b"{}", signing_keys=SIGNING_KEY, at=AT)
    yield signature("duplicate", SIGNED, "conflicting", ("ZITADEL-Signature", other))
    yield signature("duplicate in another case", SIGNED, "conflicting", ("zitadel-signature", ""))
    yield signature("both names differ", SIGNED, "conflicting", ("X-ZITADEL-Signature", other))
    yield signature("attempt is no number", SIGNED, "malformed", ("Outrider-Attempt", "one"))
    yield signature("attempt is zero", SIGNED, "malformed", ("Outrider-Attempt", "0"))
    huge = {"repeat": "9", "times": 1_000_000}
    yield signature("attempt is huge", SIGNED, "malformed", ("Outrider-Attempt", huge))
    yield signature(
        "id without a signature's time", SIGNED, "missing", ("webhook-signature", "v1,")
    )


def standard(name: str, reason: str, **changed: Any) -> Case:
    found = {**STANDARD, **{f"webhook-{part}": value for part, value in changed.items()}}
    pairs = [[header, value] for header, value in found.items() if value is not None]
    return {"name": f"standard: {name}", "headers": pairs, "result": reason}


def standard_cases() -> Iterator[Case]:
    mac = STANDARD["webhook-signature"]
    yield standard("no id", "missing", id=None)
    yield standard("no time", "missing", timestamp=None)
    yield standard("no signature", "missing", signature=None)
    for name, value in {"empty": "", "dot": "1.2", "space": "1 2", "é": "é", "line": "1\n"}.items():
        yield standard(f"id {name}", "malformed", id=value)
    yield standard("id of a megabyte", "malformed", id={"repeat": "1", "times": 1_000_000})
    yield standard("another id", "no_match", id="2")
    for name, value in {"empty": "", "float": f"{AT}.0", "word": "now", "sign": f"-{AT}"}.items():
        yield standard(f"time {name}", "malformed", timestamp=value)
    yield standard("time moved", "no_match", timestamp=str(AT + 1))
    yield standard("old", "too_old", timestamp=str(AT - 301))
    yield standard("new", "too_new", timestamp=str(AT + 301))
    for name, value in {
        "empty": "",
        "v1a": mac.replace("v1,", "v1a,"),
        "no version": mac[3:],
        "not Base64": "v1,!!!!",
        "short": mac[:-4],
        "loose Base64": mac[:-2] + "B=",
        "hex": f"v1,{MAC}",
        "comma-separated": f"{mac},{mac}",
    }.items():
        yield standard(f"signature {name}", "no_match", signature=value)
    many = {"repeat": f"{mac} ", "times": 40}
    yield standard("forty signatures", "malformed", signature=many)
    yield {
        "name": "standard: good, and ZITADEL's is not",
        "headers": [*map(list, STANDARD.items()), ["ZITADEL-Signature", f"t={AT},v1={'0' * 64}"]],
        "result": "no_match",
    }


def body(name: str, value: Any, reason: str = "malformed") -> Case:
    case: Case = {"name": f"body: {name}", "result": reason}
    if isinstance(value, bytes):
        return {**case, "body_base64": base64.b64encode(value).decode()}
    return {**case, "body": value}


def bodies() -> Iterator[Case]:
    for name, value in {
        "broken off": "{",
        "no kind": "{}",
        "trailing": '{"event_type":"a"}x',
        "two": '{"event_type":"a"}{}',
        "single quotes": "{'event_type':'a'}",
        "1e999 in a request": '{"fullMethod":"/a.B/C","request":{"a":1e999}}',
        "NaN": '{"event_type":"a","sequence":NaN}',
        "Infinity": '{"event_type":"a","event_payload":{"a":Infinity}}',
        "comment": '{"event_type":"a"/**/}',
        "control character": '{"event_type":"a\n"}',
        "bad escape": '{"event_type":"\\x61"}',
        "broken escape": '{"event_type":"\\u00"}',
        "type is a number": '{"event_type":7}',
        "type is a list": '{"event_type":["a"]}',
        "type is an object": '{"event_type":{}}',
        "function is a list": '{"function":[]}',
        "function without its prefix": '{"function":"preuserinfo"}',
        "user is a list": '{"function":"function/preuserinfo","user":[]}',
        "human is a text": '{"function":"function/preuserinfo","user":{"human":"Ada"}}',
        "grants are an object": '{"function":"function/preuserinfo","user_grants":{}}',
        "a grant is a text": '{"function":"function/preuserinfo","user_grants":["a"]}',
        "roles are a text": '{"function":"function/preuserinfo","user_grants":[{"roles":"a"}]}',
        "a role is null": '{"function":"function/preuserinfo","user_grants":[{"roles":[null]}]}',
        "metadata is not Base64": '{"function":"function/preuserinfo","user_metadata":[{"value":"!"}]}',
        "verified is a text": '{"function":"function/preuserinfo","user":{"human":{"is_email_verified":"yes"}}}',
        "time is a number": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":1700000000}]}',
        "time is a word": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":"yesterday"}]}',
        "time has no zone": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":"2025-01-02T03:04:05"}]}',
        "the 13th month": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":"2025-13-02T03:04:05Z"}]}',
        "out of time": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":"9999-12-31T23:59:59-23:59"}]}',
        "Arabic time": '{"function":"function/preuserinfo","user_metadata":[{"creation_date":"٢٠٢٥-01-02T03:04:05Z"}]}',
        "method is a number": '{"fullMethod":1}',
        "request is a list": '{"fullMethod":"/a.B/C","request":[]}',
        "response is a text": '{"fullMethod":"/a.B/C","request":{},"response":""}',
        "headers are a list": '{"fullMethod":"/a.B/C","headers":[]}',
        "a header is a text": '{"fullMethod":"/a.B/C","headers":{"Host":"a"}}',
        "a header has a number": '{"fullMethod":"/a.B/C","headers":{"Host":[1]}}',
    }.items():
        yield body(name, value)
    nested = {
        "repeat": '{"event_payload":',
        "times": 100_000,
        "before": '{"event_type":"a","event_payload":',
    }
    yield body("objects, a hundred thousand deep", nested)
    lists = {"repeat": "[", "times": 100_000, "before": '{"event_type":"a","event_payload":'}
    yield body("lists, a hundred thousand deep", lists)
    digits = {
        "repeat": "9",
        "times": 100_000,
        "before": '{"fullMethod":"/a.B/C","request":',
        "after": "}",
    }
    yield body("a number of a hundred thousand digits", digits)
    actors = {
        "repeat": '{"actor":',
        "times": 60,
        "before": '{"function":"function/preuserinfo","actor":',
        "after": "{}" + "}" * 61,
    }
    yield body("sixty actors", actors)
    for name, octets in {
        "Latin-1": '{"event_type":"é"}'.encode("latin-1"),
        "UTF-16": "{}".encode("utf-16-le"),
        "UTF-16 event": b"{" + '"event_type":"a"}'.encode("utf-16-le"),
        "half a character": b'{"event_type":"\xc3"}',
        "overlong": b'{"event_type":"\xc0\xaf"}',
        "surrogate": b'{"event_type":"\xed\xa0\x80"}',
        "nul": b'{"event_type":"a"}\0',
        "raw nul": b"{\0}",
        "0xff": b"{\xff\xfe}",
    }.items():
        yield body(name, octets)
    for name, value in {
        "nothing": "",
        "null": "null",
        "a list": "[]",
        "a text": '"event"',
        "a number": "1",
        "true": "true",
        "white space": "  {}",
        "a BOM": "\ufeff{}",
        "a form": "event_type=a",
        "XML": "<event/>",
        "a good JWT": GOOD_JWT,
    }.items():
        yield body(f"{name}, where JSON is wanted", value, "not_allowed")


def token(name: str, value: Any, reason: str, accept: str = "jwt") -> Case:
    return {"name": f"{accept}: {name}", "accept": accept, "body": value, "result": reason}


def jwts() -> Iterator[Case]:
    for alg in ("none", "None", "NONE", "nOnE"):
        yield token(f"alg {alg}", jws({**RS, "alg": alg}, signer=lambda _: b""), "not_allowed")
    spki = public_pem(RSA_KEY)
    for alg in ("HS256", "HS384", "HS512"):
        forged = jws({**RS, "alg": alg}, signer=lambda data: hs256(spki, data))
        yield token(f"{alg} with the RSA key's PEM", forged, "not_allowed")
    n = RSA_KEY.public_key().public_numbers().n.to_bytes(256, "big")
    forged = jws({**RS, "alg": "HS256"}, signer=lambda data: hs256(n, data))
    yield token("HS256 with the modulus", forged, "not_allowed")
    forged = jws({**RS, "alg": "HS256"}, signer=lambda data: hs256(b"", data))
    yield token("HS256 with no key", forged, "not_allowed")
    for alg in ("PS256", "ES256", "ES384", "EdDSA", "ES256K", "RS1", "RS2048", "", "A256GCM"):
        yield token(f"alg {alg or 'empty'} for an RSA key", jws({**RS, "alg": alg}), "not_allowed")
    for alg in (1, None, ["RS256"], {"RS256": 1}, True):
        yield token(f"alg of type {type(alg).__name__}", jws({**RS, "alg": alg}), "not_allowed")
    yield token("no alg", jws({"kid": "rsa"}), "not_allowed")
    yield token("no kid", jws({"alg": "RS256"}), "unknown_key")
    for kid in ("", "other", "RSA", "rsa\0", "../../etc/passwd", "' OR 1=1", "x" * 257):
        yield token(f"kid {kid[:20]!r}", jws({**RS, "kid": kid}), "unknown_key")
    for kid in (1, None, ["rsa"], {}, True):
        yield token(f"kid {kid!r}", jws({**RS, "kid": kid}), "unknown_key")
    yield token("kid of another key", jws({**RS, "kid": "ec"}), "not_allowed")
    yield token("kid of a key to encrypt with", jws({**RS, "kid": "enc-use"}), "not_allowed")
    yield token("kid of a small RSA key", jws({**RS, "kid": "small"}), "not_allowed")
    yield token("kid of an odd curve", jws({**ES, "kid": "odd"}, signer=es256), "not_allowed")
    off = jws({**ES, "kid": "off-curve"}, signer=es256)
    yield token("kid of a point off its curve", off, "not_allowed")
    yield token("kid of a secret", jws({**RS, "kid": "oct"}), "not_allowed")


def jwts_of_strangers() -> Iterator[Case]:
    yield token("another RSA key", jws(RS, signer=lambda data: rs256(data, OTHER_RSA)), "no_match")
    yield token("signature of another token", jws(RS, signer=lambda _: rs256(b"x")), "no_match")
    yield token("no signature", jws(RS, signer=lambda _: b""), "no_match")
    yield token("half a signature", jws(RS, signer=lambda data: rs256(data)[:128]), "no_match")
    yield token("a long signature", jws(RS, signer=lambda data: rs256(data) + b"\0"), "no_match")
    yield token("zeros, ES256", jws(ES, signer=lambda _: bytes(64)), "no_match")
    der = jws(ES, signer=lambda data: EC_KEY.sign(data, ec.ECDSA(hashes.SHA256())))
    yield token("DER, ES256", der, "no_match")
    yield token(
        "ES256 with s and r",
        jws(ES, signer=lambda data: es256(data)[32:] + es256(data)[:32]),
        "no_match",
    )
    ed = {"alg": "EdDSA", "kid": "ed"}
    yield token("zeros, EdDSA", jws(ed, signer=lambda _: bytes(64)), "no_match")
    head, payload, mac = GOOD_JWT.split(".")
    yield token("another payload", f"{head}.{b64(b'{}')}.{mac}", "no_match")
    yield token("padding", f"{head}.{payload}=.{mac}", "no_match")
    yield token("a star in the payload", f"{head}.{payload[:-1]}*.{mac}", "no_match")
    for name, extra in {
        "crit": {"crit": ["exp"], "exp": 1},
        "b64": {"b64": False, "crit": ["b64"]},
        "jku": {"jku": "https://evil.example/keys"},
        "jwk": {"jwk": jwk(OTHER_RSA, "rsa")},
        "x5u": {"x5u": "https://evil.example/cert"},
        "x5c": {"x5c": ["AAAA"]},
        "zip": {"zip": "DEF"},
    }.items():
        yield token(f"with {name}", jws({**RS, **extra}), "not_allowed")
    for name, text in {
        "header is a list": "[]",
        "header is a text": '"RS256"',
        "header is null": "null",
        "header is no JSON": "{",
        "header says alg twice": '{"alg":"none","alg":"RS256","kid":"rsa"}',
        "header is empty": "",
        "header is deep": "[" * 2000,
    }.items():
        yield token(name, jws(text), "malformed")
    long = json.dumps({**RS, "x": "a" * 8192})
    yield token("header is long", jws(long), "malformed")
    huge = {"repeat": "A", "times": 1_000_000, "after": f".{payload}.{mac}"}
    yield token("header of a megabyte", huge, "malformed")
    yield token("header is no Base64", f"!!!.{payload}.{mac}", "malformed")
    yield token("header has a line", f"{head}\n.{payload}.{mac}", "malformed")
    yield token("two parts", f"{head}.{payload}", "malformed")
    yield token("four parts", f"{GOOD_JWT}.", "malformed")
    yield token("dots", "..", "malformed")
    yield token("a million dots", {"repeat": ".", "times": 1_000_000}, "malformed")
    yield token("a word", "token", "malformed")
    yield token("JSON", GOOD.decode(), "not_allowed")
    yield token("a JWE", jwe(TO_RSA_HEADER, TO_RSA), "not_allowed")
    yield token("payload is no JSON", jws(RS, b"x"), "malformed")
    yield token("payload is a JWT", jws(RS, GOOD_JWT.encode()), "malformed")
    yield token("payload is UTF-16", jws(RS, GOOD.decode().encode("utf-16-le")), "malformed")
    yield token("payload is empty", jws(RS, b""), "malformed")


def jwes() -> Iterator[Case]:
    good_rsa, good_ec = jwe(TO_RSA_HEADER, TO_RSA), jwe(TO_EC_HEADER, TO_EC)
    for name, made in {"RSA": good_rsa, "EC": good_ec}.items():
        parts = made.split(".")
        for at, part in enumerate(("header", "encrypted key", "iv", "ciphertext", "tag")):
            whole = parts[at]
            flipped = ("A" if whole[0] != "A" else "B") + whole[1:]
            reason = "malformed" if at == 0 else "unreadable"
            yield token(
                f"{name}, {part} changed",
                ".".join([*parts[:at], flipped, *parts[at + 1 :]]),
                reason,
                "jwe",
            )
            if at:
                cut = ".".join([*parts[:at], "", *parts[at + 1 :]])
                yield token(f"{name}, {part} empty", cut, "unreadable", "jwe")


def jwes_of_other_kinds() -> Iterator[Case]:
    good_rsa = jwe(TO_RSA_HEADER, TO_RSA)
    for alg in ("RSA1_5", "RSA-OAEP"):
        made = jwe({**TO_RSA_HEADER, "alg": alg}, TO_RSA)
        yield token(f"alg {alg}", made, "not_allowed", "jwe")
    for alg in ("ECDH-ES", "ECDH-ES+A128KW"):
        made = jwe({**TO_EC_HEADER, "alg": alg}, TO_EC)
        yield token(f"alg {alg}", made, "not_allowed", "jwe")
    for enc in ("A128GCM", "A256CBC-HS512"):
        made = jwe({**TO_RSA_HEADER, "enc": enc}, TO_RSA)
        yield token(f"enc {enc}", made, "not_allowed", "jwe")
    secret = JWK(kty="oct", k=b64(bytes(32)))
    yield token("dir", jwe({**TO_RSA_HEADER, "alg": "dir"}, secret), "not_allowed", "jwe")
    yield token("A256KW", jwe({**TO_RSA_HEADER, "alg": "A256KW"}, secret), "not_allowed", "jwe")
    parts = good_rsa.split(".")[1:]
    for count in (1, 10_000, 2**31, 10**30):
        bomb = {**TO_RSA_HEADER, "alg": "PBES2-HS256+A128KW", "p2s": "AAAAAAAAAAA", "p2c": count}
        made = ".".join([b64(json.dumps(bomb).encode()), *parts])
        yield token(f"password of {count} rounds", made, "not_allowed", "jwe")
    bomb_text = "{" + " " * 1_000_000 + "}"
    zipped = jwe({**TO_RSA_HEADER, "zip": "DEF"}, TO_RSA, bomb_text)
    yield token("zip of a megabyte", zipped, "not_allowed", "jwe")
    yield token("zip", jwe({**TO_RSA_HEADER, "zip": "DEF"}, TO_RSA), "not_allowed", "jwe")
    for kid in ("", "other", "to-ec"):
        reason = "not_allowed" if kid == "to-ec" else "unknown_key"
        yield token(f"kid {kid!r}", jwe({**TO_RSA_HEADER, "kid": kid}, TO_RSA), reason, "jwe")
    nested = GOOD_JWT
    for depth in range(1, 6):
        nested = jwe(TO_RSA_HEADER, TO_RSA, nested)
        if depth > 1:
            yield token(f"nested {depth} deep", nested, "malformed", "jwe")
    yield token("JSON inside", jwe(TO_RSA_HEADER, TO_RSA, GOOD.decode()), "malformed", "jwe")
    yield token("nothing inside", jwe(TO_RSA_HEADER, TO_RSA, ""), "malformed", "jwe")
    unsigned = jws({**RS, "alg": "none"}, signer=lambda _: b"")
    yield token("alg none inside", jwe(TO_RSA_HEADER, TO_RSA, unsigned), "not_allowed", "jwe")
    stranger = jws(RS, signer=lambda data: rs256(data, OTHER_RSA))
    yield token("a stranger's JWT inside", jwe(TO_RSA_HEADER, TO_RSA, stranger), "no_match", "jwe")
    yield token("to another RSA key", jwe(TO_RSA_HEADER, OTHER_RSA), "unreadable", "jwe")
    yield token("to another EC key", jwe(TO_EC_HEADER, EC_KEY), "unreadable", "jwe")
    yield token("a JWT alone", GOOD_JWT, "not_allowed", "jwe")


def jwes_of_odd_points() -> Iterator[Case]:
    good_ec = jwe(TO_EC_HEADER, TO_EC)
    header = json.loads(base64.urlsafe_b64decode(good_ec.split(".")[0] + "=="))
    epk, rest = header["epk"], good_ec.split(".")[1:]
    zero, one = b64(bytes(32)), b64(bytes(31) + b"\1")
    for name, changed, reason in [
        ("is absent", None, "malformed"),
        ("is a text", "x", "malformed"),
        ("is a list", [], "malformed"),
        ("has no y", {**epk, "y": ...}, "malformed"),
        ("is off the curve", {**epk, "x": one, "y": one}, "unreadable"),
        ("is zero", {**epk, "x": zero, "y": zero}, "unreadable"),
        ("has y of another", {**epk, "y": epk["x"]}, "unreadable"),
        ("has numbers", {**epk, "x": 1, "y": 2}, "unreadable"),
        ("is not Base64", {**epk, "x": "!!!"}, "unreadable"),
        ("is short", {**epk, "x": epk["x"][:4]}, "unreadable"),
        ("is too large for P-256", {**epk, "x": b64(b"\xff" * 32), "y": one}, "unreadable"),
        ("is of P-384", {**epk, "crv": "P-384"}, "not_allowed"),
        ("is of secp256k1", {**epk, "crv": "secp256k1"}, "not_allowed"),
        ("is of X25519", {"kty": "OKP", "crv": "X25519", "x": one, "y": one}, "not_allowed"),
        ("is RSA", {**epk, "kty": "RSA"}, "not_allowed"),
        ("has a private part", {**epk, "d": one}, "malformed"),
    ]:
        point = (
            {k: v for k, v in changed.items() if v is not ...}
            if isinstance(changed, dict)
            else changed
        )
        members = {**header, "epk": point}
        if changed is None:
            del members["epk"]
        made = ".".join([b64(json.dumps(members).encode()), *rest])
        yield token(f"ephemeral key {name}", made, reason, "jwe")


def key_set() -> dict[str, Any]:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    good = jwk(EC_KEY, "ec")
    return {
        "keys": [
            jwk(RSA_KEY, "rsa", alg="RS256"),
            good,
            jwk(ED_KEY, "ed"),
            {**jwk(RSA_KEY, "enc-use"), "use": "enc"},
            jwk(small, "small"),
            {**good, "kid": "odd", "crv": "P-224"},
            {**good, "kid": "off-curve", "y": good["x"]},
            {"kty": "oct", "kid": "oct", "k": "AAAA"},
        ]
    }


def main() -> None:
    cases = [
        *headers(),
        *standard_cases(),
        *bodies(),
        *jwts(),
        *jwts_of_strangers(),
        *jwes(),
        *jwes_of_other_kinds(),
        *jwes_of_odd_points(),
    ]
    document = {
        "about": "Calls that a receiver must refuse, each with the reason. See make_hostile.py.",
        "now": AT,
        "signing_key": SIGNING_KEY,
        "body": GOOD.decode(),
        "jwks": key_set(),
        "private_keys": {"to-rsa": pem(TO_RSA), "to-ec": pem(TO_EC)},
        "cases": cases,
    }
    TARGET.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
