"""Makes the calls of a row over one wire, and compares the answer with what the row expects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from api.calls.matching import Window
from api.calls.service import Service, rpc_named
from api.calls.table import Call, ExpectedError, Row
from api.wires import Result, Wire, has_route

ROW = "row"
BLANK = re.compile(r"\$(\w+)")
# As long as the blank that they fill, so that rows about lengths can count.
WORDS = map("w{:05}w".format, count(1))

# Connect and REST tell the code by the HTTP status; gRPC always answers 200.
HTTP_STATUS = {
    "unknown": 500,
    "invalid_argument": 400,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "internal": 500,
    "failed_precondition": 400,
    "unimplemented": 501,
    "unauthenticated": 401,
}
# Their texts are those of targets.
FORWARDED = {"EXEC-reUaUZCzCp", "EXEC-bmhNhpcqpF"}
TELLS_BY_STATUS = {Wire.CONNECT_JSON, Wire.CONNECT_PROTO, Wire.REST}


def each_row(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """A test for every row, which `check` calls on every wire that it is for."""
    return pytest.mark.parametrize(ROW, [pytest.param(row, id=row.title) for row in rows])


def wires_of(row: Row) -> list[Wire]:
    """Every wire that the row is for; REST needs a route."""
    routed = has_route(rpc_named(row.call.rpc))
    return [wire for wire in row.wires if wire is not Wire.REST or routed]


async def check(service: Service, row: Row) -> None:
    """Check the row on every wire; the error names each wire whose answer is another one."""
    failures = []
    for wire in wires_of(row):
        try:
            await check_on(service, row, wire)
        except AssertionError as failure:
            failure.add_note(f"on {wire}")
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{row.title}: {len(failures)} wires", failures)


async def check_on(service: Service, row: Row, wire: Wire) -> None:
    """Check the row on this wire."""
    run = Run(service, wire)
    try:
        for call in row.given:
            await run.prepare(call)
        await run.compare(row.call, row.expected)
    finally:
        for call in row.after:
            await run.prepare(call)


class Run:
    """One run of a row: what it keeps of the answers."""

    def __init__(self, service: Service, wire: Wire) -> None:
        self._service = service
        self._wire = wire
        self._kept = {
            "unique": next(WORDS),
            "instance": service.instance,
            "receiver": service.receiver,
        }
        now = service.clock.now
        self._window = Window(now, now)

    async def prepare(self, call: Call) -> None:
        """Make a call that comes before or after the row's, and keep the parts that it names."""
        request = self._filled(call.request)
        if call.fails:
            result = await self._service.answer(call.rpc, request, call.caller, self._wire)
            assert result.message is None, f"{call.rpc} was not refused"
            return
        answer: Any = await self._service.ask(call.rpc, request, call.caller, self._wire)
        for name, path in call.keep.items():
            self._kept[name] = part(answer, path)

    async def compare(self, call: Call, expected: Mapping[str, Any] | ExpectedError) -> None:
        """Make the call that the row is about."""
        since = self._service.clock.now
        result = await self._service.answer(
            call.rpc, self._filled(call.request), call.caller, self._wire
        )
        self._window = Window(since, self._service.clock.now)
        if isinstance(expected, ExpectedError):
            expected = replace(
                expected,
                text=self._filled(expected.text),
                target=self._filled(expected.target),
                reason=self._filled(expected.reason),
            )
            assert wire_error(expected, self._wire) == seen(result)
            check_reason(expected, result)
        else:
            assert result.message is not None, f"refused: {result.code}, {result.text}"
            assert self._filled(expected) == json.loads(result.message.to_json())

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return BLANK.sub(lambda blank: self._kept[blank[1]], value)
        if isinstance(value, Mapping):
            return {self._filled(name): self._filled(member) for name, member in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(item) for item in value]
        if hasattr(value, "filled"):
            return value.filled(self._filled, self._window)
        return value


def part(answer: Any, path: str) -> Any:
    """What stands at a dotted path, with numbers for the items of lists."""
    for step in path.split("."):
        answer = answer[int(step) if step.isdecimal() else step]
    return answer


def wire_error(expected: ExpectedError, wire: Wire) -> tuple[Any, ...]:
    """What must be seen of an error."""
    detail_text = None if expected.id is None else expected.text
    status = HTTP_STATUS[expected.code] if wire in TELLS_BY_STATUS else 200
    return expected.code, expected.wire_text, expected.id, detail_text, expected.target, status


def check_reason(expected: ExpectedError, result: Result[Any]) -> None:
    """A text that is fixed says too little: its reason and what to do come with it."""
    if expected.reason is not None:
        assert expected.reason == result.reason
    if expected.id is not None and expected.id not in FORWARDED:
        assert result.reason, f"{expected.id} has no reason"
        assert result.hint, f"{expected.id} does not say what to do"


def seen(result: Result[Any]) -> tuple[Any, ...]:
    """What is seen of an error."""
    about = result.detail_id, result.detail_text, result.target_id
    return result.code, result.text, *about, result.http_status
