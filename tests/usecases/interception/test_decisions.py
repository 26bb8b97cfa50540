"""The decision table, cell by cell: every fault really happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outrider.errors import OutriderError
from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest
from support.builders import INSTANCE
from usecases.interception.faults import CLAIM, FAULTS, Fault
from usecases.interception.harness import KINDS, MESSAGE, call_target, unreachable_policy
from usecases.interception.messages import GET_TARGET

VECTORS = Path(__file__).parents[3] / "vectors" / "interception_decisions.json"
CELLS = json.loads(VECTORS.read_text(encoding="utf-8"))["cells"]
CHOICES = ("UNSPECIFIED", "CONTINUE", "INTERRUPT")


def cells_of(fault: str, kind: str) -> list[dict[str, Any]]:
    """What the table says of one fault."""
    return [cell for cell in CELLS if (fault, kind) == (cell["fault"], cell["kind"])]


async def decided(fault: Fault, kind: str, sent: dict[str, str]) -> dict[str, Any]:
    """Run one call, and say in the words of the table what became of it."""
    is_function = kind == "function"
    message = sent if is_function else GetTargetRequest(**sent)
    try:
        done = await fault.harness.run(kind, message, GET_TARGET)
    except OutriderError as error:
        return {
            "outcome": fault.harness.log.kept[-1][2]["outcome"].upper(),
            "stops": True,
            "code": error.code.value,
            "id": error.id,
            "text": error.message,
        }
    [called] = done.calls
    shown = done.message if is_function else json.loads(done.message.to_json())
    kept, replaced = ({}, json.loads(CLAIM)) if is_function else (sent, {"id": "2"})
    return {
        "outcome": called.outcome.name,
        "stops": False,
        "message": {str(kept): "unchanged", str(replaced): "replaced"}.get(str(shown), shown),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_has_the_consequence_that_the_table_says(fault, kind):
    """
    An operator who sets a target must know what its faults do to his callers.
    """
    expected = cells_of(fault, kind)
    actual = []
    async with FAULTS[fault](kind) as happening:
        harness = happening.harness
        target = call_target(happening.endpoint, **happening.target)
        await harness.bind(kind, target)
        for choice in CHOICES:
            await harness.policy("101", **unreachable_policy(choice))
            for interrupts in (True, False):
                changed = call_target(
                    happening.endpoint, **happening.target, interrupt_on_error=interrupts
                )
                await harness.store.write(
                    lambda unit, to=changed: unit.targets.replace(INSTANCE, to)
                )
                await harness.routing.refresh()
                cell = {
                    "fault": fault,
                    "kind": kind,
                    "interrupt_on_error": interrupts,
                    "on_unreachable": choice,
                }
                actual.append(cell | await decided(happening, kind, MESSAGE))

    assert sorted(expected, key=str) == sorted(actual, key=str)


def test_the_table_is_whole():
    """
    A cell without a decision is decided by accident.
    """
    assert len(FAULTS) * len(KINDS) * len(CHOICES) * 2 == len(CELLS)
    assert set(FAULTS) == {cell["fault"] for cell in CELLS}
