"""Schemas of an OpenAPI document as separate JSON Schemas, and examples that fit them.

What is referred to comes along in `$defs`. A schema inside itself takes anything there, since the
catalogue refuses references in a circle, and so does one in another document. What describes to people is left out, as are
patterns that look around.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outrider.domain.formats.schema_cost import MAX_COST, schema_cost
from outrider.domain.routing.catalogue_entry import MAX_DESCRIPTION_BYTES

_MAX_DEPTH = 12
_EXAMPLE_DEPTH = 6
_NUMBERS = ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_ONE = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties"})
# By what their values must be: other ones would refuse the schema.
_KEYWORDS: Mapping[str, tuple[type, ...]] = {
    "type": (str, list),
    "enum": (list,),
    "const": (object,),
    "format": (str,),
    "required": (list,),
    "pattern": (str,),
    "uniqueItems": (bool,),
    **dict.fromkeys(_NUMBERS, (int, float)),
    **dict.fromkeys(_COUNTS, (int,)),
    **dict.fromkeys(_ONE, (dict, bool)),
    **dict.fromkeys(_LISTS, (list,)),
    **dict.fromkeys(_MAPS, (dict,)),
}
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
# Look-around, back-references, and other things that take more than linear time.
_COSTLY = re.compile(r"\(\?|\\[1-9]")
_SAMPLES = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "email": "ada@example.com",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "uri": "https://example.com",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A whole OpenAPI document. `is_old` is 3.0, whose schemas are not those of JSON Schema."""

    root: Mapping[str, Any]
    is_old: bool

    def resolved(self, part: Any) -> Any:
        """Return the part that a reference leads to, or the part itself; `{}` for a broken reference."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(part, dict) or "$ref" not in part:
                return part
            part = self.at(part["$ref"])
        return {}

    def at(self, reference: object) -> Any:
        """The part that a reference into this document leads to, else `{}`."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return {}
        part: Any = self.root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            part = part.get(name) if isinstance(part, dict) else None
        return {} if part is None else part


def json_schema_of(document: Document, schema: Any, *, is_request: bool) -> str | None:
    """The JSON Schema as text that the catalogue takes; None: it is too long, however it is cut."""
    for depth in range(_MAX_DEPTH, -1, -1):
        converted = _Conversion(document, depth, is_request=is_request).whole(schema)
        text = json.dumps(converted, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) <= MAX_DESCRIPTION_BYTES and schema_cost(converted) <= MAX_COST:
            return text
    return None


@dataclass(slots=True)
class _Conversion:
    """One schema on its way. `depth` is how many references may lie inside each other."""

    document: Document
    depth: int
    is_request: bool
    parts: dict[str, Any] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def whole(self, schema: Any) -> Any:
        converted = self.of(schema)
        return {**converted, "$defs": self.parts} if self.parts else converted

    def of(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema if isinstance(schema, bool) else {}
        if "$ref" in schema:
            return self._referred(str(schema["$ref"]))
        converted: dict[str, Any] = {
            name: self._keyword(name, value)
            for name, value in schema.items()
            if isinstance(value, _KEYWORDS.get(name, ()))
        }
        if _COSTLY.search(str(converted.get("pattern", ""))):
            del converted["pattern"]
        if not _are_types(converted.get("type")):
            del converted["type"]
        self._drop_other_direction(schema, converted)
        _spell_bounds(converted)
        is_nullable = self.document.is_old and schema.get("nullable") is True
        return {"anyOf": [converted, {"type": "null"}]} if is_nullable else converted

    def _keyword(self, name: str, value: Any) -> Any:
        if name in _ONE:
            return self.of(value)
        if name in _LISTS:
            return [self.of(part) for part in value]
        if name in _MAPS:
            return {member: self.of(part) for member, part in value.items()}
        return value

    def _referred(self, reference: str) -> Any:
        if reference in self._open or len(self._open) >= self.depth:
            return {}
        name = self._names.get(reference)
        if name is None:
            name = self._names[reference] = self._new_name(reference)
            self._open.append(reference)
            self.parts[name] = self.of(self.document.at(reference))
            self._open.pop()
        return {"$ref": f"#/$defs/{name}"}

    def _new_name(self, reference: str) -> str:
        name = re.sub(r"\W", "_", reference.rpartition("/")[2], flags=re.ASCII)
        taken = set(self._names.values())
        return name if name not in taken else f"{name}_{len(taken)}"

    def _drop_other_direction(self, schema: Any, converted: dict[str, Any]) -> None:
        """Drop from `required` the members that only the other message has."""
        required, properties = converted.get("required"), schema.get("properties")
        if not isinstance(required, list) or not isinstance(properties, dict):
            return
        mark = "readOnly" if self.is_request else "writeOnly"
        other = {
            name
            for name, part in properties.items()
            if isinstance(resolved := self.document.resolved(part), dict) and resolved.get(mark)
        }
        converted["required"] = [name for name in required if name not in other]


def _spell_bounds(converted: dict[str, Any]) -> None:
    """OpenAPI 3.0 says with true that a bound is exclusive, JSON Schema with the bound."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if converted.get(exclusive) is True and bound in converted:
            converted[exclusive] = converted.pop(bound)
        elif isinstance(converted.get(exclusive), bool):
            del converted[exclusive]


def _are_types(kind: Any) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return kind is None or (bool(kinds) and all(one in _TYPES for one in kinds))


def example_of(document: Document, schema: Any, depth: int = _EXAMPLE_DEPTH) -> Any:
    """A value that the document gives as an example, or one that is made from the schema."""
    found = document.resolved(schema)
    if not isinstance(found, dict) or depth == 0:
        return None
    for name in ("example", "const", "default"):
        if name in found:
            return found[name]
    for name in ("examples", "enum"):
        if isinstance(found.get(name), list) and found[name]:
            return found[name][0]
    for name in ("oneOf", "anyOf"):
        if isinstance(found.get(name), list) and found[name]:
            return example_of(document, found[name][0], depth - 1)
    return _made(document, found, depth)


def _made(document: Document, schema: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    kind = next((one for one in kind if one != "null"), None) if isinstance(kind, list) else kind
    if kind == "array":
        item = example_of(document, schema.get("items"), depth - 1)
        return [] if item is None else [item]
    if kind == "object" or "properties" in schema or "allOf" in schema:
        return _made_object(document, schema, depth)
    if kind == "string":
        return _SAMPLES.get(str(schema.get("format")), "text")
    return {"integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


def _made_object(document: Document, schema: Mapping[str, Any], depth: int) -> Any:
    members: dict[str, Any] = {}
    for part in schema.get("allOf") or ():
        inherited = example_of(document, part, depth - 1)
        members |= inherited if isinstance(inherited, dict) else {}
    properties = schema.get("properties")
    for name, part in (properties if isinstance(properties, dict) else {}).items():
        value = example_of(document, part, depth - 1)
        if value is not None:
            members[name] = value
    return members
