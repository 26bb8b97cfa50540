"""Whose a request is, and what its instance is called as an issuer of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from outrider.api.asgi.origin import authority_of, origin_of
from outrider.api.asgi.types import Scope
from outrider.domain.access.instance import host_of
from outrider.domain.ids import InstanceId


class UnusableHostError(Exception):
    """The request does not say by which name it came."""


@dataclass(frozen=True, slots=True)
class Issuers:
    """The issuer of every instance.

    `external_url` is the default instance's. Another is called by the host name that chose it, and
    has scheme, port and path of `external_url`. Without that, both are what the caller used.
    """

    choose: Callable[[str], InstanceId]
    default: InstanceId
    external_url: str = ""

    def instance(self, scope: Scope) -> InstanceId:
        """Whose the request is."""
        return self.choose(authority_of(scope))

    def issuer(self, scope: Scope) -> str:
        """The URL of the request's instance, without a slash at its end.

        Raises:
            UnusableHostError: the header Host is absent or malformed, and nothing else says it.
        """
        if self.external_url and self.instance(scope) == self.default:
            return self.external_url.rstrip("/")
        if self.external_url:
            return _moved(self.external_url.rstrip("/"), host_of(authority_of(scope)))
        origin = origin_of(scope)
        if not origin:
            raise UnusableHostError
        return origin.decode()


def _moved(url: str, host: str) -> str:
    parts = urlsplit(url)
    written = f"[{host}]" if ":" in host else host
    place = written if parts.port is None else f"{written}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place))
