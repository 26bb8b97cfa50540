"""Report the settings that a new policy replaces: those that had another value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MAX_SHOWN = 60
_SECRET = frozenset({"headers", "tls.clientCertPem", "tls.clientKeyPem", "tls.caPem", "proxyUrl"})
# Members that contain separate settings.
_GROUPS = frozenset({"retry", "breaker", "tls"})


def replaced_settings(former: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The former value of each setting that had one and has another now, such as `maxConcurrency 4`.

    Both are policies as protojson; what is secret is named without its value.
    """
    settings = dict(_settings(new))
    return [_shown(path, value) for path, value in _settings(former) if settings.get(path) != value]


def _settings(policy: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in policy.items():
        if name in _GROUPS:
            yield from ((f"{name}.{member}", inner) for member, inner in value.items())
        else:
            yield name, value


def _shown(path: str, value: object) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return path if path in _SECRET or len(text) > _MAX_SHOWN else f"{path} {text}"
