"""The relay with its sources, as the operator lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from outrider import __version__
from outrider.bootstrap.app_context import AppContext, egress_policy, egress_proxy
from outrider.config.loading import Settings
from outrider.domain.access.external_issuer import ExternalIssuer
from outrider.domain.events.relay_source import MAX_CHARS, RelaySource, parse_relay_sources
from outrider.domain.ids import InstanceId
from outrider.errors import StartupError
from outrider.usecases.access.external_keys import JwksCache, JwksFetcher
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.relay import Relay, SourceKeys
from outrider.usecases.ports.external_tokens import MAX_DOCUMENT_BYTES, JweDecrypter

# Anybody may write the name of a source into a URL.
_SHOWN_CHARS = 100


@asynccontextmanager
async def open_relay(
    settings: Settings, opened: AppContext, publish: PublishEvents, log: Any
) -> AsyncIterator[Relay]:
    """A relay for every source; nothing is fetched before the first call that needs it.

    Raise `StartupError` for a file with a key that cannot be used.
    """
    sources = parse_relay_sources(settings.relay_sources)
    async with AsyncExitStack() as stack:
        fetched = await _fetched(settings, opened, sources, log, stack)
        source_keys = {source.name: _source_keys(source, opened, fetched) for source in sources}
        yield Relay(source_keys, opened.runtime, publish, partial(_report, log))


def _report(log: Any, source: str, reason: str) -> None:
    log.info("relay.unsigned", source=source[:_SHOWN_CHARS], reason=reason)


async def _fetched(
    settings: Settings,
    opened: AppContext,
    sources: tuple[RelaySource, ...],
    log: Any,
    stack: AsyncExitStack,
) -> dict[tuple[str, str], JwksCache]:
    """The keys of every issuer, by its name and the place of its keys."""
    publishers = [source.publisher for source in sources if source.publisher is not None]
    if not publishers:
        return {}
    # Reading the system's certificates takes a moment that most starts need not wait for.
    from outrider.adapters.crypto.external_jwt import ExternalJwts  # noqa: PLC0415
    from outrider.adapters.http.client import EgressClient  # noqa: PLC0415
    from outrider.adapters.http.connect.limits import ClientLimits  # noqa: PLC0415

    fetcher = EgressClient(
        egress_policy(settings),
        user_agent=f"outrider/{__version__}",
        limits=ClientLimits(max_body_bytes=MAX_DOCUMENT_BYTES),
        proxy=egress_proxy(settings),
    )
    stack.push_async_callback(fetcher.aclose)
    found: dict[tuple[str, str], JwksCache] = {}
    for publisher in publishers:
        if (publisher.issuer, publisher.jwks_url) in found:
            continue
        failed = partial(_fetch_failed, log, publisher)
        keys = JwksCache(
            JwksFetcher(publisher, fetcher, ExternalJwts()), opened.runtime.now, failed
        )
        found[publisher.issuer, publisher.jwks_url] = keys
        stack.push_async_callback(keys.aclose)
    return found


def _fetch_failed(log: Any, publisher: ExternalIssuer, reason: str) -> None:
    log.warning("relay.fetch_failed", issuer=publisher.issuer or publisher.jwks_url, reason=reason)


def check_relay_files(settings: Settings) -> None:
    """Raise `StartupError` for a file of a source that cannot be used, before any process starts."""
    for source in parse_relay_sources(settings.relay_sources):
        _signing_keys(source)
        _decrypter(source)


def _source_keys(
    source: RelaySource, opened: AppContext, fetched: dict[tuple[str, str], JwksCache]
) -> SourceKeys:
    return SourceKeys(
        source,
        InstanceId(source.instance) if source.instance else opened.instance,
        _signing_keys(source),
        fetched.get((source.issuer, source.jwks_url)),
        _decrypter(source),
    )


def _signing_keys(source: RelaySource) -> tuple[str, ...]:
    from_files = [_signing_key(source, path) for path in source.signing_key_files]
    return (*source.signing_keys, *from_files)


def _signing_key(source: RelaySource, path: str) -> str:
    try:
        text = _content(source, path).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > MAX_CHARS or not text.isprintable():
        raise _unusable(source, path, "holds no signing key: write it there as one line of text")
    return text


def _decrypter(source: RelaySource) -> JweDecrypter | None:
    if not source.decryption_key_files:
        return None
    from outrider.adapters.crypto.relay_jwe import PrivateKeys  # noqa: PLC0415 - few need it

    pems = []
    for path in source.decryption_key_files:
        pems.append(_content(source, path))
        try:
            PrivateKeys(pems[-1:])
        except ValueError as problem:
            raise _unusable(source, path, str(problem)) from None
    return PrivateKeys(pems)


def _content(source: RelaySource, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as failure:
        raise _unusable(source, path, f"cannot be read: {failure.strerror}") from None


def _unusable(source: RelaySource, path: str, problem: str) -> StartupError:
    return StartupError(f"relay_sources: {source.name}: {path} {problem}")
