"""The vectors of refusals through the whole interception, on both stores."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from outrider.adapters.json_schema import JsonSchemas
from outrider.bootstrap.app_context import registered_schemas
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.outcome import Outcome
from outrider.domain.routing.catalogue_entry import Entry, EntryKind
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.targets.target import TargetType
from outrider.errors import OutriderError
from outrider.testing.receiver import Answer, Receiver
from outrider.usecases.routing.catalogue import ManageCatalogue
from outrider.usecases.routing.method_schemas import MethodSchemas
from support.builders import INSTANCE, an_actor
from support.refusals import CASES, Case
from usecases.interception.harness import Harness, call_target

FAILED = ("failed_precondition", "EXEC-dra6yamk98")
TYPES = ("REST_CALL", "REST_WEBHOOK")
GROUPS = {
    f"{method} {kind} {type_}": [
        case
        for case in CASES
        if (case.method, case.type) == (method, type_) and case.has_kind(kind)
    ]
    for method in sorted({case.method for case in CASES})
    for kind in ("request", "response")
    for type_ in TYPES
}


def with_schemas(harness: Harness) -> Harness:
    """Answers are checked as in a server."""
    schemas = MethodSchemas(
        harness.store, harness.routing, JsonSchemas(), registered_schemas, harness.log
    )
    harness.interceptions = replace(harness.interceptions, schemas=schemas)
    return harness


async def describe(harness: Harness, method: str, schema: object) -> None:
    """Add the method to the catalogue, as an application does."""
    entry = Entry(kind=EntryKind.METHOD, name=method, schema_json=json.dumps(schema))
    manage = ManageCatalogue(harness.store, harness.routing, JsonSchemas(), registered_schemas)
    await manage.add(an_actor(), [entry])


async def bind(harness: Harness, kind: str, case: Case, url: str) -> None:
    """One target for the requests or responses of the case's method."""
    condition = Condition(ConditionKind(kind), Scope.METHOD, case.method)
    await harness.bind(condition, call_target(url, type=TargetType[case.type]))
    if case.schema is not None:
        await describe(harness, case.method, case.schema)


async def interrupting(harness: Harness, *, interrupts: bool, url: str, type_: str) -> None:
    target = call_target(url, type=TargetType[type_], interrupt_on_error=interrupts)
    await harness.store.write(lambda unit: unit.targets.replace(INSTANCE, target))
    await harness.routing.refresh()


async def stopped(harness: Harness, kind: str, case: Case) -> tuple[str, str, str] | None:
    """Code, id and text of the caller's error; None: the call continued."""
    try:
        await run(harness, kind, case)
    except OutriderError as error:
        return error.code.value, error.id, error.message
    return None


async def run(harness: Harness, kind: str, case: Case):
    call = InterceptedCall(full_method=case.method)
    return await harness.run(kind, dict(case.message), call=call)


@pytest.mark.parametrize("group", [name for name, cases in GROUPS.items() if cases])
async def test_no_refusal_passes_and_no_message_is_stopped(stored_harness, group):
    """
    With an interrupting target a refusal stops the call, however it is spelled; nothing else does.
    """
    harness, (_, kind, type_) = with_schemas(stored_harness), group.split()
    answer = Answer()
    async with Receiver(lambda _: answer) as receiver:
        await bind(harness, kind, GROUPS[group][0], receiver.url)
        await interrupting(harness, interrupts=True, url=receiver.url, type_=type_)
        for case in GROUPS[group]:
            answer = Answer(body=case.body.encode())
            error = await stopped(harness, kind, case)

            if case.effect == "failure":
                assert error is not None, case.name
                assert error[:2] == FAILED, case.name
                assert case.reason in harness.log.kept[-1][2]["error"], case.name
            elif case.effect == "forwarded":
                assert error is not None, case.name
                assert error[2] == case.forwarded["message"], case.name
            else:
                assert error is None, case.name


