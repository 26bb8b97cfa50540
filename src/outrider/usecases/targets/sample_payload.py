"""Sample bodies, for calls by which an operator tries a target out."""

from __future__ import annotations

import json

from outrider.domain.events.event import Event, render_body
from outrider.domain.formats import go_json
from outrider.domain.ids import EventId, InstanceId
from outrider.domain.interception.function import PREUSERINFO, FunctionPayload
from outrider.domain.interception.function_example import FUNCTION_EXAMPLES
from outrider.domain.interception.message import JSON_OBJECTS, JsonObject
from outrider.domain.interception.payload import InterceptedCall, InterceptionPayload, call_payload
from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.usecases.interception.target_chain import TargetPayload

SAMPLE_EVENT_TYPE = "outrider.test"
_SAMPLE_METHOD = "/outrider.sample.SampleService/DoSomething"


def sample_body(
    condition: Condition | None,
    example_json: str | None,
    instance: InstanceId,
    now_ns: int,
    response_json: str | None = None,
) -> bytes:
    """Return a body of the shape that targets get for `condition`; an event's when it is None.

    `example_json` is a JSON object: the catalogue's example of the request, the event's payload or
    the function's. `response_json` is that of the response, None: as of the request. None: the body
    has an example of outrider's.
    """
    if condition is None or condition.kind is ConditionKind.EVENT:
        return _event(condition, example_json, instance, now_ns)
    if condition.kind is ConditionKind.FUNCTION:
        return _function(condition.value, example_json)
    call = InterceptedCall(full_method=method_of(condition), user_id="sample-user")
    message = go_json.compact(example_json or '{"sample":true}')
    if condition.kind is ConditionKind.REQUEST:
        return call_payload(call, instance, message, None)
    response = message if response_json is None else go_json.compact(response_json)
    return call_payload(call, instance, message, response)


def payload_of(
    condition: Condition, body: bytes, instance: InstanceId, schema: MessageSchema | None = None
) -> TargetPayload:
    """Return what a response to `body` is applied to, in a run of `condition`, which is no event's.

    `body` is a JSON object: a sample, or what an operator sent instead of one.
    """
    members = json.loads(body)
    if condition.kind is ConditionKind.FUNCTION:
        return FunctionPayload(condition.value, members)
    call = InterceptedCall(full_method=method_of(condition))
    request = _object(members, "request")
    if condition.kind is ConditionKind.REQUEST:
        return InterceptionPayload(call, instance, JSON_OBJECTS, request, schema=schema)
    response = _object(members, "response")
    shown = JSON_OBJECTS.render(request)
    return InterceptionPayload(call, instance, JSON_OBJECTS, response, shown, schema)


def _object(members: JsonObject, name: str) -> JsonObject:
    found = members.get(name)
    return found if isinstance(found, dict) else {}


def _event(
    condition: Condition | None, example_json: str | None, instance: InstanceId, now_ns: int
) -> bytes:
    is_one = condition is not None and condition.scope is Scope.EVENT
    event = Event(
        id=EventId("sample"),
        event_type=condition.value if condition is not None and is_one else SAMPLE_EVENT_TYPE,
        created_at_ns=now_ns,
        aggregate_id="sample-aggregate",
        aggregate_type="sample",
        resource_owner="sample-organization",
        version="v1",
        sequence=1,
        user_id="sample-user",
        payload_json=example_json or '{"sample":true}',
    )
    return render_body(event, instance)


def _function(function: str, example_json: str | None) -> bytes:
    if example_json is not None:
        name = go_json.quote(f"{ConditionKind.FUNCTION.value}/{function}")
        members = go_json.compact(example_json).removeprefix("{")
        separator = "" if members == "}" else ","
        return f'{{"function":{name}{separator}{members}'.encode()
    example = FUNCTION_EXAMPLES.get(function, FUNCTION_EXAMPLES[PREUSERINFO])
    return FunctionPayload(function, example).render()


def method_of(condition: Condition) -> str:
    """The method that a sample of the condition is a call of: `/package.Service/Method`."""
    if condition.scope is Scope.METHOD:
        return condition.value
    if condition.scope is Scope.SERVICE:
        return f"/{condition.value}/DoSomething"
    return _SAMPLE_METHOD
