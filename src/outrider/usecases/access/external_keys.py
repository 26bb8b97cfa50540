"""The keys of one external issuer: fetched once for many calls, kept, and used when it is down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.access.external_issuer import ExternalIssuer, check_callable
from outrider.domain.calls.request import RequestError
from outrider.domain.formats.json_bounds import check_values
from outrider.usecases.ports.external_tokens import MAX_DOCUMENT_BYTES, Fetcher, JwtParser, KeySet

FRESH_FOR = timedelta(minutes=10)
"""After this time keys are fetched again; until the answer the old ones are used."""
STALE_FOR = timedelta(hours=24)
"""So long are keys used when no newer ones can be fetched."""
COOL_DOWN = timedelta(seconds=30)
"""The least time between two fetches, successful or not: any client may send a token."""
FETCH_TIMEOUT_S = 5.0
"""For one document."""
_OK = 200


class JwksFetchError(Exception):
    """No keys. The text is for the operator's log."""


@dataclass(frozen=True, slots=True)
class JwksFetcher:
    """Fetches the key set of an issuer, which its discovery document or the operator points to."""

    issuer: ExternalIssuer
    fetcher: Fetcher = field(repr=False)
    jwts: JwtParser = field(repr=False)

    async def __call__(self) -> KeySet:
        """Return the keys that it publishes now. Raise `JwksFetchError`."""
        try:
            url = self.issuer.jwks_url or await self._discover()
            return self.jwts.key_set(await self._get("the keys", url))
        except ValueError as problem:
            raise JwksFetchError(str(problem)) from None

    async def _discover(self) -> str:
        """OpenID Connect Discovery 1.0, section 4.3: a document that names another issuer is invalid."""
        document = await self._get("the discovery document", self.issuer.discovery_url)
        try:
            metadata = json.loads(document)
            issuer, url = metadata["issuer"], metadata["jwks_uri"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise JwksFetchError("the discovery document lacks issuer or jwks_uri") from None
        if issuer != self.issuer.issuer or not isinstance(url, str):
            raise JwksFetchError("the discovery document is that of another issuer")
        check_callable(url)
        return url

    async def _get(self, name: str, url: str) -> bytes:
        try:
            response = await self.fetcher.get(url, FETCH_TIMEOUT_S)
        except RequestError as error:
            raise JwksFetchError(f"{name}: {error.reason}") from None
        if response.status != _OK:
            raise JwksFetchError(f"{name}: the answer has the status {response.status}")
        if len(response.body) > MAX_DOCUMENT_BYTES:
            raise JwksFetchError(f"{name}: the answer is larger than {MAX_DOCUMENT_BYTES} bytes")
        try:
            check_values(response.body)
        except ValueError as problem:
            raise JwksFetchError(f"{name}: the answer cannot be read: {problem}") from None
        return response.body


@dataclass(slots=True)
class JwksCache:
    """One key set. Of several concurrent callers, one fetches it and the others wait.

    `on_failure` is called with the reason of a fetch that brought nothing. A caller that stops
    waiting stops no other.
    """

    fetch: Callable[[], Awaitable[KeySet]]
    now: Callable[[], datetime]
    on_failure: Callable[[str], None] = field(repr=False)
    _kept: tuple[datetime, KeySet] | None = field(default=None, repr=False)
    _tried_at: datetime | None = None
    _fetching: asyncio.Task[None] | None = field(default=None, repr=False)

    async def current(self) -> KeySet | None:
        """The keys to verify with; None when there are none, and none could be fetched."""
        now, kept = self.now(), self._kept
        if kept is None or not _is_within(kept[0], now, STALE_FOR):
            await self._wait_for_fetch(now)
            kept = self._kept
            return kept[1] if kept is not None and _is_within(kept[0], now, STALE_FOR) else None
        if not _is_within(kept[0], now, FRESH_FOR):
            self._start_fetch(now)
        return kept[1]

    async def newer(self, than: KeySet) -> KeySet | None:
        """Keys fetched after these, if there are or may be any; None: these are the newest."""
        if self._kept is not None and self._kept[1] is than:
            await self._wait_for_fetch(self.now())
        return self._kept[1] if self._kept is not None and self._kept[1] is not than else None

    async def aclose(self) -> None:
        """Cancel a fetch that is running."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _wait_for_fetch(self, now: datetime) -> None:
        self._start_fetch(now)
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _start_fetch(self, now: datetime) -> None:
        cooling = self._tried_at is not None and _is_within(self._tried_at, now, COOL_DOWN)
        if self._fetching is None and not cooling:
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch_and_keep())

    async def _fetch_and_keep(self) -> None:
        try:
            key_set = await self.fetch()
            self._kept = (self.now(), key_set)
        except JwksFetchError as problem:
            self.on_failure(str(problem))
        except Exception as problem:  # noqa: BLE001 - the kept keys stay in use
            self.on_failure(f"{type(problem).__name__} while fetching")
        finally:
            self._fetching = None


def _is_within(then: datetime, now: datetime, length: timedelta) -> bool:
    """In both directions: a clock may be set back, by little or by much."""
    return abs(now - then) < length
