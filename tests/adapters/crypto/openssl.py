"""Keys as receivers make them: by the command line of OpenSSL."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class KeyFiles:
    """A key pair as `openssl` writes it: PKCS #8 and SubjectPublicKeyInfo, both in PEM."""

    private_pem: bytes = field(repr=False)
    public_pem: bytes


def key_files(kind: str, copy: int = 0) -> KeyFiles:
    """A key of a kind, `RSA-2048`, `P-256` and so on; another copy is another key."""
    return _made(kind, copy)


@cache
def _made(kind: str, _copy: int) -> KeyFiles:
    if kind.startswith("RSA-"):
        options = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{kind.removeprefix('RSA-')}"]
    else:
        options = ["EC", "-pkeyopt", f"ec_paramgen_curve:{kind}"]
    private = _openssl("genpkey", "-algorithm", *options)
    return KeyFiles(private, _openssl("pkey", "-pubout", stdin=private))


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        ["openssl", *arguments],
        input=stdin,
        capture_output=True,
        check=True,
        timeout=30,
    )
    return done.stdout
