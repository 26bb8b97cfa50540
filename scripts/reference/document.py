"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1.html) of the whole API.

A call has an operation for each of its REST routes, and one for its Connect path; the tag of both
is the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from connectrpc.code import Code

from reference.cloud_events import cloud_events
from reference.contract import Contract, Field, Json, Message, Method, Route
from reference.examples import TEXTS, example_of
from reference.schemas import NUMBERS, WELL_KNOWN, Schemas, refer

CONNECT = ".connect"
AUTHENTICATED = "authenticated"
PUBLIC = "public"
NEEDS = {
    AUTHENTICATED: "Any valid token will do.",
    PUBLIC: "No token is needed.",
}
WHOLE_MESSAGE = "*"
VARIABLE = re.compile(r"\{(\w+)\}")
TEXT_MESSAGES = ("google.protobuf.Timestamp", "google.protobuf.Duration")

# By status: the codes that have it.
ERRORS: Mapping[str, str] = {
    "400": "`invalid_argument`, `failed_precondition` or `out_of_range`: the request, or the state"
    " that it meets, does not allow the call.",
    "401": "`unauthenticated`: there is no token, or it is not valid.",
    "403": "`permission_denied`: the caller lacks the permission.",
    "404": "`not_found`: something that the request names does not exist.",
    "409": "`already_exists` or `aborted`: something like it exists, or has just changed.",
    "415": "`invalid_argument`: the body's type or encoding is not supported.",
    "429": "`resource_exhausted`: too much, or too often; try again later.",
    "500": "`internal`: our fault; the message has a reference that the server's log has too."
    " `unknown`: a filter without values.",
    "501": "`unimplemented`: the call is not there yet.",
    "default": "Any other error.",
}
CODES = [code.value for code in Code]

ABOUT = """\
Targets, executions, events and their deliveries.

Every call can be made in two ways, with the same JSON: by its REST route, and by its Connect path
(`POST /package.Service/Method`, https://connectrpc.com/docs/protocol). gRPC and gRPC-Web callers
use the Connect paths with their own content types. Some calls have no REST route.

JSON is that of Protocol Buffers: 64-bit integers are strings, durations look like `"10s"`, bytes
are Base64, enums are names. Answers leave out fields that have their default value (`0`, `""`,
`false`, the first value of an enum, an empty list), so nothing in an answer is required. Requests
may have unknown fields; they are ignored.
"""


def document_of(contract: Contract, version: str) -> Json:
    """The whole document."""
    schemas = Schemas(contract)
    paths: dict[str, Json] = {}
    for service in contract.services:
        for method in service.methods:
            for path, verb, operation in Calls(contract, schemas, method).operations():
                paths.setdefault(path, {})[verb] = operation
    tags = [{"name": service.name, "description": service.comment} for service in contract.services]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "outrider",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that gave you this document."}],
        "security": [{"bearer": []}],
        "tags": [*tags, {"name": "health", "description": "For probes; no login is needed."}],
        "paths": {**paths, **health()},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token."}
            },
            "responses": {
                f"{protocol}.{status}": failure(protocol, status) for protocol, status in failures()
            },
            "schemas": dict(sorted({**schemas.components, **error_schemas()}.items())),
        },
    }


