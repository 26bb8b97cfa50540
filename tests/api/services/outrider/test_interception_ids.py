"""An interception that failed says where its reason is, and what it says fits into its headers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from api.calls.receiver import HOST
from api.calls.service import Service
from api.wires import Result, Wire
from outrider.domain.interception.decision import MAX_FORWARDED_BYTES
from outrider.testing.receiver import Answer, Receiver

pytestmark = pytest.mark.asyncio(loop_scope="module")

every_wire = pytest.mark.parametrize("wire", list(Wire), ids=str)
HEADER = "outrider-interception-id"
NUMBERS = count(1)
GRPC_HEADER_BYTES = 8192
"""What clients of gRPC take of headers by default."""
SUFFIX = " (EXEC-reUaUZCzCp)"
Json = dict[str, Any]


class Interceptor:
    """A target that answers as it is told to, bound to a separate method for each test."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answer = Answer()
        self.url = ""

    async def bind(self, kind: str, *, interrupts: bool = True) -> Json:
        """The call that its target gets to see."""
        name = f"reason{next(NUMBERS)}"
        method = f"/{name}.Service/Do"
        entries = [
            {"kind": "CATALOGUE_KIND_METHOD", "name": method},
            {"kind": "CATALOGUE_KIND_FUNCTION", "name": name},
        ]
        await self.service.ask("AddEntries", {"entries": entries})
        options = {"timeout": "10s", "restCall": {"interruptOnError": interrupts}}
        target = await self.service.ask(
            "CreateTarget", {"name": name, "endpoint": self.url, **options}
        )
        condition: Json = {kind: {"method": method}}
        if kind == "function":
            condition = {"function": {"name": name}}
        request = {"condition": condition, "targets": [target["id"]]}
        await self.service.ask("SetExecution", request)
        return {"function": name} if kind == "function" else {"fullMethod": method}


RPCS = {"request": "InterceptRequest", "response": "InterceptResponse", "function": "CallFunction"}
every_kind = pytest.mark.parametrize("kind", RPCS)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def target(service: Service) -> AsyncIterator[Interceptor]:
    """At an address that the service may call."""
    interceptor = Interceptor(service)
    async with Receiver(lambda _: interceptor.answer, host=HOST) as receiver:
        interceptor.url = receiver.url
        yield interceptor


def forwarding(message: str) -> Answer:
    """An error for the caller."""
    body = {"forwardedStatusCode": 403, "forwardedErrorMessage": message}
    return Answer(body=json.dumps(body).encode())


async def intercepted(
    service: Service, kind: str, call: Mapping[str, Any], wire: Wire
) -> tuple[Result[Any], list[Mapping[str, Any]]]:
    """The answer, and the lines of the log about calls of targets."""
    with capture_logs() as lines:
        result = await service.answer(RPCS[kind], call, wire=wire)
    return result, [line for line in lines if line["event"] == "interception.called"]


@every_wire
@every_kind
async def test_the_id_of_a_failure_finds_its_reason(service, target, kind, wire):
    """
    The caller's text is fixed: why it failed is in the log, under the id that the caller has.
    """
    target.answer = Answer(body=b"no JSON")
    call = await target.bind(kind)
    result, lines = await intercepted(service, kind, call, wire)

    assert "failed_precondition" == result.code
    (line,) = lines
    assert "the answer is not JSON" == line["error"]
    assert result.interception_id
    assert line["interception_id"] == result.interception_id == result.headers[HEADER]


@every_wire
@every_kind
@pytest.mark.parametrize("answer", [Answer(), Answer(status=500)], ids=["accepts", "is ignored"])
async def test_a_run_that_continues_has_an_id_too(service, target, kind, wire, answer):
    """
    What was ignored has a reason as well.
    """
    target.answer = answer
    call = await target.bind(kind, interrupts=False)
    result, lines = await intercepted(service, kind, call, wire)

    assert "ok" == result.code
    assert [result.headers[HEADER]] == [line["interception_id"] for line in lines]


@every_wire
async def test_each_run_has_its_own_id(service, target, wire):
    """
    Else it would find the reason of another caller's call.
    """
    target.answer = Answer(status=500)
    call = await target.bind("request")
    ids = {(await intercepted(service, "request", call, wire))[0].headers[HEADER] for _ in "123"}

    assert 3 == len(ids)


@every_wire
async def test_what_calls_no_target_has_none(service, target, wire):
    """
    There is nothing to be found under it.
    """
    unmatched = {"fullMethod": f"/nobody.S{next(NUMBERS)}/Do"}
    result = await service.answer("InterceptRequest", unmatched, wire=wire)

    assert ("ok", None) == (result.code, result.headers.get(HEADER))


TEXTS = {
    "8 kB": "x" * 8192,
    "1 kB": "x" * MAX_FORWARDED_BYTES,
    "20 kB that are percent-encoded": "ä" * 10_000,
    "many emoji": "\N{GRINNING FACE}" * 60_000,
    "control characters": "\r\n\0\x7f\x1b" * 1000,
    "half a surrogate pair": "a\ud800b",
}


@every_wire
@every_kind
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_forwarded_message_of_any_length_reaches_the_caller(
    service, target, kind, wire, text
):
    """
    gRPC carries it in headers, of which clients take 8 KiB: they would see `resource_exhausted`.
    """
    target.answer = forwarding(text)
    result, _ = await intercepted(service, kind, await target.bind(kind), wire)
    message = text.replace("\ud800", "\ufffd").encode()
    if len(message) > MAX_FORWARDED_BYTES:
        message = message[: MAX_FORWARDED_BYTES - 3].decode(errors="ignore").encode() + "…".encode()

    assert ("permission_denied", message.decode() + SUFFIX) == (result.code, result.text)
    assert message.decode() == result.detail_text
    assert size_of(result) < GRPC_HEADER_BYTES


def size_of(result: Result[Any]) -> int:
    """Bytes of all headers and trailers, as HTTP/2 counts them."""
    fields = {**result.headers, **result.trailers}
    return sum(len(name) + len(value) + 32 for name, value in fields.items())


@every_wire
@pytest.mark.parametrize("text", ["x" * 100_000, "ä" * 50_000], ids=["ASCII", "not ASCII"])
async def test_what_a_caller_sent_comes_back_shortened(service, wire, text):
    """
    Texts of errors quote the request, whatever its size.
    """
    events = [{"eventType": "a.b", "eventPayload": {}, "id": text}]
    rows = [
        ("PublishEvents", {"events": events}),
        ("Explain", {"method": f"/{text}"}),
        ("InterceptRequest", {"fullMethod": text}),
        ("GetDelivery", {"id": text[:200]}),
    ]
    for rpc, request in rows:
        result = await service.answer(rpc, request, wire=wire)
        assert result.code in {"invalid_argument", "not_found"}
        assert len(result.text.encode()) <= 1100
        assert size_of(result) < GRPC_HEADER_BYTES
