"""Tokens of external issuers, with the client that fetches their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from outrider import __version__
from outrider.bootstrap.app_context import AppContext, egress_policy, egress_proxy
from outrider.config.loading import Settings
from outrider.domain.access.external_issuer import ExternalIssuer, parse_issuers
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.ports.external_tokens import MAX_DOCUMENT_BYTES

if TYPE_CHECKING:
    from outrider.adapters.crypto.issuer_keys import IssuerKeyCaches


@asynccontextmanager
async def open_external_tokens(
    settings: Settings, context: AppContext, log: Any
) -> AsyncIterator[ExternalTokens | None]:
    """None where no issuer is configured; then nothing of this is loaded or opened."""
    issuers = parse_issuers(settings.oidc_issuers)
    if not issuers:
        yield None
        return

    def report(issuer: ExternalIssuer, reason: str) -> None:
        log.warning("oidc.fetch_failed", issuer=issuer.issuer, reason=reason)

    async with open_issuer_keys(settings, context, report) as caches:
        yield ExternalTokens(
            issuers, context.instance, context.runtime, caches.jwts, caches.keys_of
        )


@asynccontextmanager
async def open_issuer_keys(
    settings: Settings, context: AppContext, report: Callable[[ExternalIssuer, str], None]
) -> AsyncIterator[IssuerKeyCaches]:
    """Keys of issuers, and the client that fetches them under the policy of all calls."""
    # Reading the system's certificates takes a moment that most starts need not wait for.
    from outrider.adapters.crypto.external_jwt import ExternalJwts  # noqa: PLC0415
    from outrider.adapters.crypto.issuer_keys import IssuerKeyCaches  # noqa: PLC0415
    from outrider.adapters.http.client import EgressClient  # noqa: PLC0415
    from outrider.adapters.http.connect.limits import ClientLimits  # noqa: PLC0415

    client = EgressClient(
        egress_policy(settings),
        user_agent=f"outrider/{__version__}",
        limits=ClientLimits(max_body_bytes=MAX_DOCUMENT_BYTES),
        proxy=egress_proxy(settings),
    )
    caches = IssuerKeyCaches(ExternalJwts(), client, context.runtime.now, report)
    try:
        yield caches
    finally:
        await caches.aclose()
        await client.aclose()
