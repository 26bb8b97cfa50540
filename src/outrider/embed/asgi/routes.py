"""Find the method of a request to an ASGI application: in a table, or in the application's routes.

Nothing of Starlette or FastAPI is imported: a route is what has a path, methods and a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PARAMETER = re.compile(r"\{([A-Za-z_]\w*)(?::([A-Za-z_]\w*))?\}", re.ASCII)
_NO_NAME = re.compile(r"\W", re.ASCII)
# Starlette's converters; any other one takes one segment.
_CONVERTERS = {
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
}


@dataclass(frozen=True, slots=True)
class Routes:
    """Full methods by HTTP method and path; of several that fit, the first one counts."""

    by_method: Mapping[str, Sequence[tuple[re.Pattern[str], str]]] = field(default_factory=dict)

    def find(self, http_method: str, path: str) -> str | None:
        """Return `/package.Service/Method`; None for a request that is none of them."""
        for pattern, full_method in self.by_method.get(http_method, ()):
            if pattern.match(path):
                return full_method
        return None

    @property
    def full_methods(self) -> list[str]:
        """Each once, in order."""
        names = (name for routes in self.by_method.values() for _, name in routes)
        return list(dict.fromkeys(names))


def routes_from_table(table: Mapping[str, str]) -> Routes:
    """Read `{"POST /orders/{id}": "/acme.v1.Orders/Create"}`. Raise `ValueError` naming the row."""
    rows = []
    for route, full_method in table.items():
        http_method, _, path = route.partition(" ")
        if not http_method.isupper() or not path.startswith("/"):
            raise ValueError(f"a route is written 'POST /path', not {route!r}")
        rows.append((http_method, path, full_method))
    return _routes(rows)


def routes_of_app(routes: Iterable[Any], service: str) -> Routes:
    """Name every route `/<service>/<name of its endpoint>`, those of mounted applications, too."""
    return _routes(
        (http_method, path, f"/{service}/{_NO_NAME.sub('_', name)}")
        for path, methods, name in _flatten(routes, "")
        for http_method in methods
    )


def _routes(rows: Iterable[tuple[str, str, str]]) -> Routes:
    by_method: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for http_method, path, full_method in rows:
        by_method.setdefault(http_method, []).append((_pattern(path), full_method))
    return Routes(by_method)


def _pattern(path: str) -> re.Pattern[str]:
    parts, position = [], 0
    for match in _PARAMETER.finditer(path):
        parts.append(re.escape(path[position : match.start()]))
        parts.append(_CONVERTERS.get(match[2] or "str", _CONVERTERS["str"]))
        position = match.end()
    parts.append(re.escape(path[position:]))
    # As Starlette does it, the line feed that `$` lets through included: what the application
    # answers must not slip past the targets.
    return re.compile(f"^{''.join(parts)}$")


def _flatten(routes: Iterable[Any], prefix: str) -> Iterator[tuple[str, Sequence[str], str]]:
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)
        if included is not None:
            # FastAPI keeps included routers as they are; the paths of these have their prefix.
            contexts = (
                getattr(context, "starlette_route", None) or context for context in included()
            )
            yield from _flatten(contexts, prefix)
            continue
        path, name = getattr(route, "path", None), getattr(route, "name", None)
        inner = getattr(route, "routes", None)
        methods = getattr(route, "methods", None)
        if inner and path is not None:
            yield from _flatten(inner, prefix + path.rstrip("/"))
        elif path is not None and methods and name:
            yield prefix + path, sorted(methods), name
