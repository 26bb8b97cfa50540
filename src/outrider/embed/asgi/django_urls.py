"""Which method a request of a Django project is. Imported only where Django is.

A view answers every HTTP method, so these are named as operations without an id are named: by the
HTTP method and the words of the route, `get_orders_id` for GET `orders/<int:id>/`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from outrider.embed.asgi.routes import RoutedMethod, operation_name

_PARAMETER = re.compile(r"<(?:[^<>:]*:)?([^<>:]*)>")
_METHODS = ("get", "post", "put", "patch", "delete")


def is_django() -> bool:
    """Whether this program is a Django project with URLs."""
    conf = sys.modules.get("django.conf")
    return (
        conf is not None
        and conf.settings.configured
        and getattr(conf.settings, "ROOT_URLCONF", None) is not None
    )


class DjangoUrls:
    """The URLs of the project, resolved by Django itself."""

    def __init__(self, service: str) -> None:
        from django.urls import get_resolver  # noqa: PLC0415

        self._resolver = get_resolver()
        self._service = service

    @property
    def full_methods(self) -> list[str]:
        """Each once."""
        names = (
            self._full_method(http_method, route)
            for route, methods in _routes(self._resolver.url_patterns, "")
            for http_method in methods
        )
        return list(dict.fromkeys(names))

    def find(self, http_method: str, path: str) -> RoutedMethod | None:
        """Return None for a path that no URL has, and for OPTIONS."""
        from django.urls import Resolver404  # noqa: PLC0415

        if http_method == "OPTIONS":
            return None
        try:
            match = self._resolver.resolve(path)
        except Resolver404:
            return None
        found = "get" if http_method == "HEAD" else http_method.lower()
        return RoutedMethod(self._full_method(found, match.route), _parameters(match))

    def _full_method(self, http_method: str, route: str) -> str:
        return f"/{self._service}/{operation_name(http_method, _template(route))}"


def _parameters(match: Any) -> Mapping[str, str]:
    unnamed = {str(position): str(value) for position, value in enumerate(match.args)}
    return unnamed | {name: str(value) for name, value in match.kwargs.items()}


def _routes(patterns: Any, prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        inner = getattr(pattern, "url_patterns", None)
        if inner is None:
            yield route, _methods_of(pattern.callback)
        else:
            yield from _routes(inner, route)


def _methods_of(view: Any) -> tuple[str, ...]:
    """The HTTP methods that a view has code for, should it say so."""
    actions = getattr(view, "actions", None)
    view_class = getattr(view, "view_class", None)
    if actions:
        return tuple(name for name in _METHODS if name in actions)
    if view_class is not None:
        return tuple(name for name in _METHODS if hasattr(view_class, name))
    return _METHODS


def _template(route: str) -> str:
    """A route without converters, and an expression without its signs."""
    from django.contrib.admindocs.utils import (  # noqa: PLC0415
        replace_named_groups,
        replace_unnamed_groups,
    )

    is_expression = "(" in route or route.startswith("^")
    text = replace_unnamed_groups(replace_named_groups(route)) if is_expression else route
    return _PARAMETER.sub(r"\1", text)
