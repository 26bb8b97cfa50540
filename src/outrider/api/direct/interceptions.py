"""The three interceptions by plain JSON: their messages stay the text that they came as."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder
from protobuf import DescMethod, Message

from outrider.api.direct.call import DirectAnswer
from outrider.api.direct.plain_json import (
    HandOver,
    PlainMessage,
    check_names_once,
    check_rules,
    decoded,
    quotes_of,
    rules_of,
    text_of_object,
)
from outrider.api.rpc.error_mapping import INTERCEPTION_ID
from outrider.api.services.outrider.interceptions import (
    function_answer,
    request_answer,
    response_answer,
)
from outrider.domain.access.permission import Actor
from outrider.domain.interception.message import JSON_TEXTS, check_message
from outrider.domain.interception.payload import InterceptedCall
from outrider.usecases.interception.intercept import InterceptionResult, Interceptions, json_text
from outrider_api.outrider.v1 import interception_service_pb as pb
from outrider_api.outrider.v1.interception_service_connect import InterceptionService

M = TypeVar("M")
P = TypeVar("P", bound=PlainMessage)
_METHODS = {method.name: method for method in InterceptionService.desc().methods}
_LONG_BODY = 128 * 1024


class _HeaderValues(PlainMessage):
    values: list[str]


class _InterceptRequest(PlainMessage):
    full_method: str = ""
    org_id: str = ""
    project_id: str = ""
    user_id: str = ""
    headers: dict[str, _HeaderValues] | UnsetType = UNSET
    request: Raw | UnsetType = UNSET


class _InterceptResponse(_InterceptRequest):
    response: Raw | UnsetType = UNSET


class _CallFunction(PlainMessage):
    function: str = ""
    payload: Raw | UnsetType = UNSET


_CALL = pb.InterceptRequestRequest.desc()
_CALL_RULES = rules_of(_CALL, "full_method", "org_id", "project_id", "user_id")
_HEADER_RULES = rules_of(_CALL, "headers")
_FUNCTION_RULES = rules_of(pb.CallFunctionRequest.desc(), "function")
_REQUEST_DECODER = Decoder(_InterceptRequest)
_RESPONSE_DECODER = Decoder(_InterceptResponse)
_FUNCTION_DECODER = Decoder(_CallFunction)


@dataclass(frozen=True, slots=True)
class RequestCommand:
    """A request to intercept."""

    call: InterceptedCall
    request: str


@dataclass(frozen=True, slots=True)
class ResponseCommand:
    """A response to intercept, and the request that the application handled."""

    call: InterceptedCall
    request: str
    response: str


@dataclass(frozen=True, slots=True)
class FunctionCommand:
    """A function to call."""

    function: str
    payload: str


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """`outrider.v1.InterceptionService/InterceptRequest`."""

    interceptions: Interceptions
    method: DescMethod = _METHODS["InterceptRequest"]
    is_watched: bool = True

    async def read(self, body: bytes, /) -> RequestCommand:
        message = await _read(_REQUEST_DECODER, body)
        return RequestCommand(_call(message), await _text(message.request))

    async def run(self, actor: Actor, command: RequestCommand, /) -> DirectAnswer:
        result = await self.interceptions.request(
            actor.instance_id, command.call, command.request, JSON_TEXTS
        )
        return _answer(request_answer(result), result)


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """`outrider.v1.InterceptionService/InterceptResponse`."""

    interceptions: Interceptions
    method: DescMethod = _METHODS["InterceptResponse"]
    is_watched: bool = True

    async def read(self, body: bytes, /) -> ResponseCommand:
        message = await _read(_RESPONSE_DECODER, body)
        request = await _text(message.request)
        return ResponseCommand(_call(message), request, await _text(message.response))

    async def run(self, actor: Actor, command: ResponseCommand, /) -> DirectAnswer:
        result = await self.interceptions.response(
            actor.instance_id,
            command.call,
            command.response,
            JSON_TEXTS,
            request=json_text(command.request),
        )
        return _answer(response_answer(result), result)


@dataclass(frozen=True, slots=True)
class DirectFunction:
    """`outrider.v1.InterceptionService/CallFunction`."""

    interceptions: Interceptions
    method: DescMethod = _METHODS["CallFunction"]
    is_watched: bool = True

    async def read(self, body: bytes, /) -> FunctionCommand:
        message = await _read(_FUNCTION_DECODER, body)
        check_rules(_FUNCTION_RULES, message)
        return FunctionCommand(message.function, await _text(message.payload))

    async def run(self, actor: Actor, command: FunctionCommand, /) -> DirectAnswer:
        result = await self.interceptions.function(
            actor.instance_id, command.function, command.payload
        )
        return _answer(function_answer(command.function, command.payload, result), result)


async def _read(decoder: Decoder[P], body: bytes) -> P:
    message = decoded(decoder, body)
    await _others(len(body))
    check_names_once(body, quotes_of(message))
    return message


async def _text(value: Raw | UnsetType) -> str:
    """The text of a message that may be absent. Raise `HandOver` when it cannot be one."""
    text = text_of_object(value)
    if text is None:
        return "{}"
    await _others(len(text))
    try:
        check_message(text)
    except ValueError:
        raise HandOver from None
    await _others(len(text))
    return text


async def _others(length: int) -> None:
    """After a long text others have the event loop: to read it took milliseconds."""
    if length > _LONG_BODY:
        await asyncio.sleep(0)


def _call(message: _InterceptRequest) -> InterceptedCall:
    check_rules(_CALL_RULES, message)
    if message.headers:
        check_rules(_HEADER_RULES, message)
    return InterceptedCall(
        full_method=message.full_method,
        org_id=message.org_id,
        project_id=message.project_id,
        user_id=message.user_id,
        headers={name: header.values for name, header in (message.headers or {}).items()},
    )


def _answer(message: Message, result: InterceptionResult[M]) -> DirectAnswer:
    run_id = result.interception_id
    return DirectAnswer(message, {INTERCEPTION_ID: run_id} if run_id else {})
