"""The service, the issuers it trusts, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from api.access.external.issuer import OidcIssuer, signed
from api.calls.service import Service, bearer
from api.calls.table import Caller
from api.wires import Wire

NOBODY_THERE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Trust:
    """All that a test of external tokens needs."""

    service: Service
    issuer: OidcIssuer
    other: OidcIssuer

    @property
    def now(self) -> float:
        """The service's time in seconds."""
        return self.service.clock.now.timestamp()

    def token(
        self,
        name: str = "rsa",
        alg: str = "RS256",
        header: Mapping[str, Any] | None = None,
        **changes,
    ) -> str:
        """A good token of the issuer, but for what a test changes."""
        whole = {"alg": alg, "kid": name, "typ": "at+jwt", **(header or {})}
        return signed(self.issuer.claims(self.now, **changes), name, whole)

    async def answer(
        self,
        token: str,
        wire: Wire = Wire.CONNECT_JSON,
        rpc: str = "ListTargets",
        request: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """How a call with this token ends: its code, and the id in its detail."""
        callers = {**self.service.headers, Caller.ADMIN: bearer(token)}
        service = replace(self.service, headers=callers)
        result = await service.answer(rpc, request or {}, wire=wire)
        return result.code, result.detail_id or ""
