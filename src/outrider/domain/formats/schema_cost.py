"""Estimate the work of checking one value against a JSON Schema.

Choices inside choices multiply: a schema of a kilobyte can keep a checker busy for years.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_COST = 1_000
"""How often a schema may look at one value."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_PLACE = ("not", "if", "then", "else", "propertyNames")
_MAPS = ("dependentSchemas", "dependencies", "patternProperties")
_DEEPER = (
    "additionalProperties",
    "unevaluatedProperties",
    "additionalItems",
    "unevaluatedItems",
    "contains",
)
_REFUSED = ("$dynamicRef", "$recursiveRef")
# Below them, a reference means another part of the schema.
_NAMES = ("$id", "id")
_PER_CHECK = 20


def schema_cost(schema: Any) -> int:
    """Return how often a checker may look at one value.

    Raises:
        ValueError: the schema refers to itself, or outside of itself; or it is nested too deep.
    """
    try:
        return _Costs(schema).of(schema)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


class _Costs:
    """Costs of the parts of one schema; what is referred to is added up once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, int | None] = {}

    def of(self, schema: Any) -> int:
        if not isinstance(schema, dict):
            return 1
        for name in _REFUSED:
            if name in schema:
                raise ValueError(f"{name} is not supported")
        if schema is not self._root and any(isinstance(schema.get(name), str) for name in _NAMES):
            raise ValueError("$id is supported outermost only")
        here = 1 + _length(schema.get("enum")) // _PER_CHECK
        if "$ref" in schema:
            here += self._referred(schema["$ref"])
        return here + self._same_place(schema) + self._deeper(schema)

    def _same_place(self, schema: Mapping[str, Any]) -> int:
        parts = [part for name in _LISTS for part in _items(schema.get(name))]
        parts.extend(schema[name] for name in _SAME_PLACE if name in schema)
        parts.extend(part for name in _MAPS for part in _values(schema.get(name)))
        return sum(map(self.of, parts))

    def _deeper(self, schema: Mapping[str, Any]) -> int:
        """A value has one name, or one position: only the costliest of them counts."""
        items = schema.get("items")
        alternatives = [*_items(schema.get("prefixItems")), *_items(items)]
        both = [schema[name] for name in _DEEPER if name in schema]
        if items is not None and not isinstance(items, list):
            both.append(items)
        named = max(map(self.of, _values(schema.get("properties"))), default=0)
        placed = max(map(self.of, alternatives), default=0)
        return named + placed + sum(map(self.of, both))

    def _referred(self, reference: Any) -> int:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise ValueError("$ref must be # and a JSON pointer into the schema")
        if reference not in self._known:
            self._known[reference] = None
            self._known[reference] = self.of(_part(self._root, reference))
        cost = self._known[reference]
        if cost is None:
            raise ValueError(f"$ref {reference} is a part of what it refers to")
        return cost


def _part(root: Any, reference: str) -> Any:
    part = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, dict):
            part = part.get(name)
        else:
            part = part[int(name)] if _is_position(part, name) else None
    return part


def _is_position(part: Any, name: str) -> bool:
    return isinstance(part, list) and name.isascii() and name.isdecimal() and int(name) < len(part)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
