"""One call on every wire: a request made of a message, and an answer read back.

Pure functions. Who carries the bytes is in `asgi_client`.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

from protobuf import DescMethod, DescService, Message, Oneof

from outrider_api.google.api import annotations_pb
from outrider_api.google.rpc.status_pb import Status
from outrider_api.outrider.v1.error_pb import ReasonDetail
from outrider_api.outrider.v1.interception_service_pb import InterruptDetail
from outrider_api.zitadel.message_pb import ErrorDetail

M = TypeVar("M", bound=Message)

GRPC_CODES = [
    "ok",
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
]
DETAIL_TYPE = "zitadel.v1.ErrorDetail"
INTERRUPT_TYPE = "outrider.v1.InterruptDetail"
REASON_TYPE = "outrider.v1.ReasonDetail"
TRAILER_FRAME = 0x80


class Wire(StrEnum):
    """Every way to call a procedure."""

    CONNECT_JSON = "connect+json"
    CONNECT_PROTO = "connect+proto"
    GRPC = "grpc"
    GRPC_WEB = "grpc-web"
    GRPC_WEB_TEXT = "grpc-web-text"
    REST = "rest"


CONTENT_TYPES = {
    Wire.CONNECT_JSON: "application/json",
    Wire.CONNECT_PROTO: "application/proto",
    Wire.GRPC: "application/grpc",
    Wire.GRPC_WEB: "application/grpc-web+proto",
    Wire.GRPC_WEB_TEXT: "application/grpc-web-text",
    Wire.REST: "application/json",
}


@dataclass(frozen=True)
class HttpRequest:
    """What goes out."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class HttpResponse:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Result(Generic[M]):
    """The same on every wire: a message, or a code with its text and the id in its detail.

    `target_id` and `interception_id` are in the detail of a call that a target interrupted; None:
    there is none. `reason` and `hint` are in their own detail; empty: there is none.
    """

    message: M | None
    code: str = "ok"
    text: str = ""
    detail_id: str | None = None
    detail_text: str | None = None
    target_id: str | None = None
    interception_id: str | None = None
    reason: str = ""
    hint: str = ""
    http_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    trailers: Mapping[str, str] = field(default_factory=dict)


def method_named(service: DescService, name: str) -> DescMethod:
    """A procedure of a service."""
    return next(method for method in service.methods if method.name == name)


def has_route(method: DescMethod) -> bool:
    """Whether REST knows the procedure."""
    options = method.proto.options
    return options is not None and annotations_pb.ext_http in options


def request_of(wire: Wire, method: DescMethod, message: Message) -> HttpRequest:
    """The HTTP request that carries a message."""
    if wire is Wire.REST:
        return rest_request(method, message)
    headers = {"content-type": CONTENT_TYPES[wire]}
    path = f"/{method.parent.type_name}/{method.name}"
    return HttpRequest("POST", path, headers, body_of(wire, message))


def body_of(wire: Wire, message: Message) -> bytes:
    """A message as this wire writes it."""
    if wire is Wire.CONNECT_JSON:
        return compact_json(json_of(message))
    data = message.to_binary()
    if wire is Wire.CONNECT_PROTO:
        return data
    framed = struct.pack(">BI", 0, len(data)) + data
    if wire is Wire.GRPC_WEB_TEXT:
        # In two pieces, as a browser that streams would do it.
        return b64encode(framed[:4]) + b64encode(framed[4:])
    return framed


def rest_request(method: DescMethod, message: Message) -> HttpRequest:
    """The route of the procedure, filled in from the message."""
    rule = method.proto.options[annotations_pb.ext_http]
    assert isinstance(rule.pattern, Oneof)
    fields = json_of(message)
    names = {item.name: item.json_name for item in method.input.fields}

    def filled(match: re.Match[str]) -> str:
        return quote(str(fields.pop(names[match[1]], "")), safe="")

    path = re.sub(r"\{(\w+)\}", filled, str(rule.pattern.value))
    verb = rule.pattern.field.upper()
    if not rule.body:
        return HttpRequest(verb, path)
    headers = {"content-type": "application/json"}
    return HttpRequest(verb, path, headers, compact_json(fields))


def json_of(message: Message) -> Any:
    """A message's JSON, with whole numbers written as all libraries but protobuf's write them."""
    return json.loads(message.to_json(), parse_float=plain_number)


