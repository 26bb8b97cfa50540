"""JSON Schemas that applications gave to their methods."""

from __future__ import annotations

from typing import Protocol

from outrider.domain.interception.response_check import MessageSchema


class InvalidSchema(Exception):
    """A JSON Schema that answers cannot be checked against. The text says what to change."""


class SchemaCompiler(Protocol):
    """Makes checks of JSON Schemas."""

    def compile(self, schema_json: str, *, is_of_request: bool = False) -> MessageSchema:
        """Return the check of a method's messages. Raise `InvalidSchema`.

        With `is_of_request` it is for responses, and may be a schema of the request alone: a
        response that did not fit when it was given is not checked.
        """
        ...
