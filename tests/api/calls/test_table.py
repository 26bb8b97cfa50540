"""The table is whole, and what it expects is really compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from api.calls.matching import A_SIGNING_KEY, AN_ID, NOW, ListWithout
from api.calls.modules import modules_with_rows
from api.calls.runner import ROW, check, check_on, wires_of
from api.calls.service import BETA, Service
from api.calls.steps import a_target
from api.calls.table import EVERY_WIRE, Call, Caller, ExpectedError, Row
from api.contract import METHODS
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOUND = ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz")
GET = Call("GetTarget", {"id": "1"})
CREATED = {"id": AN_ID, "creationDate": NOW, "signingKey": A_SIGNING_KEY}


async def test_every_call_has_a_row():
    """
    A call that is not in the table is an untested promise.
    """
    known = {method.name for method in METHODS if BETA not in method.parent.type_name}

    assert set() == known - {row.call.rpc for row in rows() if row.call.caller is Caller.ADMIN}


def rows() -> Iterator[Row]:
    """The rows that the tests run."""
    for module in modules_with_rows():
        for test in vars(module).values():
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "parametrize" and mark.args[0] == ROW:
                    yield from (case.values[0] for case in mark.args[1])


WRONG = {
    "another code": Row("", GET, ExpectedError("unknown", NOT_FOUND.text, NOT_FOUND.id)),
    "another text": Row("", GET, ExpectedError("not_found", "target not found", NOT_FOUND.id)),
    "another id": Row("", GET, ExpectedError("not_found", NOT_FOUND.text, "QUERY-1")),
    "no id": Row("", GET, ExpectedError("not_found", f"{NOT_FOUND.text} ({NOT_FOUND.id})")),
    "an answer where there is an error": Row("", GET, {}),
    "an error where there is an answer": Row("", Call("DeleteTarget", {"id": "1"}), NOT_FOUND),
    "a field more": Row("", a_target(), {**CREATED, "name": "n"}),
    "a field less": Row("", a_target(), {"id": AN_ID}),
    "another value": Row("", a_target("other"), {**CREATED, "id": "$target"}, [a_target()]),
    "another time": Row(
        "",
        Call("DeleteTarget", {"id": "$target"}),
        {"deletionDate": NOW},
        [a_target(), Call("DeleteTarget", {"id": "$target"})],
    ),
    "what should not be listed": Row(
        "", Call("ListTokens"), {"tokens": ListWithout({"account": "viewer"})}
    ),
    "a step that is refused": Row("", GET, NOT_FOUND, [GET]),
    "a step that is not refused": Row("", GET, NOT_FOUND, [Call("ListTargets", fails=True)]),
    "a last step that is refused": Row("", GET, NOT_FOUND, after=[GET]),
}


@pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_row_that_is_wrong_fails(service: Service, wrong: str, wire):
    """
    A comparison that cannot fail would keep thousands of tests green for nothing.
    """
    with pytest.raises(AssertionError):
        await check_on(service, WRONG[wrong], wire)


@pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
async def test_a_row_that_is_right_passes(service: Service, wire):
    """
    So that the failures above are those of what is wrong in each.
    """
    await check_on(service, Row("", GET, NOT_FOUND), wire)
    await check_on(service, Row("", a_target(), CREATED), wire)


async def test_a_failure_names_every_wire_that_differs(service: Service):
    """
    One answer that is wrong on one wire is a mistake of that wire.
    """
    wires = (Wire.GRPC, Wire.REST)
    with pytest.raises(ExceptionGroup) as failed:
        await check(service, replace(WRONG["another code"], wires=wires))

    notes = [failure.__notes__ for failure in failed.value.exceptions]
    assert [["on grpc"], ["on rest"]] == notes


async def test_a_row_is_checked_on_every_wire(service: Service):
    """
    Unless it names the wires that it is for.
    """
    assert list(Wire) == wires_of(Row("", GET, NOT_FOUND))
    assert [Wire.GRPC] == wires_of(Row("", GET, NOT_FOUND, wires=[Wire.GRPC]))