class Calls:
    """The operations of one method."""

    def __init__(self, contract: Contract, schemas: Schemas, method: Method) -> None:
        self._schemas = schemas
        self._method = method
        self._input: Message = contract.messages[method.input]

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Path, verb and operation: REST first."""
        name = f"{self._method.service}.{self._method.name}"
        for index, route in enumerate(self._method.routes):
            suffix = f".{index + 1}" if index else ""
            yield route.path, route.verb, self._rest(route, name + suffix)
        yield f"/{self._method.service}/{self._method.name}", "post", self._connect(name + CONNECT)

    def _rest(self, route: Route, name: str) -> Json:
        in_path = VARIABLE.findall(route.path)
        parameters = [self._parameter(self._field(name), "path") for name in in_path]
        if route.body != WHOLE_MESSAGE:
            taken = {*in_path, route.body}
            parameters += [
                self._parameter(field, "query")
                for field in self._input.fields
                if field.name not in taken and is_plain(field)
            ]
        operation = self._operation(name)
        if parameters:
            operation["parameters"] = parameters
        if route.body:
            operation["requestBody"] = self._body(route, in_path)
        statuses = [*self._statuses(), *(["415"] if route.body else [])]
        return {**operation, "responses": self._responses("rest", statuses)}

    def _connect(self, name: str) -> Json:
        schema = self._schemas.reference(self._method.input, answers=False)
        return {
            **self._operation(name),
            "requestBody": {"required": True, "content": self._content(schema)},
            "responses": self._responses("connect", self._statuses()),
        }

    def _operation(self, name: str) -> Json:
        permission = self._method.permission
        needs = NEEDS.get(permission, f"Needs the permission `{permission}`.")
        operation: Json = {
            "tags": [self._method.service],
            "operationId": name,
            "summary": self._method.name,
            "description": f"{self._method.comment}\n\n{needs}".strip(),
            "x-permission": permission,
        }
        return {**operation, "security": []} if permission == PUBLIC else operation

    def _field(self, name: str) -> Field:
        return next(field for field in self._input.fields if field.name == name)

    def _parameter(self, field: Field, location: str) -> Json:
        schema = self._schemas.field(field)
        name = field.name if location == "path" else field.json_name
        parameter: Json = {"name": name, "in": location, "schema": schema}
        if location == "path":
            parameter |= {"required": True, "example": TEXTS.get(field.json_name, "1")}
        return parameter

    def _body(self, route: Route, in_path: list[str]) -> Json:
        if route.body != WHOLE_MESSAGE:
            schema = self._schemas.field(self._field(route.body))
        elif in_path:
            schema = self._schemas.request(self._method.input, without=in_path)
        else:
            schema = self._schemas.reference(self._method.input, answers=False)
        example = self._example(schema)
        content = {**self._content(schema), **cloud_events(route.path)}
        return {"required": bool(example), "content": content}

    def _content(self, schema: Json) -> Json:
        return {"application/json": {"schema": schema, "example": self._example(schema)}}

    def _example(self, schema: Json) -> Json:
        components = self._schemas.components
        reference = schema.get("$ref", "").rpartition("/")[2]
        return example_of(self._method.input, components.get(reference, schema), components)

    def _statuses(self) -> list[str]:
        """The statuses of errors that the contract lets a client expect."""
        statuses = ["400", "429", "500", "501", "default"]
        if self._method.permission != PUBLIC:
            statuses.append("401")
        if self._method.permission not in NEEDS:
            statuses.append("403")
        if any(field.name.endswith(("id", "ids")) for field in self._input.fields):
            statuses.append("404")
        if not self._method.permission.endswith((".read", *NEEDS)):
            statuses.append("409")
        return statuses

    def _responses(self, protocol: str, statuses: list[str]) -> Json:
        schema = self._schemas.reference(self._method.output, answers=True)
        answer = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
        errors = {status: refer_to_failure(protocol, status) for status in sorted(statuses)}
        return {"200": answer, **errors}


def is_plain(field: Field) -> bool:
    """Return whether a query can give the field."""
    return field.kind in {"TYPE_STRING", "TYPE_ENUM", *NUMBERS} or (
        field.type_name in TEXT_MESSAGES and field.type_name in WELL_KNOWN
    )


def failures() -> Iterator[tuple[str, str]]:
    """Every kind of failure, for REST and for Connect."""
    for protocol in ("rest", "connect"):
        for status in ERRORS:
            if (protocol, status) != ("connect", "415"):
                yield protocol, status


def failure(protocol: str, status: str) -> Json:
    """One kind of failure as a component."""
    title = {"rest": "RestError", "connect": "ConnectError"}[protocol]
    response: Json = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": refer(title)}},
    }
    if (protocol, status) == ("rest", "401"):
        response["headers"] = {"WWW-Authenticate": {"schema": {"const": "Bearer"}}}
    return response


def refer_to_failure(protocol: str, status: str) -> Json:
    """A reference to a failure."""
    return {"$ref": f"#/components/responses/{protocol}.{status}"}


def error_schemas() -> dict[str, Json]:
    """The two shapes of an error, and what they share."""
    plain: Json = {
        "code": {"type": "string", "enum": CODES},
        "message": {"type": "string", "description": "A sentence; it ends with the id, if any."},
    }
    details: Json = {"type": "array", "items": refer("ErrorDetail")}
    first = {"detail": {**refer("ErrorDetail"), "description": "The first of `details`."}}
    detail: Json = {
        "type": {"type": "string", "examples": ["zitadel.v1.ErrorDetail"]},
        "value": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "The message in Protocol Buffers' binary form, without padding.",
        },
        "debug": {
            "description": "The message as JSON.",
            "examples": [{"id": "COMMAND-39f35d8uri", "message": "Target has no timeout"}],
        },
        "@type": {"type": "string", "examples": ["type.googleapis.com/zitadel.v1.ErrorDetail"]},
        "id": {
            "type": "string",
            "description": "Of a `zitadel.v1.ErrorDetail`. The members of every detail stand here.",
        },
        "message": {"type": "string"},
    }
    common: Json = {"type": "object", "required": ["code"]}
    return {
        "RestError": {**common, "properties": {**plain, **first, "details": details}},
        "ConnectError": {**common, "properties": {**plain, "details": details}},
        "ErrorDetail": {"type": "object", "properties": detail},
    }


def health() -> dict[str, Json]:
    """The routes for probes."""
    alive = probe("healthz", "Whether the process lives.", {"200": "It does."})
    ready = probe(
        "readyz",
        "Whether the process can serve.",
        {"200": "It can.", "503": "It cannot; `reason` says why."},
    )
    return {"/healthz": {"get": alive}, "/readyz": {"get": ready}}


def probe(name: str, text: str, statuses: Mapping[str, str]) -> Json:
    """One route for probes."""
    properties = {"status": {"type": "string"}, "reason": {"type": "string"}}
    content = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    return {
        "tags": ["health"],
        "operationId": name,
        "summary": name,
        "description": text,
        "security": [],
        "responses": {
            status: {"description": description, "content": content}
            for status, description in statuses.items()
        },
    }
