"""The REST routes that the proto files declare with `google.api.http`.

A template has literal segments and `{field}`, which is one whole segment. Nothing else of
https://github.com/googleapis/googleapis/blob/master/google/api/http.proto is supported; the
server refuses to start with a template that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from protobuf import DescField, DescMessage, DescMethod, DescService

from outrider.api.rpc.interceptors import procedure_of
from outrider.domain.formats.spelling import alike
from outrider_api.google.api import annotations_pb
from outrider_api.google.api.http_pb import HttpRule

WHOLE_MESSAGE = "*"
VERBS = ("get", "put", "post", "delete", "patch")
# A path with more has nothing in common with ours.
MAX_COMPARED_SEGMENTS = 12

_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")
_VARIABLE = re.compile(r"\{([a-z0-9_]+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One verb and template, and the procedure that answers it."""

    verb: str
    segments: tuple[str, ...]
    procedure: str
    input: DescMessage
    body: str
    """"*": the body is the message. A name: it is that field. Empty: there is none."""

    @property
    def path(self) -> str:
        """The template."""
        return "/" + "/".join(self.segments)


@dataclass(frozen=True, slots=True)
class Match:
    """A route with what stands in the path for its variables."""

    route: Route
    variables: tuple[tuple[DescField, str], ...]


@dataclass(slots=True)
class Node:
    """One node in the tree of all paths."""

    literals: dict[str, Node] = field(default_factory=dict)
    variable: Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


def routes_of(service: DescService) -> Iterator[Route]:
    """The routes of a service; methods without a rule have none."""
    for method in service.methods:
        options = method.proto.options
        if options is None or annotations_pb.ext_http not in options:
            continue
        rule = options[annotations_pb.ext_http]
        for binding in (rule, *rule.additional_bindings):
            yield route_of(method, binding)


def route_of(method: DescMethod, rule: HttpRule) -> Route:
    """One binding.

    Raises:
        ValueError: the rule uses what we do not serve.
    """
    if rule.pattern is None or rule.pattern.field not in VERBS:
        raise ValueError(f"{procedure_of(method)}: only {', '.join(VERBS)} are served")
    template = str(rule.pattern.value)
    segments = tuple(template.removeprefix("/").split("/"))
    for segment in segments:
        check_segment(segment, method)
    return Route(
        verb=rule.pattern.field.upper(),
        segments=segments,
        procedure=procedure_of(method),
        input=method.input,
        body=rule.body,
    )


def check_segment(segment: str, method: DescMethod) -> None:
    """Raises `ValueError` for anything but a literal or a variable that names a field."""
    variable = _VARIABLE.fullmatch(segment)
    if variable is None and not _LITERAL.fullmatch(segment):
        raise ValueError(f"{procedure_of(method)}: cannot serve the path segment {segment!r}")
    if variable is not None and field_named(method.input, variable[1]) is None:
        raise ValueError(f"{procedure_of(method)}: no field is called {variable[1]!r}")


def field_named(desc: DescMessage, name: str) -> DescField | None:
    """A field by its proto or JSON name."""
    return next((item for item in desc.fields if name in {item.name, item.json_name}), None)


class Routes:
    """Every REST route of some services. A literal segment wins over a variable."""

    def __init__(self, services: Iterable[DescService]) -> None:
        self._root = Node()
        for service in services:
            for route in routes_of(service):
                self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.segments:
            if _VARIABLE.fullmatch(segment):
                node.variable = node = node.variable or Node()
            else:
                node = node.literals.setdefault(segment, Node())
        if route.verb in node.routes:
            raise ValueError(f"{route.verb} /{'/'.join(route.segments)} is declared twice")
        node.routes[route.verb] = route

    def find(self, verb: str, segments: tuple[str, ...]) -> Match | None:
        """The route of a verb and a path; None when no template fits."""
        for route in self.at(segments):
            if route.verb == verb:
                return Match(route, tuple(variables(route, segments)))
        return None

    def at(self, segments: tuple[str, ...]) -> Collection[Route]:
        """The routes of a path, whatever their verbs; empty: the path is unknown.

        A path of literals is never that of a variable: no id is called `search`.
        """
        nodes = matching_nodes(self._root, segments)
        return next((node.routes.values() for node in nodes if node.routes), ())

    def meant(self, verb: str, segments: tuple[str, ...]) -> Route | None:
        """A route whose path is nearly this one, if possible with this verb."""
        nodes = similar_nodes(self._root, tuple(filter(None, segments[:MAX_COMPARED_SEGMENTS])))
        routes = next((node.routes for node in nodes if node.routes), {})
        return routes.get(verb) or next(iter(routes.values()), None)


def similar_nodes(node: Node, segments: tuple[str, ...]) -> Iterator[Node]:
    """The nodes whose paths differ from this one by a letter or two, or by an underscore."""
    if not segments:
        yield node
        return
    first, rest = segments[0], segments[1:]
    literal = first if first in node.literals else alike(first.lstrip("_"), node.literals)
    if literal is not None:
        yield from similar_nodes(node.literals[literal], rest)
    if node.variable is not None:
        yield from similar_nodes(node.variable, rest)


def matching_nodes(node: Node, segments: tuple[str, ...]) -> Iterator[Node]:
    """The nodes that a path leads to, those with literals first.

    What has an underscore in front of a literal is no variable: `_search` is how other parts of
    ZITADEL's API spell `search`.
    """
    if not segments:
        yield node
        return
    first, rest = segments[0], segments[1:]
    if first in node.literals:
        yield from matching_nodes(node.literals[first], rest)
    is_spelled_wrong = first.startswith("_") and first[1:] in node.literals
    if node.variable is not None and first and not is_spelled_wrong:
        yield from matching_nodes(node.variable, rest)


def variables(route: Route, segments: tuple[str, ...]) -> Iterator[tuple[DescField, str]]:
    """The fields that the path sets, with their values as text."""
    for template, segment in zip(route.segments, segments, strict=True):
        variable = _VARIABLE.fullmatch(template)
        target = field_named(route.input, variable[1]) if variable else None
        if target is not None:
            yield target, segment


def path_segments(path: str, raw_path: bytes | None) -> tuple[str, ...]:
    """A path's segments, each decoded on its own: an encoded slash is not a separator.

    Raises:
        UnicodeDecodeError: the path is not UTF-8.
    """
    if raw_path is None:
        return tuple(path.removeprefix("/").split("/"))
    raw = raw_path.partition(b"?")[0].decode("ascii", "strict")
    return tuple(unquote(part, errors="strict") for part in raw.removeprefix("/").split("/"))
