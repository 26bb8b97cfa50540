"""Tokens of other issuers, with the caller that fetches their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from outrider import __version__
from outrider.bootstrap.parts import Opened, egress_policy, egress_proxy
from outrider.domain.outside_issuer import parse_issuers
from outrider.settings import Settings
from outrider.usecases.outside_ports import MAX_DOCUMENT_BYTES
from outrider.usecases.outside_tokens import OutsideTokens


@asynccontextmanager
async def open_outside_tokens(
    settings: Settings, opened: Opened, log: Any
) -> AsyncIterator[OutsideTokens | None]:
    """None where no issuer is configured; then nothing of this is loaded or opened."""
    issuers = parse_issuers(settings.oidc_issuers)
    if not issuers:
        yield None
        return
    # Reading the system's certificates takes a moment that most starts need not wait for.
    from outrider.adapters.egress.caller import HttpCaller  # noqa: PLC0415
    from outrider.adapters.egress.limits import CallerLimits  # noqa: PLC0415
    from outrider.adapters.keys.outside_jwt import OutsideJwts  # noqa: PLC0415

    def report(issuer: str, reason: str) -> None:
        log.warning("oidc.fetch_failed", issuer=issuer, reason=reason)

    fetcher = HttpCaller(
        egress_policy(settings),
        user_agent=f"outrider/{__version__}",
        limits=CallerLimits(max_body_bytes=MAX_DOCUMENT_BYTES),
        proxy=egress_proxy(settings),
    )
    tokens = OutsideTokens(issuers, opened.instance, opened.ambient, OutsideJwts(), fetcher, report)
    try:
        yield tokens
    finally:
        await tokens.aclose()
        await fetcher.aclose()
