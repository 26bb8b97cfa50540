"""The keys of one external issuer: fetched once for many calls, kept, and used when it is down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

from outrider.domain.access.external_issuer import ExternalIssuer, check_callable
from outrider.domain.calls.request import RequestError
from outrider.domain.formats.json_bounds import check_values
from outrider.usecases.ports.external_tokens import MAX_DOCUMENT_BYTES, Fetcher, JwtParser, KeySet
from outrider_receiver._kept_keys import KeptKeys

FRESH_FOR = timedelta(minutes=10)
"""After this time keys are fetched again; until the answer the old ones are used."""
STALE_FOR = timedelta(hours=24)
"""So long are keys used when no newer ones can be fetched."""
COOL_DOWN = timedelta(seconds=30)
"""The least time between two fetches, successful or not: any client may send a token."""
FETCH_TIMEOUT_S = 5.0
"""For one document."""


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
        if response.status != HTTPStatus.OK:
            raise JwksFetchError(f"{name}: the answer has the status {response.status}")
        if len(response.body) > MAX_DOCUMENT_BYTES:
            raise JwksFetchError(f"{name}: the answer is larger than {MAX_DOCUMENT_BYTES} bytes")
        try:
            check_values(response.body)
        except ValueError as problem:
            raise JwksFetchError(f"{name}: the answer cannot be read: {problem}") from None
        return response.body


class JwksCache:
    """Implements the port `IssuerKeys`. Of several concurrent callers, one fetches and the others wait.

    `on_failure` is called with the reason of a fetch that brought nothing. A caller that stops
    waiting stops no other.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[KeySet]],
        now: Callable[[], datetime],
        on_failure: Callable[[str], None],
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._on_failure = on_failure
        limits = (FRESH_FOR, STALE_FOR, COOL_DOWN)
        self._kept = KeptKeys[KeySet](*(limit.total_seconds() for limit in limits))
        self._fetching: asyncio.Task[None] | None = None

    async def current(self) -> KeySet | None:
        now = self._now().timestamp()
        if self._kept.usable(now) is None:
            await self._wait_for_fetch(now)
        elif self._kept.is_old(now):
            self._start_fetch(now)
        return self._kept.usable(now)

    async def newer(self, than: KeySet) -> KeySet | None:
        if self._kept.newest is than:
            await self._wait_for_fetch(self._now().timestamp())
        return self._kept.newest if self._kept.newest is not than else None

    async def aclose(self) -> None:
        """Cancel a fetch that is running."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _wait_for_fetch(self, now: float) -> None:
        self._start_fetch(now)
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _start_fetch(self, now: float) -> None:
        if self._fetching is None and self._kept.may_fetch(now):
            self._fetching = asyncio.create_task(self._fetch_and_keep())

    async def _fetch_and_keep(self) -> None:
        try:
            key_set = await self._fetch()
            self._kept.keep(key_set, self._now().timestamp())
        except JwksFetchError as problem:
            self._on_failure(str(problem))
        except Exception as problem:  # noqa: BLE001 - the kept keys stay in use
            self._on_failure(f"{type(problem).__name__} while fetching")
        finally:
            self._fetching = None


@dataclass(frozen=True, slots=True)
class IssuerKeyCaches:
    """One cache for each issuer and URL. `report` is told why keys could not be fetched."""

    jwts: JwtParser
    fetcher: Fetcher = field(repr=False)
    now: Callable[[], datetime]
    report: Callable[[ExternalIssuer, str], None] = field(repr=False)
    _caches: dict[tuple[str, str], JwksCache] = field(default_factory=dict, repr=False)

    def keys_of(self, issuer: ExternalIssuer) -> JwksCache:
        """Its keys; nothing is fetched before they are asked for."""
        name_and_url = issuer.issuer, issuer.jwks_url
        if name_and_url not in self._caches:
            fetch = JwksFetcher(issuer, self.fetcher, self.jwts)
            on_failure = partial(self.report, issuer)
            self._caches[name_and_url] = JwksCache(fetch, self.now, on_failure)
        return self._caches[name_and_url]

    async def aclose(self) -> None:
        """Fetch no more."""
        await asyncio.gather(*(cache.aclose() for cache in self._caches.values()))
