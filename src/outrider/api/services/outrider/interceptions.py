"""Interceptions: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from protobuf.wkt import Struct

from outrider.api.rpc.error_mapping import INTERCEPTION_ID
from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.structs import to_object
from outrider.api.services.messages.times import to_duration
from outrider.domain.ids import ExecutionId
from outrider.domain.interception.function_result import added_attributes, added_claims
from outrider.domain.interception.message import JSON_OBJECTS
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest, OutriderError
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
        run = self._interceptions.request(
            actor_of(ctx).instance_id,
            _call(request),
            to_object(request.request, f"{_name(request)}.Request"),
            JSON_OBJECTS,
            seconds=_seconds(ctx),
        )
        result = await _with_id(ctx, run)
        return pb.InterceptRequestResponse(
            request=Struct.from_python(result.message),
            execution=result.execution or "",
            calls=_calls(result.calls),
        )

    async def intercept_response(
        self, request: pb.InterceptResponseRequest, ctx: Context, /
    ) -> pb.InterceptResponseResponse:
        """Before a response is sent."""
        run = self._interceptions.response(
            actor_of(ctx).instance_id,
            _call(request),
            to_object(request.response, f"{_name(request)}.Response"),
            JSON_OBJECTS,
            request=json_text(to_object(request.request, f"{_name(request)}.Request")),
            seconds=_seconds(ctx),
        )
        result = await _with_id(ctx, run)
        return pb.InterceptResponseResponse(
            response=Struct.from_python(result.message),
            execution=result.execution or "",
            calls=_calls(result.calls),
        )

    async def call_function(
        self, request: pb.CallFunctionRequest, ctx: Context, /
    ) -> pb.CallFunctionResponse:
        """At a function."""
        payload = to_object(request.payload, "CallFunctionRequest.Payload")
        run = self._interceptions.function(
            actor_of(ctx).instance_id, request.function, payload, seconds=_seconds(ctx)
        )
        result = await _with_id(ctx, run)
        userinfo = payload.get("userinfo")
        claims = added_claims(
            request.function, userinfo if isinstance(userinfo, dict) else {}, result.message
        )
        return pb.CallFunctionResponse(
            answer=Struct.from_python(result.message),
            execution=result.execution or "",
            calls=_calls(result.calls),
            claims=Struct.from_python(claims),
            attributes=[
                pb.SamlAttribute(
                    name=added_attribute.name,
                    name_format=added_attribute.name_format,
                    values=list(added_attribute.values),
                )
                for added_attribute in added_attributes(request.function, result.message)
            ],
        )

    async def explain(self, request: pb.ExplainRequest, ctx: Context, /) -> pb.ExplainResponse:
        """Which execution would match, and why. Nothing is called."""
        return _explanation_to_proto(await self._explain(actor_of(ctx), _query(request)))


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


def _name(request: _CallRequest) -> str:
    return type(request).__name__


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
    if subject is None:  # the rules of the contract have refused it
        raise InvalidRequest("invalid ExplainRequest.Subject: value is required")
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
