"""The methods, services, functions and event types for which an execution may be set.

Conditions are checked against it by exact text, and event groups by plain prefix, as in ZITADEL. It
begins with what ZITADEL registers and grows by what others publish.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All known entries, without repetition. Immutable: a change is a new catalogue.

    Entries may be given in any order. A method's service is known with it.
    """

    methods: Sequence[str] = ()
    """`/package.Service/Method`, ascending."""

    services: Sequence[str] = ()
    """`package.Service`, ascending. Some are known by name only, without methods."""

    functions: Sequence[str] = ()
    """In the order in which they were registered, as ZITADEL lists them."""

    event_types: Sequence[str] = ()
    """Dot-separated, ascending."""

    def __post_init__(self) -> None:
        services = {*self.services, *map(_service_of, self.methods)}
        object.__setattr__(self, "methods", _ascending(self.methods))
        object.__setattr__(self, "services", _ascending(services))
        object.__setattr__(self, "functions", _unrepeated(self.functions, ()))
        object.__setattr__(self, "event_types", _ascending(self.event_types))

    def has_method(self, text: str) -> bool:
        """Return whether this is a method, with its leading slash."""
        return _contains(self.methods, text)

    def has_service(self, text: str) -> bool:
        """Return whether this is the full name of a service, without slashes."""
        return _contains(self.services, text)

    def has_function(self, text: str) -> bool:
        """Return whether this is a function: exact, without `function/`."""
        return text in self.functions

    def has_event_type(self, text: str) -> bool:
        """Return whether this is an event type."""
        return _contains(self.event_types, text)

    def has_event_group(self, prefix: str) -> bool:
        """Return whether any event type starts with this text.

        A plain prefix without regard to dots: `user.hum` is a group, `user.*` is none.
        """
        index = bisect_left(self.event_types, prefix)
        return index < len(self.event_types) and self.event_types[index].startswith(prefix)

    def with_entries(
        self,
        *,
        methods: Iterable[str] = (),
        functions: Iterable[str] = (),
        event_types: Iterable[str] = (),
    ) -> Catalogue:
        """This catalogue and these entries; itself when all of them were known.

        Raises:
            ValueError: a method is not `/package.Service/Method`.
        """
        added = _ascending(methods)
        grown = Catalogue._of_ascending(
            _merged(self.methods, added),
            _merged(self.services, map(_service_of, added)),
            _unrepeated(self.functions, functions),
            _merged(self.event_types, event_types),
        )
        return self if grown == self else grown

    def without(
        self,
        *,
        methods: Collection[str] = (),
        functions: Collection[str] = (),
        event_types: Collection[str] = (),
        kept: Catalogue,
    ) -> Catalogue:
        """This catalogue without these entries, of which those in `kept` stay."""
        return kept.with_entries(
            methods=[method for method in self.methods if method not in methods],
            functions=[function for function in self.functions if function not in functions],
            event_types=[name for name in self.event_types if name not in event_types],
        )

    @classmethod
    def _of_ascending(cls, *parts: Sequence[str]) -> Catalogue:
        """Make a catalogue of sequences that are sorted: a check would take longer than sharing them.

        Every instance that has added entries has a catalogue, made again at each change of routing.
        """
        catalogue = object.__new__(cls)
        for part, one in zip(fields(cls), parts, strict=True):
            object.__setattr__(catalogue, part.name, one)
        return catalogue


def catalogue_from_json(data: Mapping[str, Any]) -> Catalogue:
    """The catalogue in a file like `catalogue.json`, already parsed.

    `services` maps a service's full name to its bare method names, `functions` and `event_types`
    are lists. Other members are ignored.

    Raises:
        KeyError: one of the three is absent.
    """
    services: Mapping[str, Sequence[str]] = data["services"]
    return Catalogue(
        methods=[f"/{name}/{method}" for name, methods in services.items() for method in methods],
        services=list(services),
        functions=data["functions"],
        event_types=data["event_types"],
    )


def _service_of(method: str) -> str:
    before, _, rest = method.partition("/")
    service, _, name = rest.partition("/")
    if before or not service or not name or "/" in name:
        raise ValueError(f"a method is written /package.Service/Method, not {method!r}")
    return service


def _ascending(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _merged(known: Sequence[str], more: Iterable[str]) -> Sequence[str]:
    """Both, ascending; the known ones themselves when the others bring nothing new."""
    new = [text for text in more if not _contains(known, text)]
    return _ascending((*known, *new)) if new else known


def _unrepeated(known: Sequence[str], more: Iterable[str]) -> Sequence[str]:
    return tuple(dict.fromkeys((*known, *more)))


def _contains(ascending: Sequence[str], text: str) -> bool:
    index = bisect_left(ascending, text)
    return index < len(ascending) and ascending[index] == text
