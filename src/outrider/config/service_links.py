"""Variables that Kubernetes sets in every pod, for each Service of the namespace.

For a Service named `outrider`, or `outrider-api`, their names begin as those of settings do, and
`OUTRIDER_PORT` is even one. Both the name and the value have to have the shape that Kubernetes gives
them: a misspelt setting has not.

https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

_URL = re.compile(r"(?:tcp|udp|sctp)://(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^:/\[\]]+)):[0-9]{1,5}")
_PORT = re.compile(r"[0-9]{1,5}")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes, and no operator, has set this variable."""
    # A name may be read in two ways: of the Service `outrider-service` it is another variable.
    return any(pattern.fullmatch(name) and has_shape(value) for pattern, has_shape in _SHAPES)


def service_links(environ: Mapping[str, str]) -> list[str]:
    """The names of all such variables, in order."""
    return [name for name in sorted(environ) if is_service_link(name, environ[name])]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    found = _URL.fullmatch(text)
    return found is not None and _is_address(found["v6"] or found["v4"])


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None


def _named(ending: str) -> re.Pattern[str]:
    return re.compile(rf"OUTRIDER(?:_[A-Z0-9_]+)?_{ending}")


_PORT_OF = "PORT_[0-9]+_(?:TCP|UDP|SCTP)"
_SHAPES: Sequence[tuple[re.Pattern[str], Callable[[str], bool]]] = (
    (_named("SERVICE_HOST"), _is_address),
    (_named("SERVICE_PORT(?:_[A-Z0-9_]+)?"), _is_port),
    (_named("PORT"), _is_url),
    (_named(_PORT_OF), _is_url),
    (_named(f"{_PORT_OF}_PROTO"), _PROTOCOLS.__contains__),
    (_named(f"{_PORT_OF}_PORT"), _is_port),
    (_named(f"{_PORT_OF}_ADDR"), _is_address),
)
