"""Which method a request of an ASGI application is: from a table, or from the application's routes.

Nothing of Starlette or FastAPI is imported: a route is what has a path, methods and a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

_PARAMETER = re.compile(r"\{([A-Za-z_]\w*)(?::([A-Za-z_]\w*))?\}", re.ASCII)
_NO_NAME = re.compile(r"\W", re.ASCII)
_NO_WORD = re.compile(r"\W+", re.ASCII)
# Starlette's converters; any other one takes one segment.
_CONVERTERS = {
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
}


@dataclass(frozen=True, slots=True)
class RoutedMethod:
    """`/package.Service/Method`, and what the path says of its parameters."""

    full_method: str
    path: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    parameters: Sequence[str]
    full_method: str


class Routes(Protocol):
    """Which method a request is."""

    @property
    def full_methods(self) -> list[str]:
        """Each once."""
        ...

    def find(self, http_method: str, path: str) -> RoutedMethod | None:
        """Return None for a request that is none of them. HEAD is GET where it is nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Templates of paths by HTTP method; of several that fit, the first one counts."""

    by_method: Mapping[str, Sequence[_Route]] = field(default_factory=dict)

    @property
    def full_methods(self) -> list[str]:
        """Each once, in order."""
        names = (route.full_method for routes in self.by_method.values() for route in routes)
        return list(dict.fromkeys(names))

    def find(self, http_method: str, path: str) -> RoutedMethod | None:
        """Return None for a request that is none of them."""
        for route in self.by_method.get(http_method, ()):
            match = route.pattern.match(path)
            if match:
                # Of a name that is there twice the inner one counts, as in Starlette.
                found = dict(zip(route.parameters, match.groups(), strict=True))
                return RoutedMethod(route.full_method, found)
        return self.find("GET", path) if http_method == "HEAD" else None


def routes_from_table(table: Mapping[str, str]) -> RouteTable:
    """Read `{"POST /orders/{id}": "/acme.v1.Orders/Create"}`. Raise `ValueError` naming the row."""
    rows = []
    for route, full_method in table.items():
        http_method, _, path = route.partition(" ")
        if not http_method.isupper() or not path.startswith("/"):
            raise ValueError(f"a route is written 'POST /path', not {route!r}")
        rows.append((http_method, path, full_method))
    return _routes(rows)


def routes_of_app(routes: Iterable[Any], service: str) -> RouteTable:
    """Name every route `/<service>/<name of its endpoint>`, those of mounted applications, too."""
    return _routes(
        (
            http_method,
            path,
            f"/{service}/{_NO_NAME.sub('_', name or '') or operation_name(http_method, path)}",
        )
        for path, methods, name in _flatten(routes, "")
        for http_method in methods
    )


def operation_name(http_method: str, path: str) -> str:
    """The name of an operation that has none: `get_orders_id` for GET `/orders/{id}`."""
    return _NO_WORD.sub("_", f"{http_method.lower()} {path}").strip("_")


def _routes(rows: Iterable[tuple[str, str, str]]) -> RouteTable:
    by_method: dict[str, list[_Route]] = {}
    for http_method, path, full_method in rows:
        by_method.setdefault(http_method, []).append(_route(path, full_method))
    return RouteTable(by_method)


def _route(path: str, full_method: str) -> _Route:
    parts, parameters, position = [], [], 0
    for match in _PARAMETER.finditer(path):
        parts.append(re.escape(path[position : match.start()]))
        parts.append(f"({_CONVERTERS.get(match[2] or 'str', _CONVERTERS['str'])})")
        parameters.append(match[1])
        position = match.end()
    parts.append(re.escape(path[position:]))
    # As Starlette does it, the line feed that `$` lets through included: what the application
    # answers must not slip past the targets.
    return _Route(re.compile(f"^{''.join(parts)}$"), parameters, full_method)


def _flatten(routes: Iterable[Any], prefix: str) -> Iterator[tuple[str, Sequence[str], str | None]]:
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)
        if included is not None:
            # FastAPI keeps included routers as they are; the paths of these have their prefix.
            contexts = (
                getattr(context, "starlette_route", None) or context for context in included()
            )
            yield from _flatten(contexts, prefix)
            continue
        path = getattr(route, "path", None)
        # FastAPI's `operation_id` is the name that its OpenAPI document has, too.
        name = getattr(route, "operation_id", None) or getattr(route, "name", None)
        inner = getattr(route, "routes", None)
        methods = getattr(route, "methods", None)
        if inner and path is not None:
            yield from _flatten(inner, prefix + path.rstrip("/"))
        elif path is not None and methods:
            yield prefix + path, sorted(methods), name
