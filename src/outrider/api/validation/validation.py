"""Validate requests against the rules of the proto files, before a handler sees them.

`validate` raises only the first violation, in the order and the words of protoc-gen-validate
(docs/contract.md#validation): first all fields that are neither in a oneof nor `optional`, in the
order of declaration; then the chosen member of each oneof, and required oneofs; then the `optional`
fields that are set. Timestamps and durations must be valid even if no rule asks for it.

The descriptors are read once for each message type and compiled into closures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    DescOneof,
    Message,
    ScalarType,
)

from outrider.api.validation.go_names import go_message_name, go_name
from outrider.api.validation.rules import Kind, ValueCheck, count_reason, value_checks
from outrider.errors import InvalidRequest
from outrider_api.outrider.options.v1 import options_pb
from outrider_api.outrider.options.v1.options_pb import FieldRules

MessageCheck = Callable[[Any], str | None]
"""Returns the text of the first violation, or None."""

REQUIRED = "value is required"
EMBEDDED = "embedded message failed validation | caused by: "
DUPLICATE = "repeated value must contain unique items"

# No rules are declared on them, and Struct contains itself.
WELL_KNOWN = "google.protobuf."


def validate(message: Message) -> None:
    """Returns when the message satisfies every rule.

    Raises:
        InvalidRequest: with the text of the first violation, and without an id.
    """
    violation = first_violation(message_checks(message.desc()), message)
    if violation is not None:
        raise InvalidRequest(violation)


def first_violation(checks: tuple[Callable[[Any], str | None], ...], value: object) -> str | None:
    """The first violation; None: there is none."""
    for check in checks:
        violation = check(value)
        if violation is not None:
            return violation
    return None


@cache
def message_checks(desc: DescMessage) -> tuple[MessageCheck, ...]:
    """Every check of a message, in order. Empty: nothing in it can be wrong."""
    if desc.type_name.startswith(WELL_KNOWN):
        return ()
    return tuple(_message_checks(desc))


def _message_checks(desc: DescMessage) -> Iterator[MessageCheck]:
    plain = [member for member in desc.members if isinstance(member, DescField)]
    for field in plain:
        if not field.proto.proto3_optional:
            yield from field_checks(field)
    for oneof in desc.oneofs:
        yield from oneof_checks(oneof)
    for field in plain:
        if field.proto.proto3_optional:
            yield from (when_present(field, check) for check in field_checks(field))


def when_present(field: DescField, check: MessageCheck) -> MessageCheck:
    """An `optional` field that is absent satisfies every rule."""
    return lambda message: check(message) if field in message else None


def rules_of(field: DescField) -> FieldRules:
    """The declared rules, or rules that check nothing."""
    options = field.proto.options
    if options is None or options_pb.ext_rules not in options:
        return FieldRules()
    return options[options_pb.ext_rules]


def prefix_of(member: DescField | DescOneof) -> str:
    """How every violation of this member begins."""
    return f"invalid {go_message_name(member.parent)}.{go_name(member.name)}"


def field_checks(field: DescField) -> Iterator[MessageCheck]:
    """The check of one field outside oneofs, if it has any."""
    rules, prefix = rules_of(field), prefix_of(field)
    of_value: ValueCheck | None
    match field.value:
        case DescFieldValueList(element=element):
            of_value = list_check(rules, element, prefix)
        case DescFieldValueMap(key=of_name, value=element):
            of_value = map_check(rules, of_name, element, prefix)
        case value:
            of_value = singular_check(rules, kind_of(value), prefix)
    if of_value is not None:
        yield partial(on_field, field.local_name, of_value)


def on_field(name: str, of_value: ValueCheck, message: object) -> str | None:
    """Applies the check of a field's value to the message."""
    return of_value(getattr(message, name))


def kind_of(
    value: DescFieldValueScalar | DescFieldValueEnum | DescFieldValueMessage,
) -> ScalarType | DescEnum | DescMessage:
    """The type of a singular field."""
    match value:
        case DescFieldValueScalar(scalar=scalar):
            return scalar
        case DescFieldValueEnum(enum=enum):
            return enum
        case DescFieldValueMessage(message=message):
            return message


