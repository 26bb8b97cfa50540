"""Receive calls of outrider and of ZITADEL Actions v2: know who made them before believing them.

    call = verify(body, headers, signing_keys=signing_key)

Everything else in this package is private, except `outrider_receiver.testing`.
"""

from outrider_receiver._refusal import InvalidSignature, Reason
from outrider_receiver._verify import VerifiedCall, verify

__all__ = ["InvalidSignature", "Reason", "VerifiedCall", "verify"]