@pytest.mark.parametrize("group", [name for name, cases in GROUPS.items() if cases])
async def test_without_interrupt_a_refusal_changes_nothing(stored_harness, group):
    """
    The target's error mode decides; its misspelled answer is never a message.
    """
    harness, (_, kind, type_) = with_schemas(stored_harness), group.split()
    answer = Answer()
    async with Receiver(lambda _: answer) as receiver:
        await bind(harness, kind, GROUPS[group][0], receiver.url)
        await interrupting(harness, interrupts=False, url=receiver.url, type_=type_)
        for case in GROUPS[group]:
            answer = Answer(body=case.body.encode())
            result = await run(harness, kind, case)
            [called] = result.calls

            accepted = case.effect in {"unchanged", "replaced"}
            expected = json.loads(case.body) if case.effect == "replaced" else case.message
            assert result.message == (case.leaves if case.leaves is not None else expected)
            assert called.outcome is (Outcome.ACCEPTED if accepted else Outcome.FAILED), case.name


async def test_functions_keep_the_rule_of_zitadel(harness):
    """
    There, what is not known is harmless, and names match in any case.
    """
    harness = with_schemas(harness)
    answer = Answer()
    async with Receiver(lambda _: answer) as receiver:
        await harness.bind("function", call_target(receiver.url))
        for body in (b'{"allowed":false}', b'{"forwarded_status_code":403}', b'{"error":"x"}'):
            answer = Answer(body=body)
            assert [Outcome.ACCEPTED] == [
                call.outcome for call in (await harness.run("function")).calls
            ]
        answer = Answer(body=b'{"FORWARDEDSTATUSCODE":403}')
        with pytest.raises(OutriderError) as caught:
            await harness.run("function")
    assert "permission_denied" == caught.value.code.value


async def test_a_schema_counts_from_the_next_call_on(stored_harness):
    """
    An operator who corrects a schema must not have to restart anything.
    """
    harness = with_schemas(stored_harness)
    case = next(case for case in CASES if case.schema is not None)
    call = InterceptedCall(full_method=case.method)
    async with Receiver(lambda _: Answer(body=b'{"total":"2"}')) as receiver:
        await bind(harness, "request", replace(case, schema=None), receiver.url)
        assert {"total": "2"} == (await harness.run("request", {}, call=call)).message

        await describe(harness, case.method, case.schema)
        with pytest.raises(OutriderError):
            await harness.run("request", {}, call=call)

        await describe(harness, case.method, {"properties": {"total": {"type": "string"}}})
        assert {"total": "2"} == (await harness.run("request", {}, call=call)).message


async def test_a_schema_of_another_instance_does_not_count(harness):
    """
    Tenants describe their own methods, and no other's.
    """
    harness = with_schemas(harness)
    case = next(case for case in CASES if case.schema is not None)
    entry = Entry(kind=EntryKind.METHOD, name=case.method, schema_json=json.dumps(case.schema))
    other = an_actor(instance="9")
    await ManageCatalogue(harness.store, harness.routing, JsonSchemas(), registered_schemas).add(
        other, [entry]
    )
    async with Receiver(lambda _: Answer(body=b'{"total":"2"}')) as receiver:
        await bind(harness, "request", replace(case, schema=None), receiver.url)
        call = InterceptedCall(full_method=case.method)
        assert {"total": "2"} == (await harness.run("request", {}, call=call)).message


async def test_a_long_answer_is_checked_as_well(harness):
    """
    It is read outside the event loop.
    """
    harness = with_schemas(harness)
    case = next(case for case in CASES if case.effect == "failure")
    body = json.dumps({"text": "x" * 300_000, "allowed": False}).encode()
    async with Receiver(lambda _: Answer(body=body)) as receiver:
        await bind(harness, "request", case, receiver.url)
        with pytest.raises(OutriderError):
            await run(harness, "request", case)
