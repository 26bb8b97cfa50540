"""The operations of an OpenAPI document as methods.

An operation is `/<service>/<operationId>`, as the gateway names it: `--service` gives the service,
and in the operation's id whatever is no letter, digit or `_` becomes `_`. Without an id it is the HTTP
method and the words of the path, such as `get_orders_id`. The request's message is
`{"path": {…}, "query": {…}, "body": …}` and the response's `{"body": …}`, since bodies need not be
objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outrider.cli.catalogue.openapi_schema import Document, example_of

_HTTP_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SUCCESS = ("200", "201", "202", "203", "204", "206", "2XX", "2xx", "default")
_NO_NAME = re.compile(r"\W+", re.ASCII)
_SERVICE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


class InvalidOpenApi(Exception):
    """What is wrong with the document, and what to do."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its method, and schema and example of both messages."""

    full_method: str
    route: str
    request: Mapping[str, Any]
    request_example: Mapping[str, Any]
    response: Mapping[str, Any]
    response_example: Mapping[str, Any]


def read_openapi(content: Any) -> Document:
    """The document, once it is one of a version that is understood. Raise `InvalidOpenApi`."""
    if not isinstance(content, dict):
        raise InvalidOpenApi("is no OpenAPI document: it is not an object")
    version = str(content.get("openapi", ""))
    if not version.startswith("3."):
        found = f"swagger {content['swagger']}" if "swagger" in content else f"{version or 'none'}"
        raise InvalidOpenApi(
            f"its version is {found}; OpenAPI 3.0 and later are read: convert it, or import the"
            " descriptor set that it was made from"
        )
    if not isinstance(content.get("paths"), dict):
        raise InvalidOpenApi("is an OpenAPI document without paths")
    return Document(content, is_old=version.startswith("3.0"))


def operations_of(document: Document, service: str) -> list[Operation]:
    """Every operation, in the order of its methods. Raise `InvalidOpenApi` for one name of two."""
    if not _SERVICE.fullmatch(service):
        raise InvalidOpenApi(
            "an OpenAPI document names no service: give one, such as --service shop.v1.Orders"
        )
    found: dict[str, Operation] = {}
    for operation in _operations(document, service):
        other = found.setdefault(operation.full_method, operation)
        if other is not operation:
            raise InvalidOpenApi(
                f"{other.route} and {operation.route} are both {operation.full_method}: give each"
                " an operationId of its own"
            )
    return [found[name] for name in sorted(found)]


def operation_name(http_method: str, path: str, operation: Mapping[str, Any]) -> str:
    """The name of an operation's method."""
    given = operation.get("operationId")
    if isinstance(given, str) and given.strip():
        name = re.sub(r"\W", "_", given.strip(), flags=re.ASCII)
    else:
        name = _NO_NAME.sub("_", f"{http_method} {path}").strip("_")
    return f"_{name}" if name[0].isdigit() else name


def _operations(document: Document, service: str) -> Iterator[Operation]:
    for path, item in document.root["paths"].items():
        shared = document.resolved(item)
        if not isinstance(shared, dict):
            continue
        for http_method in _HTTP_METHODS:
            operation = shared.get(http_method)
            if not isinstance(operation, dict):
                continue
            name = operation_name(http_method, path, operation)
            parameters = _parameters(document, shared, operation)
            request, request_example = _request(document, parameters, operation)
            response, response_example = _response(document, operation)
            yield Operation(
                full_method=f"/{service}/{name}",
                route=f"{http_method.upper()} {path}",
                request=request,
                request_example=request_example,
                response=response,
                response_example=response_example,
            )


def _parameters(
    document: Document, shared: Mapping[str, Any], operation: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """An operation's own parameters take the place of those of its path."""
    found: dict[tuple[object, object], Mapping[str, Any]] = {}
    for source in (shared, operation):
        for part in source.get("parameters") or ():
            parameter = document.resolved(part)
            if isinstance(parameter, dict):
                found[parameter.get("in"), parameter.get("name")] = parameter
    return list(found.values())


def _request(
    document: Document, parameters: list[Mapping[str, Any]], operation: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    properties: dict[str, Any] = {}
    example: dict[str, Any] = {}
    for place in ("path", "query"):
        members = {str(one["name"]): one for one in parameters if one.get("in") == place}
        properties[place] = {
            "type": "object",
            "properties": {name: _as_text_too(_schema(one)) for name, one in members.items()},
        }
        if members:
            example[place] = {name: _value(document, one) for name, one in members.items()}
    media = _json_media(document, document.resolved(operation.get("requestBody") or {}))
    properties["body"] = _schema(media)
    if media:
        example["body"] = _value(document, media)
    return _closed(properties), example


def _response(
    document: Document, operation: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    responses = operation.get("responses") or {}
    chosen: Any = next((responses[status] for status in _SUCCESS if status in responses), {})
    media = _json_media(document, document.resolved(chosen))
    return _closed({"body": _schema(media)}), {"body": _value(document, media)} if media else {}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _schema(holder: Mapping[str, Any]) -> Any:
    return holder.get("schema", {})


def _as_text_too(schema: Any) -> Any:
    """Of a path and a query every value is a text, whatever it is read as, or several texts."""
    is_text = isinstance(schema, dict) and schema.get("type") == "string"
    texts = {"type": "array", "items": {"type": "string"}}
    return schema if is_text else {"anyOf": [schema, {"type": "string"}, texts]}


def _json_media(document: Document, holder: Any) -> Mapping[str, Any]:
    """What a request's or response's body is in JSON; empty when it is something else."""
    content = holder.get("content") if isinstance(holder, dict) else None
    for kind, media in (content if isinstance(content, dict) else {}).items():
        bare = str(kind).partition(";")[0].strip().lower()
        if bare == "application/json" or bare.endswith("+json"):
            found = document.resolved(media)
            return found if isinstance(found, dict) else {}
    return {}


def _value(document: Document, holder: Mapping[str, Any]) -> Any:
    """The example beside a schema, or one that is made from it."""
    if "example" in holder:
        return holder["example"]
    examples = holder.get("examples")
    for one in (examples if isinstance(examples, dict) else {}).values():
        found = document.resolved(one)
        if isinstance(found, dict) and "value" in found:
            return found["value"]
    return example_of(document, _schema(holder))
