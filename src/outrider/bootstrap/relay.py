"""The relay with its sources, as the operator lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outrider.adapters.crypto.relay_signature import SignatureVerifier
from outrider.bootstrap.app_context import AppContext
from outrider.bootstrap.external_tokens import open_issuer_keys
from outrider.config.loading import Settings
from outrider.domain.access.external_issuer import ExternalIssuer
from outrider.domain.events.relay_source import MAX_CHARS, RelaySource, parse_relay_sources
from outrider.domain.ids import InstanceId
from outrider.errors import StartupError
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.relay import Relay, SourceKeys
from outrider.usecases.ports.external_tokens import JweDecrypter

if TYPE_CHECKING:
    from outrider.adapters.crypto.issuer_keys import IssuerKeyCaches

# A URL may name any source, in a text of any length.
_MAX_LOGGED_CHARS = 100


@asynccontextmanager
async def open_relay(
    settings: Settings, context: AppContext, publish: PublishEvents, log: Any
) -> AsyncIterator[Relay]:
    """A relay for every source; nothing is fetched before the first call that needs it.

    Raise `StartupError` for a file with a key that cannot be used.
    """
    sources = parse_relay_sources(settings.relay_sources)
    async with AsyncExitStack() as stack:
        caches = None
        if any(source.publisher for source in sources):
            report = partial(_report_failure, log)
            caches = await stack.enter_async_context(open_issuer_keys(settings, context, report))
        source_keys = {source.name: _source_keys(source, context, caches) for source in sources}
        yield Relay(source_keys, context.runtime, publish, partial(_report, log))


def _report(log: Any, source: str, reason: str) -> None:
    log.info("relay.unsigned", source=source[:_MAX_LOGGED_CHARS], reason=reason)


def _report_failure(log: Any, publisher: ExternalIssuer, reason: str) -> None:
    log.warning("relay.fetch_failed", issuer=publisher.issuer or publisher.jwks_url, reason=reason)


def check_relay_files(settings: Settings) -> None:
    """Raise `StartupError` for a file of a source that cannot be used, before any process starts."""
    for source in parse_relay_sources(settings.relay_sources):
        _signing_keys(source)
        _decrypter(source)


def _source_keys(
    source: RelaySource, context: AppContext, caches: IssuerKeyCaches | None
) -> SourceKeys:
    signing_keys = _signing_keys(source)
    return SourceKeys(
        source,
        InstanceId(source.instance) if source.instance else context.instance,
        SignatureVerifier(signing_keys, source.max_age_s) if signing_keys else None,
        caches.keys_of(source.publisher) if caches and source.publisher else None,
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
