"""What a JSON Schema costs for each value."""

from __future__ import annotations

import pytest

from outrider.domain.formats.schema_cost import schema_cost

TEXT = {"type": "string"}


def doubled(levels: int):
    """Choices inside choices, by references: a line for each level."""
    parts = {
        f"a{level}": {"anyOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$defs": {**parts, f"a{levels}": TEXT}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("schema", "cost"),
    [
        (True, 1),
        ({}, 1),
        ({"properties": {str(number): TEXT for number in range(1000)}}, 2),
        ({"properties": {"a": {"properties": {"b": TEXT}}}, "additionalProperties": TEXT}, 4),
        ({"type": "array", "items": TEXT}, 2),
        ({"prefixItems": [TEXT, {"anyOf": [TEXT, TEXT]}], "items": False}, 5),
        ({"allOf": [TEXT, TEXT, TEXT]}, 4),
        ({"if": TEXT, "then": TEXT, "else": TEXT, "not": TEXT}, 5),
        ({"patternProperties": {"a": TEXT, "b": TEXT}}, 3),
        ({"dependentSchemas": {"a": TEXT}, "dependencies": {"a": ["b"]}}, 3),
        ({"enum": list(range(200))}, 11),
        ({"$defs": {"a": TEXT}, "properties": {"x": {"$ref": "#/$defs/a"}}}, 3),
        ({"a/b": [TEXT], "$ref": "#/a~1b/0"}, 2),
        ({"$ref": "#/nowhere"}, 2),
        ({"$id": "http://example.com/", "properties": {"id": TEXT}}, 2),
    ],
)
def test_only_what_is_checked_at_one_place_adds_up(schema, cost):
    """
    A schema of a thousand members is cheap: a value has one name.
    """
    assert cost == schema_cost(schema)


def test_choices_inside_choices_multiply():
    """
    Two kilobytes of references would take longer than the machine lasts.
    """
    assert schema_cost(doubled(60)) > 2**60


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#"}, "is a part of what it refers to"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, "is a part"),
        ({"properties": {"a": {"$ref": "#"}}}, "is a part"),
        ({"$ref": "http://127.0.0.1/schema"}, "must be #"),
        ({"items": {"$ref": "other.json"}}, "must be #"),
        ({"$ref": "#anchor"}, "must be #"),
        ({"$ref": 5}, "must be #"),
        ({"$dynamicRef": "#a"}, "not supported"),
        ({"items": {"$recursiveRef": "#"}}, "not supported"),
        ({"items": {"$id": "http://example.com/"}}, "outermost only"),
        ({"items": {"id": "http://example.com/"}}, "outermost only"),
    ],
)
def test_what_leads_back_or_outside_is_refused(schema, reason):
    """
    A caller's schema must not make the server fetch anything, nor go round in circles.
    """
    with pytest.raises(ValueError, match=reason):
        schema_cost(schema)


def test_what_is_nested_too_deep_is_refused():
    schema: dict = {}
    for _ in range(3000):
        schema = {"not": schema}
    with pytest.raises(ValueError, match="nested too deep"):
        schema_cost(schema)
