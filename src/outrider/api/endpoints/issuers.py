"""The instance of a request, and the URL of that instance as an issuer of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from outrider.api.asgi.origin import authority_of, origin_of
from outrider.api.asgi.types import Scope
from outrider.domain.access.instance import host_of
from outrider.domain.ids import InstanceId
from outrider.usecases.access.authenticate import InstanceResolver


class UnusableHostError(Exception):
    """The request does not name the host that it came to."""


@dataclass(frozen=True, slots=True)
class Issuers:
    """The issuer of every instance.

    `external_url` is the default instance's. Another is called by the host name that leads to it, and
    has scheme, port and path of `external_url`. Without that, both are what the caller used.
    """

    resolve_instance: InstanceResolver
    default: InstanceId
    external_url: str = ""

    def instance(self, scope: Scope) -> InstanceId:
        """The instance that the request came to."""
        return self.resolve_instance(authority_of(scope))

    def issuer(self, scope: Scope) -> str:
        """The URL of the request's instance, without a slash at its end.

        Raises:
            UnusableHostError: the header Host is absent or malformed, and no setting names the issuer.
        """
        if self.external_url and self.instance(scope) == self.default:
            return self.external_url.rstrip("/")
        if self.external_url:
            return _with_host(self.external_url.rstrip("/"), host_of(authority_of(scope)))
        origin = origin_of(scope)
        if not origin:
            raise UnusableHostError
        return origin.decode()


def _with_host(url: str, host: str) -> str:
    parts = urlsplit(url)
    bracketed = f"[{host}]" if ":" in host else host
    authority = bracketed if parts.port is None else f"{bracketed}:{parts.port}"
    return urlunsplit(parts._replace(netloc=authority))