def reasons(rules: FieldRules, of: ScalarType | DescEnum | DescMessage) -> tuple[ValueCheck, ...]:
    """The checks of one value that is there: its own rules, then what it is made of."""
    if not isinstance(of, DescMessage):
        return tuple(value_checks(rules, of))
    kind: Kind = of.type_name
    inner = message_checks(of)
    own = tuple(value_checks(rules, kind))
    return (*own, embedded(inner)) if inner else own


def embedded(inner: tuple[MessageCheck, ...]) -> ValueCheck:
    """A message inside a message: its violation becomes the cause of ours."""

    def check(value: object) -> str | None:
        violation = first_violation(inner, value)
        return None if violation is None else EMBEDDED + violation

    return check


def singular_check(
    rules: FieldRules, of: ScalarType | DescEnum | DescMessage, prefix: str
) -> ValueCheck | None:
    """Checks one value; a message may be absent unless it is required."""
    checks = reasons(rules, of)
    if not checks and not rules.required:
        return None
    when_absent = f"{prefix}: {REQUIRED}" if rules.required else None

    def check(value: object) -> str | None:
        if value is None:
            return when_absent
        reason = first_violation(checks, value)
        return None if reason is None else f"{prefix}: {reason}"

    return check


def list_check(
    rules: FieldRules, of: ScalarType | DescEnum | DescMessage, prefix: str
) -> ValueCheck | None:
    """Checks the number of items, then each item in turn."""
    count = count_reason(rules, "item")
    of_item = reasons(rules.items or FieldRules(), of)
    unique = rules.unique
    if count is None and not of_item and not unique:
        return None

    def check(items: list[Any]) -> str | None:
        reason = count(items) if count else None
        if reason is not None:
            return f"{prefix}: {reason}"
        seen = set()
        for index, item in enumerate(items):
            if unique and item in seen:
                return f"{prefix}[{index}]: {DUPLICATE}"
            if unique:
                seen.add(item)
            if (reason := first_violation(of_item, item)) is not None:
                return f"{prefix}[{index}]: {reason}"
        return None

    return check


def map_check(
    rules: FieldRules,
    of_name: ScalarType,
    of: ScalarType | DescEnum | DescMessage,
    prefix: str,
) -> ValueCheck | None:
    """Checks the number of pairs, then each key and its value in the order of the keys."""
    count = count_reason(rules, "pair")
    name_checks = reasons(rules.keys or FieldRules(), of_name)
    of_value = reasons(rules.items or FieldRules(), of)
    if count is None and not name_checks and not of_value:
        return None

    def check(pairs: dict[Any, Any]) -> str | None:
        reason = count(pairs) if count else None
        if reason is not None:
            return f"{prefix}: {reason}"
        for name in sorted(pairs):
            reason = first_violation(name_checks, name) or first_violation(of_value, pairs[name])
            if reason is not None:
                return f"{prefix}[{name}]: {reason}"
        return None

    return check


def oneof_checks(oneof: DescOneof) -> Iterator[MessageCheck]:
    """The chosen member, or that one must be chosen."""
    members = {
        field.name: of_value
        for field in oneof.fields
        if (of_value := singular_check(rules_of(field), kind_of_member(field), prefix_of(field)))
    }
    when_absent = f"{prefix_of(oneof)}: {REQUIRED}" if is_required(oneof) else None
    if not members and when_absent is None:
        return
    name = oneof.local_name

    def check(message: object) -> str | None:
        chosen = getattr(message, name)
        if chosen is None:
            return when_absent
        of_member = members.get(chosen.field)
        return of_member(chosen.value) if of_member else None

    yield check


def kind_of_member(field: DescField) -> ScalarType | DescEnum | DescMessage:
    """The type of a oneof's member, which is always singular."""
    match field.value:
        case DescFieldValueList() | DescFieldValueMap():
            raise TypeError(field.name)
        case value:
            return kind_of(value)


def is_required(oneof: DescOneof) -> bool:
    """Whether one member must be set."""
    options = oneof.proto.options
    return options is not None and bool(options[options_pb.ext_required])
