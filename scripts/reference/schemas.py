"""JSON Schemas of messages, as their JSON travels (https://protobuf.dev/programming-guides/json/).

A request's schema has the rules of the proto files. An answer's has none: fields with default
values are left out of answers. A message that occurs in both has two schemas when they differ.
"""

from __future__ import annotations

from collections.abc import Iterable

from reference import patterns
from reference.contract import Contract, Enum, Field, Json, Message, Oneof

ANSWER = ".Answer"
MAX_UINT32 = 2**32 - 1
MAX_INT32 = 2**31 - 1

NUMBERS: dict[str, Json] = {
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_INT32": {"type": "integer", "minimum": -MAX_INT32 - 1, "maximum": MAX_INT32},
    "TYPE_UINT32": {"type": "integer", "minimum": 0, "maximum": MAX_UINT32},
    "TYPE_INT64": {"type": "string", "format": "int64", "pattern": patterns.INT64},
    "TYPE_UINT64": {"type": "string", "format": "uint64", "pattern": patterns.UINT64},
    "TYPE_FLOAT": {"type": "number", "format": "float"},
    "TYPE_DOUBLE": {"type": "number", "format": "double"},
}

WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "pattern": patterns.TIMESTAMP,
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": patterns.DURATION,
        "examples": ["10s"],
    },
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
}


