"""ZITADEL's issue 8205: an execution for everything, and a typo in the URL of its target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.targets.target import TargetChange
from outrider.errors import OutriderError
from outrider.usecases.routing.executions import ManageExecutions
from outrider.usecases.targets.targets import ManageTargets
from support.builders import an_actor
from usecases.interception.harness import Harness, call_target

ACTOR = an_actor()
REPOSITORY = Path(__file__).parents[3]
OTHERS = ["/zitadel.user.v2.UserService/AddHumanUser", "/shop.v1.Orders/Place"]
EVERYTHING = {
    "request": Condition(ConditionKind.REQUEST, Scope.ALL),
    "response": Condition(ConditionKind.RESPONSE, Scope.ALL),
}


def served_methods() -> list[str]:
    """Every method that a server of ours answers, as its contract has them."""
    found = []
    for path in sorted((REPOSITORY / "proto").rglob("*.proto")):
        text = path.read_text(encoding="utf-8")
        for service in re.finditer(r"^service (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)[1]
            methods = re.findall(r"^\s*rpc (\w+)", service[2], re.MULTILINE)
            found += [f"/{package}.{service[1]}/{method}" for method in methods]
    return found


async def locked(harness: Harness) -> None:
    """Everything is intercepted by a target that cannot be reached."""
    mistyped = call_target("http://recevier.example/hook")
    await harness.bind(EVERYTHING["request"], mistyped)
    executions = ManageExecutions(harness.store, harness.runtime, harness.routing)
    await executions.set(ACTOR, EVERYTHING["response"], [mistyped.id])


@pytest.mark.parametrize("kind", EVERYTHING)
@pytest.mark.parametrize("method", OTHERS)
async def test_calls_of_the_application_fail(harness, kind, method):
    """
    As the operator asked for: the target interrupts.
    """
    await locked(harness)
    with pytest.raises(OutriderError) as refused:
        await harness.run(kind, call=InterceptedCall(full_method=method))

    assert "Execution failed (EXEC-dra6yamk98)" == str(refused.value)


@pytest.mark.parametrize("kind", EVERYTHING)
async def test_no_call_of_outriders_api_ever_triggers(harness, kind):
    """
    Read from the contract: a service that is added tomorrow is exempt, or this fails.
    """
    await locked(harness)
    methods = served_methods()
    executions = [
        (await harness.run(kind, call=InterceptedCall(full_method=method))).execution
        for method in methods
    ]

    assert {None} == set(executions)
    services = {method.split("/")[1] for method in methods}
    assert {
        "zitadel.action.v2.ActionService",
        "zitadel.action.v2beta.ActionService",
        "zitadel.webkey.v2.WebKeyService",
        "outrider.v1.TargetPolicyService",
        "outrider.v1.InterceptionService",
        "grpc.health.v1.Health",
    } <= services


async def test_the_operator_gets_out_by_himself(harness, receiver):
    """
    The operator repairs the target, and the next call passes.
    """
    await locked(harness)
    call = InterceptedCall(full_method="/zitadel.action.v2.ActionService/UpdateTarget")
    for kind in EVERYTHING:
        assert (await harness.run(kind, call=call)).execution is None
    targets = ManageTargets(
        harness.store, harness.runtime, harness.routing, EgressPolicy(EgressProfile.DEV)
    )
    await targets.update(ACTOR, "101", TargetChange(endpoint=receiver.url))
    done = await harness.run("request", call=InterceptedCall(full_method=OTHERS[0]))

    assert ("request", 1) == (done.execution, len(receiver.calls))


async def test_functions_are_not_exempt(harness):
    """
    They have no service; who cannot log in because of one can still call with his token.
    """
    await harness.bind("function", call_target("http://recevier.example/hook"))
    with pytest.raises(OutriderError, match="EXEC-dra6yamk98"):
        await harness.run("function")
