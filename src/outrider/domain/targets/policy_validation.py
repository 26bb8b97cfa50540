"""Validate and redact a policy, and keep its secrets when it is set again.

Ranges and lengths are rules of the proto file; these are the checks that no rule can write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from outrider.domain.net.proxy import is_redacted, parse_proxy, redacted_proxy_url
from outrider.domain.targets.policy import DEFAULT_POLICY, TargetPolicy, TlsPolicy
from outrider.errors import InvalidRequest

CheckTls = Callable[[TlsPolicy], None]
"""Raises `ValueError` with a sentence when a TLS context cannot be made of it."""

# RFC 9110, sections 5.1 and 5.5. Values are ASCII: what other bytes mean is up to each receiver.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
# They say where a message ends and what its body is, or they are ours: a second one would
# contradict the first, or the signature.
_RESERVED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-zitadel-signature",
        "zitadel-signature",
    }
)
_RESERVED_PREFIXES = ("outrider-", "proxy-", "webhook-")
_BOTH = "value and TlsPolicy.ClientCertPem must be given together"


def check_policy(policy: TargetPolicy) -> None:
    """Raise `InvalidRequest` for what no policy may say, whatever was set before."""
    _check_headers(policy)
    if policy.breaker.failures and not policy.breaker.open_for:
        raise _invalid("BreakerPolicy.OpenFor", "value must be greater than 0s")
    if policy.tls.client_key_pem and not policy.tls.client_cert_pem:
        raise _invalid("TlsPolicy.ClientKeyPem", _BOTH)
    if policy.proxy_url:
        try:
            parse_proxy(policy.proxy_url)
        except ValueError as wrong:
            raise _invalid("TargetPolicy.ProxyUrl", str(wrong)) from None


def check_tls(policy: TargetPolicy, check: CheckTls) -> None:
    """Raise `InvalidRequest` when no TLS context can be made of the policy's certificates."""
    if policy.tls == DEFAULT_POLICY.tls:
        return
    try:
        check(policy.tls)
    except ValueError as wrong:
        raise _invalid("TargetPolicy.Tls", str(wrong)) from None


def redacted_policy(policy: TargetPolicy) -> TargetPolicy:
    """Return it without its secrets: headers have empty values, the proxy's password is `***`."""
    return replace(
        policy,
        headers=tuple((name, "") for name, _ in policy.headers),
        tls=replace(policy.tls, client_key_pem=""),
        proxy_url=redacted_proxy_url(policy.proxy_url),
    )


def with_kept_secrets(policy: TargetPolicy, stored: TargetPolicy) -> TargetPolicy:
    """Fill what `policy` leaves open from `stored`, so that a redacted policy can be set again.

    An empty header value stands for that of the same name; an empty client key for the one next to
    the same certificate; `***` for the password of the same proxy and user. Raise `InvalidRequest`
    where there is none.
    """
    return replace(
        policy,
        headers=_kept_headers(policy, stored),
        tls=_kept_client_key(policy.tls, stored.tls),
        proxy_url=_kept_proxy_url(policy.proxy_url, stored.proxy_url),
    )


def _check_headers(policy: TargetPolicy) -> None:
    seen = set()
    for name, value in policy.headers:
        folded = name.lower()
        if not _NAME.fullmatch(name):
            raise _invalid(
                "TargetPolicy.Headers", "a name must be a token of RFC 9110: letters, digits and -"
            )
        if folded in _RESERVED or folded.startswith(_RESERVED_PREFIXES):
            raise _invalid(_header(name), "outrider or HTTP sets this header: leave it out")
        if folded in seen:
            raise _invalid(_header(name), "the same name is there twice: give it once")
        if value and not _VALUE.fullmatch(value):
            reason = "value must be visible ASCII, with spaces only inside"
            raise _invalid(_header(name), reason)
        seen.add(folded)


def _kept_headers(policy: TargetPolicy, stored: TargetPolicy) -> tuple[tuple[str, str], ...]:
    known = {name.lower(): value for name, value in stored.headers}
    kept = tuple((name, value or known.get(name.lower(), "")) for name, value in policy.headers)
    for name, value in kept:
        if not value:
            raise _invalid(_header(name), "value is required")
    return kept


def _kept_client_key(tls: TlsPolicy, stored: TlsPolicy) -> TlsPolicy:
    if not tls.client_cert_pem or tls.client_key_pem:
        return tls
    if tls.client_cert_pem != stored.client_cert_pem:
        raise _invalid("TlsPolicy.ClientKeyPem", _BOTH)
    return replace(tls, client_key_pem=stored.client_key_pem)


def _kept_proxy_url(url: str, stored: str) -> str:
    if not is_redacted(url):
        return url
    if url != redacted_proxy_url(stored):
        raise _invalid(
            "TargetPolicy.ProxyUrl", "the password is redacted, and there is none to keep: give it"
        )
    return stored


def _header(name: str) -> str:
    return f"TargetPolicy.Headers[{name}]"


def _invalid(field: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"invalid {field}: {reason}")
