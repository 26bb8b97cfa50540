"""Interceptions: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from protobuf.wkt import Struct

from outrider.api.rpc.error_mapping import INTERCEPTION_ID
from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.rpc.json_text import is_json_call
from outrider.api.services.messages.structs import given_object, to_struct
from outrider.api.services.messages.times import to_duration
from outrider.domain.formats import go_json, json_members
from outrider.domain.hops import HOPS_HEADER, parse_hops
from outrider.domain.ids import ExecutionId
from outrider.domain.interception.function_result import added_attributes, added_claims
from outrider.domain.interception.message import JSON_OBJECTS, JSON_TEXTS, JsonObject
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest, OutriderError
from outrider.usecases.interception.enqueuer import continue_hops
from outrider.usecases.interception.intercept import InterceptionResult, Interceptions, json_text
from outrider.usecases.interception.target_chain import TargetCall
from outrider.usecases.routing.explain import Explain, ExplainQuery, Explanation
from outrider_api.outrider.v1 import interception_service_pb as pb
from outrider_api.outrider.v1.interception_service_connect import InterceptionService
from outrider_api.outrider.v1.outcome_pb import Outcome

M = TypeVar("M")
_CallRequest = pb.InterceptRequestRequest | pb.InterceptResponseRequest
# What is left of the caller's deadline for the answer to travel back: a tenth, at most this.
_TRAVEL_S = 0.1


class InterceptionHandlers(InterceptionService):
    """`outrider.v1.InterceptionService`."""

    def __init__(self, interceptions: Interceptions, explain: Explain) -> None:
        self._interceptions = interceptions
        self._explain = explain

    async def intercept_request(
        self, request: pb.InterceptRequestRequest, ctx: Context, /
    ) -> pb.InterceptRequestResponse:
        """Before a request is handled."""
        _count_hops(ctx)
        given = _given(request.request, request.request_json, f"{_name(request)}.Request")
        instance, call, seconds = actor_of(ctx).instance_id, _call(request), _seconds(ctx)
        if isinstance(given, str):
            text_run = self._interceptions.request(
                instance, call, given, JSON_TEXTS, seconds=seconds
            )
            return request_answer(await _with_id(ctx, text_run))
        result = await _with_id(
            ctx,
            self._interceptions.request(instance, call, given, JSON_OBJECTS, seconds=seconds),
        )
        struct = request.request if result.message is given else to_struct(result.message)
        return pb.InterceptRequestResponse(request=struct or Struct(), **_run(result))

    async def intercept_response(
        self, request: pb.InterceptResponseRequest, ctx: Context, /
    ) -> pb.InterceptResponseResponse:
        """Before a response is sent. When one of the messages is text, the answer is."""
        _count_hops(ctx)
        handled = _given(request.request, request.request_json, f"{_name(request)}.Request")
        given = _given(request.response, request.response_json, f"{_name(request)}.Response")
        instance, call, seconds = actor_of(ctx).instance_id, _call(request), _seconds(ctx)
        shown = json_text(handled)
        if isinstance(given, str) or isinstance(handled, str):
            text = given if isinstance(given, str) else json_text(given)
            text_run = self._interceptions.response(
                instance, call, text, JSON_TEXTS, request=shown, seconds=seconds
            )
            return response_answer(await _with_id(ctx, text_run))
        result = await _with_id(
            ctx,
            self._interceptions.response(
                instance, call, given, JSON_OBJECTS, request=shown, seconds=seconds
            ),
        )
        struct = request.response if result.message is given else to_struct(result.message)
        return pb.InterceptResponseResponse(response=struct or Struct(), **_run(result))

    async def call_function(
        self, request: pb.CallFunctionRequest, ctx: Context, /
    ) -> pb.CallFunctionResponse:
        """At a function."""
        _count_hops(ctx)
        function = request.function
        payload = _given(request.payload, request.payload_json, "CallFunctionRequest.Payload")
        run = self._interceptions.function(
            actor_of(ctx).instance_id, function, payload, seconds=_seconds(ctx)
        )
        return function_answer(function, payload, await _with_id(ctx, run))

    async def explain(self, request: pb.ExplainRequest, ctx: Context, /) -> pb.ExplainResponse:
        """Which execution would match, and why. Nothing is called."""
        return _explanation_to_proto(await self._explain(actor_of(ctx), _query(request)))


def request_answer(left: InterceptionResult[str]) -> pb.InterceptRequestResponse:
    """The answer to a request that is text."""
    return pb.InterceptRequestResponse(request_json=left.message, **_run(left))


def response_answer(left: InterceptionResult[str]) -> pb.InterceptResponseResponse:
    """The answer to a response that is text."""
    return pb.InterceptResponseResponse(response_json=left.message, **_run(left))


def function_answer(
    function: str, payload: JsonObject | str, result: InterceptionResult[JsonObject]
) -> pb.CallFunctionResponse:
    """The answer to a function: as text where its payload was."""
    response = pb.CallFunctionResponse(
        attributes=[
            pb.SamlAttribute(
                name=added_attribute.name,
                name_format=added_attribute.name_format,
                values=list(added_attribute.values),
            )
            for added_attribute in added_attributes(function, result.message)
        ],
        **_run(result),
    )
    claims = added_claims(function, _userinfo(payload), result.message)
    if isinstance(payload, str):
        response.answer_json = go_json.dumps_as_read(result.message)
        response.claims_json = go_json.dumps_as_read(claims)
    else:
        response.answer, response.claims = to_struct(result.message), to_struct(claims)
    return response


async def _with_id(
    ctx: Context, run: Coroutine[Any, Any, InterceptionResult[M]]
) -> InterceptionResult[M]:
    """Wait for the run; its id goes into a header of the response, also when a target interrupts."""
    try:
        result = await run
    except OutriderError as error:
        if error.interception_id:
            ctx.response_headers[INTERCEPTION_ID] = error.interception_id
        raise
    if result.interception_id:
        ctx.response_headers[INTERCEPTION_ID] = result.interception_id
    return result


def _count_hops(ctx: Context) -> None:
    """A call that an application makes because of a delivery: its asynchronous targets may do it again."""
    continue_hops(parse_hops(ctx.request_headers.getall(HOPS_HEADER)))


def _name(request: _CallRequest) -> str:
    return type(request).__name__


def _given(struct: Struct | None, text: str, field_name: str) -> JsonObject | str:
    """The message that a caller gave; an empty one, as its wire has them, when it gave none."""
    given = given_object(struct, text, field_name)
    if given is None:
        return "{}" if is_json_call() else {}
    return given


def _userinfo(payload: JsonObject | str) -> JsonObject:
    """The claims that the user has before the function runs."""
    known = json_members.parse(payload) if isinstance(payload, str) else payload
    userinfo = known.get("userinfo")
    return userinfo if isinstance(userinfo, dict) else {}


def _run(result: InterceptionResult[Any]) -> dict[str, Any]:
    """The part of an answer that says what was called."""
    return {"execution": result.execution or "", "calls": _calls(result.calls)}


def _call(request: _CallRequest) -> InterceptedCall:
    return InterceptedCall(
        full_method=request.full_method,
        org_id=request.org_id,
        project_id=request.project_id,
        user_id=request.user_id,
        headers=_headers(request.headers),
    )


def _headers(headers: Mapping[str, pb.HeaderValues]) -> dict[str, list[str]]:
    return {name: list(header.values) for name, header in headers.items()}


def _seconds(ctx: Context) -> float | None:
    """How long the targets may take so that the caller still gets an answer; None: no deadline."""
    if ctx.timeout_ms is None:
        return None
    left = ctx.timeout_ms / 1000
    return left - min(_TRAVEL_S, left / 10)


def _calls(calls: Iterable[TargetCall]) -> list[pb.TargetCall]:
    return [
        pb.TargetCall(
            target_id=call.target_id,
            outcome=Outcome(0 if call.outcome is None else call.outcome.value),
            duration=None if call.outcome is None else to_duration(call.duration),
            error=call.error,
        )
        for call in calls
    ]


def _query(request: pb.ExplainRequest) -> ExplainQuery:
    subject = request.subject
    if subject is None:  # the rules of the proto file have refused it
        raise InvalidRequest(
            "invalid ExplainRequest.Subject: value is required",
            hint="set method, function or event_type",
        )
    if subject.field == "function":
        return ExplainQuery(ConditionKind.FUNCTION, subject.value)
    if subject.field == "event_type":
        return ExplainQuery(ConditionKind.EVENT, subject.value)
    kind = ConditionKind.RESPONSE if request.response else ConditionKind.REQUEST
    return ExplainQuery(kind, subject.value)


def _explanation_to_proto(explanation: Explanation) -> pb.ExplainResponse:
    return pb.ExplainResponse(
        matched=explanation.matched or ExecutionId(""),
        candidates=[
            pb.Candidate(id=candidate.execution_id, reason=candidate.reason)
            for candidate in explanation.candidates
        ],
        targets=[
            pb.ExplainedTarget(
                target_id=target.target_id,
                name=target.name,
                will_call=target.will_call,
                reason=target.reason,
            )
            for target in explanation.targets
        ],
        unknown=explanation.is_unknown,
        suggestions=list(explanation.suggestions),
    )
