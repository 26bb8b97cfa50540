"""One service as an application: its handlers, with interceptors and codecs around every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from connectrpc.server import ConnectASGIApplication
from protobuf import DescService

from outrider.api.asgi.error_details import readable_details
from outrider.api.asgi.gzip import Gzip
from outrider.api.asgi.limits import PUBLIC_BYTES, REQUEST_BYTES
from outrider.api.asgi.types import App
from outrider.api.rpc.codecs import codecs
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.interceptors import PUBLIC, Authenticate, interceptors, permission_of
from outrider.api.rpc.telemetry import NO_TELEMETRY, Telemetry
from outrider.usecases.ports.log import Log

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Service:
    """A service and the application that answers its procedures."""

    descriptor: DescService
    app: App


def needs_token(descriptor: DescService) -> bool:
    """Return whether any call of the service needs a token; other services read bodies of any client."""
    return any(permission_of(method) != PUBLIC for method in descriptor.methods)


def serve(
    application: Callable[..., ConnectASGIApplication[S]],
    handlers: S,
    descriptor: DescService,
    authenticate: Authenticate,
    log: Log,
    *,
    telemetry: Telemetry = NO_TELEMETRY,
) -> Service:
    """A service with everything around its calls.

    `application` is the generated `...ASGIApplication` class, `descriptor` comes from the
    generated protocol's `desc()`.
    """
    errors = ErrorMapper(log)
    app = application(
        handlers,
        interceptors=interceptors(authenticate, log, errors, descriptor, telemetry=telemetry),
        read_max_bytes=REQUEST_BYTES if needs_token(descriptor) else PUBLIC_BYTES,
        compressions=(Gzip(),),
        codecs=codecs(errors),
    )
    # Where the types of ASGI are installed, those of the library's messages are narrower than ours.
    return Service(descriptor, readable_details(cast("App", app)))
