"""A service that trusts two issuers, and one that is not there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.access.external.issuer import OidcIssuer, published
from api.access.external.trust import NOBODY_THERE, Trust
from api.calls.service import running
from outrider.domain.net.egress_policy import EgressProfile


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def trust(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trust]:
    """One issuer with keys of every kind, and another that may read only."""
    usual = ("rsa", "P-256", "P-384", "P-521", "Ed25519", "rsa too small")
    async with OidcIssuer(*usual) as issuer, OidcIssuer("unpublished") as other:
        issuer.keys += [
            published("new", kid="for encryption", use="enc"),
            published("new", kid="for signing", key_ops=["sign"]),
            published("rsa of another", kid="for RS512", alg="RS512"),
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"},
            {"kty": "EC", "crv": "secp256k1", "kid": "a coin", "x": "AA", "y": "AA"},
            {"kid": "odd"},
            "garbage",
        ]
        entries = [
            issuer.entry(),
            other.entry(default_roles="IAM_OWNER_VIEWER", roles={}),
            other.entry(instance="7"),
            issuer.entry(issuer=NOBODY_THERE),
        ]
        async with running(
            tmp_path_factory.mktemp("service"),
            egress_profile=EgressProfile.DEV,
            oidc_issuers=json.dumps(entries),
        ) as service:
            yield Trust(service, issuer, other)
