"""The keys that an issuer publishes, fetched when they are needed and kept for a while.

    keys = Jwks.of_issuer("https://auth.example.com")        # or Jwks("https://…/oauth/v2/keys")

- One fetch at a time: other callers that need keys wait for the same answer, in any thread or loop.
- A key that is not known is looked for again, once per `cool_down`: a web key may be new. Until
  then the answer is no, without asking.
- Keys older than `max_age` are renewed in the background and serve on meanwhile, and while the issuer
  cannot be reached, up to `max_stale`. A key that the issuer has withdrawn is believed no longer
  than that.
- A failure is remembered for `cool_down` too: an issuer that is down is not asked by every call.

Only the URL that is configured is asked, and the `jwks_uri` that the issuer's discovery names, if it
is of the issuer's own origin. `https` is required, except on loopback. Redirects are not followed.
What a token says about where its keys are is never read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol
from urllib.parse import urlsplit

from outrider_receiver._kept_keys import KeptKeys
from outrider_receiver._refusal import KeysUnavailable

Jwk = Mapping[str, Any]
"""One key as published: RFC 7517."""

Fetch = Callable[[str], bytes]
"""Get a URL: the body of its answer, or an exception. It runs in a separate thread."""

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_KEYS = 100
FETCH_SECONDS = 5.0
_PART_BYTES = 16 * 1024
_WAIT_SECONDS = 15.0  # two fetches, for discovery, and some

_LATE = "the issuer's keys did not come in time"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class KeySource(Protocol):
    """A source of the keys that verify tokens."""

    def find(self, kid: str) -> Jwk | None:
        """Return the key of this id, None when there is none. May wait for the network.

        Raises:
            KeysUnavailable: the keys could not be had.
        """
        ...

    async def find_async(self, kid: str) -> Jwk | None:
        """The same, without holding up the event loop."""
        ...


class StaticKeys:
    """Keys that are known beforehand: no network."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """`document` is a JWK set: `{"keys": [...]}`."""
        self._keys = _by_kid(document)

    def find(self, kid: str) -> Jwk | None:
        """Return the key of this id, or None."""
        return self._keys.get(kid)

    async def find_async(self, kid: str) -> Jwk | None:
        """Return the key of this id, or None."""
        return self._keys.get(kid)


class Jwks:
    """The keys behind a URL, as the module says. One for a process; it may be shared by threads."""

    def __init__(
        self,
        url: str,
        *,
        max_age: float = 300.0,
        max_stale: float = 86_400.0,
        cool_down: float = 30.0,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is fetched yet. All times are in seconds.

        Raises:
            ValueError: the URL is neither https nor of loopback.
        """
        self._url: str | None = checked_url(url)
        self._issuer: str | None = None
        self._kept = KeptKeys[dict[str, Jwk]](max_age, max_stale, cool_down)
        self._fetch = fetch or fetch_url
        self._clock = clock
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None

    @classmethod
    def of_issuer(
        cls,
        issuer: str,
        *,
        max_age: float = 300.0,
        max_stale: float = 86_400.0,
        cool_down: float = 30.0,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Jwks:
        """The keys that `<issuer>/.well-known/openid-configuration` names; see the class.

        Raises:
            ValueError: the issuer is neither https nor of loopback.
        """
        keys = cls(
            issuer,
            max_age=max_age,
            max_stale=max_stale,
            cool_down=cool_down,
            fetch=fetch,
            clock=clock,
        )
        keys._issuer, keys._url = issuer, None
        return keys

    def __repr__(self) -> str:
        return f"<Jwks {self._url or self._issuer}: {len(self._kept.newest or ())} keys>"

    def find(self, kid: str) -> Jwk | None:
        """Return the key of this id, or None. Raise `KeysUnavailable` when a fetch has failed."""
        flight = self._flight_for(kid)
        if flight is not None:
            _landed(flight)
        return self._settled(kid)

    async def find_async(self, kid: str) -> Jwk | None:
        """Return the key of this id, or None. Raise `KeysUnavailable` when a fetch has failed."""
        flight = self._flight_for(kid)
        if flight is not None:
            import asyncio  # noqa: PLC0415 - who calls this has it; importing it costs the others

            # Shielded: who gives up waiting must not take the answer from the others.
            landing = asyncio.shield(asyncio.wrap_future(flight))
            try:
                await asyncio.wait_for(landing, _WAIT_SECONDS)
            except asyncio.TimeoutError:
                raise KeysUnavailable(_LATE) from None
        return self._settled(kid)

    def _flight_for(self, kid: str) -> Future[None] | None:
        """Return the fetch to wait for before answering; None when the answer is known."""
        with self._lock:
            now = self._clock()
            if kid in (self._kept.usable(now) or ()):
                if self._kept.is_old(now):
                    self._launched(now)  # no caller waits for it: the old key is used meanwhile
                return None
            self._launched(now)
            return self._flight if self._in_flight() else None

    def _in_flight(self) -> bool:
        return self._flight is not None and not self._flight.done()

    def _launched(self, now: float) -> None:
        """Fetch, unless a fetch is running or ended recently."""
        if self._in_flight() or not self._kept.may_fetch(now):
            return
        flight: Future[None] = Future()
        self._flight = flight
        threading.Thread(target=self._fly, args=(flight,), daemon=True, name="jwks").start()

    def _fly(self, flight: Future[None]) -> None:
        try:
            keys = _by_kid(_object(self._fetch(self._located())))
        except Exception:  # noqa: BLE001, S110 - whatever went wrong, the old keys serve on
            pass
        else:
            with self._lock:
                self._kept.keep(keys, self._clock())
        finally:
            flight.set_result(None)

    def _located(self) -> str:
        if self._url is not None:
            return self._url
        issuer = str(self._issuer)
        discovery = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        document = _object(self._fetch(discovery))
        url = document.get("jwks_uri")
        if document.get("issuer") != issuer or not isinstance(url, str):
            raise ValueError("the discovery document is of another issuer, or names no keys")
        if _origin(checked_url(url)) != _origin(issuer):
            raise ValueError("the issuer's keys are of another origin")
        self._url = url
        return url

    def _settled(self, kid: str) -> Jwk | None:
        with self._lock:
            keys = self._kept.usable(self._clock())
            if keys is None:
                raise KeysUnavailable("the issuer's keys could not be fetched")
            return keys.get(kid)


def fetch_url(url: str, *, seconds: float = FETCH_SECONDS) -> bytes:
    """Get a document over HTTP: status 200, no redirect, up to 256 KiB, all of it in `seconds`.

    Raises:
        OSError: the server is unreachable, or its status is not 200. TimeoutError is one of them.
        ValueError: the document is too long.
    """
    from urllib.request import Request, build_opener  # noqa: PLC0415 - 20 ms that few need

    from outrider_receiver._no_redirect import NoRedirect  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked_url
    document = b""
    with build_opener(NoRedirect).open(request, timeout=seconds) as answer:
        # The time-out is one of each read: who sends a byte now and then would never meet it.
        while part := answer.read1(_PART_BYTES):
            document += part
            if len(document) > MAX_DOCUMENT_BYTES:
                raise ValueError("the document is too long")
            if time.monotonic() > deadline:
                raise TimeoutError("the document did not come in time")
    return document


def checked_url(url: str) -> str:
    """The same URL.

    Raises:
        ValueError: it is neither https nor http of loopback, or it has credentials.
    """
    parts = urlsplit(url)
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not is_secure or not parts.hostname or "@" in parts.netloc:
        raise ValueError("keys are fetched over https, or over http from loopback")
    return url


def _landed(flight: Future[None]) -> None:
    from concurrent.futures import TimeoutError as Late  # noqa: PLC0415 - its name in 3.10

    try:
        flight.result(_WAIT_SECONDS)
    except Late:
        raise KeysUnavailable(_LATE) from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _object(document: bytes) -> dict[str, Any]:
    found = json.loads(document.decode("utf-8"))
    if not isinstance(found, dict):
        raise TypeError("not a JSON object")
    return found


def _by_kid(document: Mapping[str, Any]) -> dict[str, Jwk]:
    """Those keys that have an id. What else is in there is for other readers.

    Raises:
        ValueError: it is no JWK set, or has more keys than any issuer.
    """
    members = document.get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise ValueError("a JWK set has a list of keys, of at most a hundred")
    return {
        member["kid"]: member
        for member in members
        if isinstance(member, dict) and isinstance(member.get("kid"), str)
    }
