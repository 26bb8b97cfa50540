"""Digests under the master key."""

from __future__ import annotations

import hashlib

from outrider.adapters.crypto.sealing import Sealing


def test_a_digest_tells_nothing_without_the_key():
    """
    A copy of the database must not say whether a payload was `{"approved":true}`.
    """
    content = b'"a.b","","":{"approved":true}'
    one, same, other = (Sealing(bytes([number]) * 32) for number in (1, 1, 2))

    assert one.digest(content) == same.digest(content)
    assert 16 == len(one.digest(content))
    assert one.digest(content) not in {
        other.digest(content),
        one.digest(content + b" "),
        hashlib.blake2b(content, digest_size=16).digest(),
        hashlib.blake2b(content, key=bytes([1]) * 32, digest_size=16).digest(),
    }