def plain_number(digits: str) -> float:
    """`1.0` is `1`."""
    value = float(digits)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def compact_json(value: Any) -> bytes:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def result_of(wire: Wire, response: HttpResponse, kind: type[M]) -> Result[M]:
    """The message or the error in a response."""
    match wire:
        case Wire.CONNECT_JSON | Wire.CONNECT_PROTO | Wire.REST:
            return http_result(wire, response, kind)
        case Wire.GRPC:
            return grpc_result(response, response.body, response.trailers, kind)
        case Wire.GRPC_WEB:
            return grpc_web_result(response, response.body, kind)
        case Wire.GRPC_WEB_TEXT:
            pieces = re.findall(rb"[^=]+=*", response.body)
            return grpc_web_result(response, b"".join(map(b64decode, pieces)), kind)


def http_result(wire: Wire, response: HttpResponse, kind: type[M]) -> Result[M]:
    """Connect and REST: the HTTP status tells."""
    if response.status == 200:
        decode = kind.from_binary if wire is Wire.CONNECT_PROTO else kind.from_json
        assert CONTENT_TYPES[wire] == response.headers["content-type"]
        return Result(decode(response.body), headers=response.headers)
    error = response.json()
    details = error.get("details", [])
    if wire is Wire.REST:
        assert details[:1] == ([error["detail"]] if "detail" in error else [])
    for item in details:
        assert f"type.googleapis.com/{item['type']}" == item["@type"]
        assert item["debug"].items() <= item.items()
    raw = [ErrorDetail.from_binary(data) for data in values_of(details, DETAIL_TYPE)]
    targets = [InterruptDetail.from_binary(data) for data in values_of(details, INTERRUPT_TYPE)]
    reasons = [ReasonDetail.from_binary(data) for data in values_of(details, REASON_TYPE)]
    return Result(
        None,
        code=error["code"],
        text=error["message"],
        detail_id=raw[0].id if raw else None,
        detail_text=raw[0].message if raw else None,
        target_id=targets[0].target_id if targets else None,
        interception_id=targets[0].interception_id if targets else None,
        reason=reasons[0].reason if reasons else "",
        hint=reasons[0].hint if reasons else "",
        http_status=response.status,
        headers=response.headers,
    )


def values_of(details: list[dict[str, Any]], type_: str) -> list[bytes]:
    """The messages of one type among the details of an error."""
    return [b64decode(item["value"] + "===") for item in details if item["type"] == type_]


def grpc_web_result(response: HttpResponse, body: bytes, kind: type[M]) -> Result[M]:
    """The trailers are the last frame of the body, or headers when there is no body."""
    frames = list(frames_of(body))
    if frames and frames[-1][0] & TRAILER_FRAME:
        lines = frames.pop()[1].decode().strip().split("\r\n")
        trailers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    else:
        trailers = {}
    rest = b"".join(struct.pack(">BI", flags, len(data)) + data for flags, data in frames)
    return grpc_result(response, rest, trailers, kind)


def frames_of(body: bytes) -> list[tuple[int, bytes]]:
    """The frames of a gRPC body, flags and data."""
    frames = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        frames.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return frames


def grpc_result(
    response: HttpResponse, body: bytes, trailers: Mapping[str, str], kind: type[M]
) -> Result[M]:
    """The status is in the trailers, or in the headers of an answer that has no body."""
    ends = trailers if "grpc-status" in trailers else response.headers
    code = GRPC_CODES[int(ends["grpc-status"])]
    if code == "ok":
        ((flags, data),) = frames_of(body)
        assert flags == 0
        return Result(kind.from_binary(data), headers=response.headers)
    packed = ends.get("grpc-status-details-bin", "")
    return grpc_failure(code, unquote(ends.get("grpc-message", "")), packed, response, trailers)


def grpc_failure(
    code: str,
    text: str,
    packed: str,
    response: HttpResponse,
    trailers: Mapping[str, str] | None = None,
) -> Result[Any]:
    """An error with its detail unpacked from a google.rpc.Status."""
    status = Status.from_binary(b64decode(packed + "==="))
    found = [detail for any_ in status.details if (detail := any_.unpack(ErrorDetail))]
    targets = [detail for any_ in status.details if (detail := any_.unpack(InterruptDetail))]
    reasons = [detail for any_ in status.details if (detail := any_.unpack(ReasonDetail))]
    return Result(
        None,
        code=code,
        text=text,
        detail_id=found[0].id if found else None,
        detail_text=found[0].message if found else None,
        target_id=targets[0].target_id if targets else None,
        interception_id=targets[0].interception_id if targets else None,
        reason=reasons[0].reason if reasons else "",
        hint=reasons[0].hint if reasons else "",
        http_status=response.status,
        headers=response.headers,
        trailers=trailers or {},
    )
