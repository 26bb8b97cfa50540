"""Check answers against the JSON Schemas that applications gave to their methods.

Callers write the schemas, so a schema is refused if its references leave it, if its patterns do not
run in linear time, or if checking it would take long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs

from outrider.domain.formats.json_bounds import most_values
from outrider.domain.formats.json_text import Pointer, pointer_text
from outrider.domain.formats.schema_cost import MAX_COST, schema_cost
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.response_check import Answer
from outrider.usecases.ports.schemas import InvalidSchema

_MAX_WORK = 1_000_000
_MAX_TEXT = 200
# Of a schema without `properties` the checker does not say which members are too many.
_NO_MEMBERS = ("additionalProperties",)

Violation = tuple[tuple[str | int, ...], tuple[str | int, ...], str]
"""The place in the message, without positions, the place in the schema, and a member."""


class JsonSchemas:
    """`ports.schemas.SchemaCompiler` with jsonschema-rs: a check takes a microsecond."""

    def compile(self, schema_json: str, *, is_of_request: bool = False) -> JsonSchema:
        try:
            schema = json.loads(schema_json)
            cost = schema_cost(schema)
            if cost > MAX_COST:
                raise InvalidSchema("its choices lie too deep inside each other")
            validator = jsonschema_rs.validator_for(
                schema,
                offline=True,
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as failure:
            # The rest of the text shows the schema.
            reason = str(failure).partition("\n")[0][:_MAX_TEXT]
            raise InvalidSchema(reason) from None
        return JsonSchema(schema, validator, cost, is_of_request=is_of_request)


class JsonSchema:
    """`MessageSchema` of a method that an application added.

    For responses it may be a schema of the request alone: a response that did not fit when the
    application gave it is not checked.
    """

    def __init__(
        self, schema: Any, validator: jsonschema_rs.Validator, cost: int, *, is_of_request: bool
    ) -> None:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        self._names = frozenset(properties) if isinstance(properties, dict) else frozenset[str]()
        self._validator = validator
        self._cost = cost
        self._is_of_request = is_of_request

    def has_member(self, name: str) -> bool:
        return name in self._names

    def check(self, answer: Answer) -> None:
        if most_values(answer.text) * self._cost > _MAX_WORK:
            raise InvalidResponse("the answer has too many values for the method's schema")
        value = _loaded(answer.text)
        if self._validator.is_valid(value):
            return
        before = list(self._violations(_loaded(answer.previous_text)))
        if before and self._is_of_request:
            return
        known = {violation for violation, _ in before}
        for violation, pointer in self._violations(value):
            if violation not in known:
                _, rule, _ = violation
                where = pointer_text(pointer)
                raise InvalidResponse(f"{where} of the answer violates {_rule(rule)} of the schema")

    def _violations(self, value: Any) -> Iterator[tuple[Violation, Pointer]]:
        for error in self._validator.iter_errors(value):
            steps = list(error.instance_path)
            pointer = _pointer(steps)
            place = tuple(-1 if isinstance(step, int) else step for step in steps)
            rule = tuple(error.schema_path)
            unexpected = getattr(error.kind, "unexpected", None)
            if rule[-1:] == _NO_MEMBERS and unexpected is None:
                unexpected = list(_part(value, steps))
            if unexpected is None:
                yield (place, rule, ""), pointer
            for name in unexpected or ():
                yield (place, rule, str(name)), (pointer, name)


def _part(value: Any, steps: Iterable[str | int]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # An integer with more digits than Python reads.
        raise InvalidResponse("the answer has a number that cannot be checked") from None


def _pointer(steps: Iterable[str | int]) -> Pointer:
    pointer: Pointer = None
    for step in steps:
        pointer = (pointer, step)
    return pointer


def _rule(steps: Iterable[str | int]) -> str:
    return pointer_text(_pointer(steps))
