"""CloudEvents 1.0.2 over HTTP on the path of `PublishEvents`, in all three modes.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md

A CloudEvent becomes a call of `EventService.PublishEvents`, so that authentication, limits and
errors are those of every other call. The body is read after the caller is authenticated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from connectrpc.code import Code
from protobuf import Oneof
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from outrider.api.asgi.limits import SEND_LESS, TOO_LARGE
from outrider.api.asgi.types import (
    App,
    BodyTooLargeError,
    Header,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    receive_after,
)
from outrider.api.endpoints.cloudevents_reader import read_batch, read_binary, read_structured
from outrider.api.rest.app import RestResponse, connect_scope, decompress
from outrider.api.rest.request import BadRequestError
from outrider.api.rpc.error_mapping import shortened
from outrider.api.rpc.protocol_errors import media_type, send_error
from outrider.api.rpc.service import Service
from outrider.api.services.outrider.events import ids_by_source
from outrider.domain.events.cloud_event import CloudEvent
from outrider.errors import InvalidRequest
from outrider_api.outrider.v1 import event_service_pb as pb

PATH = "/v1/events"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PROTO: Header = (b"content-type", b"application/proto")

_PUBLISH = "/outrider.v1.EventService/PublishEvents"
_FAMILY = "application/cloudevents"
# One of these makes a request a CloudEvent in binary mode; without all of them it is a bad one.
_REQUIRED_HEADERS = frozenset({b"ce-specversion", b"ce-id", b"ce-source", b"ce-type"})

# After so many, other calls have the event loop: it takes five milliseconds.
READ_AT_ONCE = 100

Reader = Callable[[Scope, bytes], Iterable[CloudEvent]]


def is_cloud_event(scope: Scope) -> bool:
    """Whether a request publishes CloudEvents, good or bad."""
    if scope["path"] != PATH or scope["method"] != "POST":
        return False
    return media_type(scope).startswith(_FAMILY) or any(
        name in _REQUIRED_HEADERS for name, _ in scope["headers"]
    )


def cloud_events(services: Sequence[Service], otherwise: App) -> App:
    """The application that publishes CloudEvents, and leaves every other request to `otherwise`.

    Without an `EventService` among the services it is `otherwise` itself.
    """
    event_service = _PUBLISH[1:].partition("/")[0]
    for service in services:
        if service.descriptor.type_name == event_service:
            return CloudEvents(service.app, otherwise)
    return otherwise


class CloudEvents:
    """The application for what `is_cloud_event`; `event_app` answers `PublishEvents`."""

    def __init__(self, event_app: App, otherwise: App) -> None:
        self._event_app = event_app
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers like REST: with JSON, and an error's HTTP status."""
        if is_cloud_event(scope):
            await self._publish(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    async def _publish(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = _reader(media_type(scope))
        if reader is None:
            text = (
                f"content type {media_type(scope)!r} is not supported, send {STRUCTURED} or {BATCH}"
            )
            await send_error(scope, send, Code.INVALID_ARGUMENT, text, status=415)
            return
        try:
            call = connect_scope(_PUBLISH, scope, PROTO)
        except BadRequestError as error:
            await send_error(scope, send, Code.INVALID_ARGUMENT, shortened(str(error)))
            return
        translated = _receive_translated(reader, scope, receive)
        # As binary, the message is never larger than the JSON that it came from.
        with ids_by_source():
            await self._event_app(call, translated, RestResponse(send, _response_json))


def _reader(kind: str) -> Reader | None:
    if kind.startswith(_FAMILY):
        return {STRUCTURED: read_structured, BATCH: read_batch}.get(kind)
    return read_binary


def _receive_translated(reader: Reader, scope: Scope, receive: Receive) -> Receive:
    """A `receive` whose body is the message; what is wrong with the events it raises."""

    async def message() -> bytes:
        messages: list[pb.Event] = []
        for event in reader(scope, await _body(scope, receive)):
            messages.append(_message(event))
            if len(messages) % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
        return pb.PublishEventsRequest(events=messages).to_binary()

    return receive_after(message, receive)


async def _body(scope: Scope, receive: Receive) -> bytes:
    encoding = (header(scope, b"content-encoding") or b"identity").decode("latin-1").lower()
    try:
        body = await read_body(receive)
        if encoding == "gzip" and body:
            return decompress(body)
    except BodyTooLargeError:
        raise InvalidRequest(TOO_LARGE, hint=SEND_LESS) from None
    except BadRequestError as problem:
        raise InvalidRequest(shortened(str(problem))) from None
    if encoding not in {"identity", "gzip"}:
        raise InvalidRequest(
            shortened(f"content encoding {encoding!r} is not supported, send gzip or none")
        )
    return body


def _message(event: CloudEvent) -> pb.Event:
    message = pb.Event(
        id=event.id,
        event_type=event.type,
        aggregate_id=event.subject,
        aggregate_type=event.aggregate_type,
        resource_owner=event.source,
        sequence=event.sequence,
        user_id=event.user_id,
    )
    if event.time_ns is not None:
        message.created_at = Timestamp.from_nanos(event.time_ns)
    if event.data is not None:
        payload: Oneof[Literal["event_payload_json"], str]
        payload = Oneof("event_payload_json", event.data)
        message.payload = payload
    return message


def _response_json(body: bytes) -> bytes:
    return pb.PublishEventsResponse.from_binary(body).to_json().encode()