class Schemas:
    """Writes schemas and gathers those that are referred to."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._asked = asked_messages(contract)
        self.components: dict[str, Json] = {}

    def request(self, name: str, without: Iterable[str] = ()) -> Json:
        """A request message, less the fields (by proto name) that are given elsewhere."""
        return self._message(name, answers=False, without=frozenset(without))

    def reference(self, name: str, *, answers: bool) -> Json:
        """A reference to the schema of a message, which is written when it is first needed."""
        if name in WELL_KNOWN:
            return dict(WELL_KNOWN[name])
        differs = answers and name in self._asked and self._has_rules(name, frozenset())
        title = name + ANSWER if differs else name
        if title not in self.components:
            self.components[title] = {}
            self.components[title] = self._message(name, answers=answers, without=frozenset())
        return refer(title)

    def field(self, field: Field, *, answers: bool = False) -> Json:
        """The schema of one field, its comment included."""
        rules = {} if answers else field.rules
        entry = self._map_entry(field)
        if entry is not None:
            schema = self._map(entry, rules, answers=answers)
        elif field.repeated:
            schema = self._list(field, rules, answers=answers)
        else:
            schema = self._value(field, rules, answers=answers)
        return {**schema, "description": field.comment} if field.comment else schema

    def _message(self, name: str, *, answers: bool, without: frozenset[str]) -> Json:
        message = self._contract.messages[name]
        fields = [field for field in message.fields if field.name not in without]
        schema: Json = {"type": "object"}
        if message.comment:
            schema["description"] = message.comment
        if fields:
            schema["properties"] = {
                field.json_name: self.field(field, answers=answers) for field in fields
            }
        for oneof in message.oneofs:
            describe_members(oneof, schema["properties"])
        required = [] if answers else [field.json_name for field in fields if is_needed(field)]
        if required:
            schema["required"] = required
        choices = [choice_of(oneof, answers=answers) for oneof in message.oneofs]
        return {**schema, **joined(choices)}

    def _value(self, field: Field, rules: Json, *, answers: bool) -> Json:
        if field.kind == "TYPE_MESSAGE":
            schema = self.reference(field.type_name, answers=answers)
            return {**schema, **duration_rules(rules.get("duration"))}
        if field.kind == "TYPE_ENUM":
            return {**self._enum(field.type_name), **enum_rules(self._enum_of(field), rules)}
        if field.kind == "TYPE_BYTES":
            return {"type": "string", "contentEncoding": "base64", **byte_rules(rules)}
        if field.kind == "TYPE_STRING":
            return {"type": "string", **text_rules(rules)}
        return {**NUMBERS[field.kind], **number_rules(rules)}

    def _list(self, field: Field, rules: Json, *, answers: bool) -> Json:
        items = self._value(field, rules.get("items", {}), answers=answers)
        schema: Json = {"type": "array", "items": items, **counts(rules, "minItems", "maxItems")}
        if rules.get("unique"):
            schema["uniqueItems"] = True
        return schema

    def _map(self, entry: Message, rules: Json, *, answers: bool) -> Json:
        names, values = entry.fields
        schema: Json = {
            "type": "object",
            "additionalProperties": self._value(values, rules.get("items", {}), answers=answers),
            **counts(rules, "minProperties", "maxProperties"),
        }
        of_names = text_rules(rules.get("keys", {}))
        if names.kind == "TYPE_STRING" and of_names:
            schema["propertyNames"] = of_names
        return schema

    def _map_entry(self, field: Field) -> Message | None:
        message = self._contract.messages.get(field.type_name)
        return message if message is not None and message.is_map_entry else None

    def _enum_of(self, field: Field) -> Enum:
        return self._contract.enums[field.type_name]

    def _enum(self, name: str) -> Json:
        if name not in self.components:
            enum = self._contract.enums[name]
            lines = [f"- `{value.name}`: {value.comment}" for value in enum.values if value.comment]
            text = "\n".join([enum.comment, "", *lines] if lines else [enum.comment]).strip()
            schema: Json = {"type": "string", "enum": [value.name for value in enum.values]}
            self.components[name] = {**schema, "description": text} if text else schema
        return refer(name)

    def _has_rules(self, name: str, seen: frozenset[str]) -> bool:
        message = self._contract.messages.get(name)
        if message is None or name in seen or name in WELL_KNOWN:
            return False
        return (
            any(field.rules for field in message.fields)
            or any(oneof.required for oneof in message.oneofs)
            or any(self._has_rules(field.type_name, seen | {name}) for field in message.fields)
        )


def asked_messages(contract: Contract) -> frozenset[str]:
    """Every message that can be in a request."""
    found: set[str] = set()
    waiting = [method.input for service in contract.services for method in service.methods]
    while waiting:
        message = contract.messages.get(waiting.pop())
        if message is not None and message.name not in found:
            found.add(message.name)
            waiting += [field.type_name for field in message.fields]
    return frozenset(found)


def refer(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def is_needed(field: Field) -> bool:
    """Return whether a request without the field breaks its rules: absent means the default value."""
    rules = field.rules
    if field.optional or field.oneof:
        return False
    numbers = rules.get("number", {})
    # Shaped like a rule of numbers: zero is refused.
    zero_is_out = numbers.get("gte", 0) > 0 or numbers.get("lte", 0) < 0
    lengths = any(int(rules.get(name, 0)) for name in ("minLen", "minBytes", "minItems"))
    flags = rules.get("required") or rules.get("mustBeTrue") or 0 in rules.get("notIn", ())
    return bool(lengths or flags or zero_is_out)


def choice_of(oneof: Oneof, *, answers: bool) -> Json:
    """One member, or none of them unless one is required."""
    members: list[Json] = [{"required": [name]} for name in oneof.members]
    if oneof.required and not answers:
        return {"oneOf": members}
    if len(members) == 1:
        return {}
    return {"oneOf": [*members, {"not": {"anyOf": members}}]}


def describe_members(oneof: Oneof, properties: Json) -> None:
    """The description of a choice, for those of its members that have none."""
    for name in oneof.members:
        if oneof.comment:
            properties[name].setdefault("description", oneof.comment)


def joined(choices: list[Json]) -> Json:
    """Several choices of one message must all hold."""
    given = [choice for choice in choices if choice]
    return {"allOf": given} if len(given) > 1 else (given[0] if given else {})


def counts(rules: Json, least: str, most: str) -> Json:
    """Bounds of a number of items."""
    pairs = ((least, rules.get("minItems")), (most, rules.get("maxItems")))
    return {name: int(value) for name, value in pairs if value and int(value)}


def text_rules(rules: Json) -> Json:
    """Lengths in code points, which is what JSON Schema counts.

    Where bytes are limited, there are no more code points than that; programs read `x-max-bytes`.
    """
    pairs = (
        ("minLength", rules.get("minLen", rules.get("minBytes"))),
        ("maxLength", rules.get("maxLen", rules.get("maxBytes"))),
    )
    found: Json = {name: int(value) for name, value in pairs if value and int(value)}
    if int(rules.get("maxBytes", 0)):
        found["x-max-bytes"] = int(rules["maxBytes"])
    if "pattern" in rules:
        found["pattern"] = f"^(?:{rules['pattern']['regex']})$"
    return found


def byte_rules(rules: Json) -> Json:
    """Lengths of the bytes in Base64, whose padding may be left out."""
    found: Json = {"pattern": patterns.BASE64}
    if int(rules.get("minBytes", 0)):
        found["minLength"] = -(-int(rules["minBytes"]) * 4 // 3)
    groups, rest = divmod(int(rules.get("maxBytes", 0)), 3)
    if not rest:
        return {**found, "maxLength": groups * 4} if groups else found
    # As long as the padded text, an unpadded one has a byte more.
    padded = {"maxLength": groups * 4 + 4, "pattern": "=" * (3 - rest) + "$"}
    return {**found, "anyOf": [{"maxLength": groups * 4 + rest + 1}, padded]}


def number_rules(rules: Json) -> Json:
    """Inclusive bounds, and that only true will do."""
    numbers = rules.get("number", {})
    found: Json = {
        name: plain(numbers[rule])
        for rule, name in (("gte", "minimum"), ("lte", "maximum"))
        if rule in numbers
    }
    if rules.get("mustBeTrue"):
        found["const"] = True
    return found


def plain(number: float) -> float:
    """1000 and not 1000.0."""
    return int(number) if number == int(number) else number


def duration_rules(rules: Json | None) -> Json:
    """JSON Schema cannot compare durations: the pattern does, and the page shows the bounds."""
    names = {"gte": "x-minimum", "lte": "x-maximum", "const": "const"}
    found: Json = {names[rule]: value for rule, value in (rules or {}).items()}
    if found.get("x-minimum") == "0s":
        most = found.get("x-maximum")
        found["pattern"] = patterns.duration_up_to(int(most.removesuffix("s")) if most else None)
    return found


def enum_rules(enum: Enum, rules: Json) -> Json:
    """Values that are refused."""
    refused = set(rules.get("notIn", ()))
    names = [value.name for value in enum.values if value.number in refused]
    return {"not": {"enum": names}} if names else {}
