"""JSON Schemas that applications gave to their methods."""

from __future__ import annotations

from typing import Protocol

from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.condition import ConditionKind


class InvalidSchema(Exception):
    """A JSON Schema that answers cannot be checked against. The text says what to change."""


class SchemaCompiler(Protocol):
    """Makes checks of JSON Schemas."""

    def compile(self, schema_json: str, kind: ConditionKind) -> MessageSchema:
        """Return the check of a method's requests or responses. Raise `InvalidSchema`."""
        ...
