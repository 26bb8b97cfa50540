"""Errors are the same on every wire."""

from __future__ import annotations

import re

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError

from api.asgi_client import ApiClient
from api.sample import FAILURES, OWNER, SECRET, VIEWER, Lines
from api.wires import GRPC_CODES, HttpRequest, Wire
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.status_codes import GRPC_STATUS, HTTP_STATUS
from outrider.errors import Code as OurCode
from outrider_api.outrider.v1.delivery_service_connect import DeliveryService
from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryRequest, GetDeliveryResponse
from outrider_api.zitadel.action.v2.action_service_connect import ActionService
from outrider_api.zitadel.action.v2.action_service_pb import (
    CreateTargetRequest,
    CreateTargetResponse,
    DeleteTargetRequest,
    DeleteTargetResponse,
    GetTargetRequest,
    GetTargetResponse,
    ListExecutionFunctionsRequest,
    ListExecutionFunctionsResponse,
    ListTargetsRequest,
    ListTargetsResponse,
)
from support.builders import INSTANCE

ACTIONS = ActionService.desc()
every_wire = pytest.mark.parametrize("wire", list(Wire), ids=str)

# name of the sample's failure -> code, text, id and text of the detail
SHOWN = {
    "missing": (
        "not_found",
        "Target not found (QUERY-hj5oaniyrz)",
        "QUERY-hj5oaniyrz",
        "Target not found",
    ),
    "taken": (
        "already_exists",
        "Errors.Target.AlreadyExists (V3-DKcYh)",
        "V3-DKcYh",
        "Errors.Target.AlreadyExists",
    ),
    "wrong": (
        "invalid_argument",
        "Target has no timeout (COMMAND-39f35d8uri)",
        "COMMAND-39f35d8uri",
        "Target has no timeout",
    ),
    "state": (
        "failed_precondition",
        "Target not found (ErrKeyNotFound)",
        "ErrKeyNotFound",
        "Target not found",
    ),
    "plain": ("invalid_argument", "no id, no detail", None, None),
    "strange": (
        "unknown",
        "values array must not be empty ()",
        "",
        "values array must not be empty",
    ),
    "umlaut": ("not_found", "Zürich: 50% “nicht” da\n (ID-ä)", "ID-ä", "Zürich: 50% “nicht” da\n"),
}


@every_wire
@pytest.mark.parametrize("name", SHOWN)
async def test_an_error_has_its_code_text_and_detail_on_every_wire(
    client: ApiClient, wire: Wire, name: str
):
    """
    Clients look at the code, people at the text, support at the id.
    """
    result = await client.call(
        wire, ACTIONS, "GetTarget", GetTargetRequest(id=name), GetTargetResponse, OWNER
    )
    assert SHOWN[name] == (result.code, result.text, result.detail_id, result.detail_text)
    if wire in {Wire.CONNECT_JSON, Wire.CONNECT_PROTO, Wire.REST}:
        assert HTTP_STATUS[Code(result.code)] == result.http_status


@every_wire
async def test_a_bug_of_ours_shows_a_reference_and_nothing_else(
    client: ApiClient, log: Lines, wire: Wire
):
    """
    The text of an unexpected exception may hold secrets; the log has it under the reference.
    """
    result = await client.call(
        wire, ACTIONS, "GetTarget", GetTargetRequest(id="bug"), GetTargetResponse, OWNER
    )
    assert (result.code, result.detail_id) == ("internal", None)
    reference = re.fullmatch(r"internal error, reference ([0-9a-f]{8})", result.text)
    assert reference is not None
    (line,) = [line for line in log.lines if line["event"] == "rpc.failed"]
    assert line["reference"] == reference[1]
    assert line["exc_info"] is FAILURES["bug"]


@every_wire
async def test_an_answer_that_cannot_be_written_is_our_fault(
    client: ApiClient, log: Lines, wire: Wire
):
    """
    The protocol library would send the exception's text to the caller.
    """
    result = await client.call(
        wire, ACTIONS, "DeleteTarget", DeleteTargetRequest(id="1"), DeleteTargetResponse, OWNER
    )
    assert result.code == "internal"
    assert SECRET not in result.text
    assert [line["event"] for line in log.lines].count("rpc.failed") == 1


@every_wire
async def test_a_handler_that_is_still_to_be_written_says_so(client: ApiClient, wire: Wire):
    """
    A caller of a procedure that is not implemented yet must not look for a mistake in the call.
    """
    result = await client.call(
        wire,
        DeliveryService.desc(),
        "GetDelivery",
        GetDeliveryRequest(id="1"),
        GetDeliveryResponse,
        OWNER,
    )
    assert result.code == "unimplemented"
    assert result.text == "/outrider.v1.DeliveryService/GetDelivery is not implemented"


@every_wire
async def test_the_request_is_validated_before_the_handler(client: ApiClient, wire: Wire):
    """
    Rules are in the proto files; no handler repeats them.
    """
    result = await client.call(
        wire, ACTIONS, "CreateTarget", CreateTargetRequest(), CreateTargetResponse, OWNER
    )
    expected = (
        "invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"
    )
    assert (result.code, result.text, result.detail_id) == ("invalid_argument", expected, None)


@every_wire
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ("unauthenticated", "auth header missing", None)),
        (
            {"authorization": "Bearer stolen"},
            ("unauthenticated", "Errors.Token.Invalid (AUTH-7fs1e)", "AUTH-7fs1e"),
        ),
        (
            VIEWER,
            ("permission_denied", "No matching permissions found (AUTH-5mWD2)", "AUTH-5mWD2"),
        ),
    ],
)
async def test_who_calls_is_asked_before_what_is_sent(
    client: ApiClient, wire: Wire, headers, expected
):
    """
    The request breaks a rule too, but a stranger must not learn about rules.
    """
    result = await client.call(
        wire, ACTIONS, "CreateTarget", CreateTargetRequest(), CreateTargetResponse, headers
    )
    assert expected == (result.code, result.text, result.detail_id)


@every_wire
async def test_authenticated_is_enough_where_the_contract_says_so(client: ApiClient, wire: Wire):
    """
    Listing functions needs a token and no permission; and the handler knows who calls.
    """
    result = await client.call(
        wire,
        ACTIONS,
        "ListExecutionFunctions",
        ListExecutionFunctionsRequest(),
        ListExecutionFunctionsResponse,
        VIEWER,
    )
    assert result.message == ListExecutionFunctionsResponse(functions=["viewer"])


@pytest.mark.parametrize(
    ("wire", "header"),
    [
        (Wire.CONNECT_JSON, {"connect-timeout-ms": "20"}),
        (Wire.CONNECT_PROTO, {"connect-timeout-ms": "20"}),
        (Wire.GRPC, {"grpc-timeout": "20m"}),
        (Wire.GRPC_WEB, {"grpc-timeout": "20m"}),
        (Wire.GRPC_WEB_TEXT, {"grpc-timeout": "20000u"}),
        (Wire.REST, {"grpc-timeout": "20m"}),
        (Wire.REST, {"connect-timeout-ms": "20"}),
    ],
)
async def test_a_deadline_ends_a_call_that_hangs(client: ApiClient, log: Lines, wire, header):
    """
    The sample's handler waits for ever; the caller said how long it will wait.
    """
    result = await client.call(
        wire, ACTIONS, "ListTargets", ListTargetsRequest(), ListTargetsResponse, OWNER | header
    )
    assert result.code == "deadline_exceeded"
    assert log.lines[-1]["code"] == "deadline_exceeded"


@every_wire
async def test_every_call_leaves_one_line(client: ApiClient, log: Lines, wire: Wire):
    """
    One line tells what was called, the caller, how long it took and how it ended, and no more.
    """
    request = GetTargetRequest(id="missing")
    await client.call(wire, ACTIONS, "GetTarget", request, GetTargetResponse, OWNER)
    (line,) = log.lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "rpc.answered",
        "method": "/zitadel.action.v2.ActionService/GetTarget",
        "code": "not_found",
        "instance": INSTANCE,
        "account": "owner",
    }


def test_every_code_has_a_status_on_every_wire():
    """
    An unmapped code would reach callers as a 500.
    """
    assert set(Code) == set(HTTP_STATUS) == set(GRPC_STATUS)
    assert {code.value for code in OurCode} <= {code.value for code in Code}
    assert {GRPC_CODES[number]: code.value for code, number in GRPC_STATUS.items()} == {
        code.value: code.value for code in Code
    }


def test_texts_of_decoding_errors_are_cut():
    """
    They quote the request, which may have megabytes; a gRPC trailer may not.
    """
    error = ConnectError(Code.INVALID_ARGUMENT, "unmarshal message: " + "x" * 100_000)
    assert len(ErrorMapper(Lines()).to_connect_error(error, "/m").message) < 600


@pytest.mark.parametrize("content_type", ["application/grpc", "application/json"])
@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/outrider.v1.DeliveryService/" + "%C3%A4" * 3000, "x-other", "1"),
        ("/outrider.v1.DeliveryService/GetDelivery", "content-type", "text/" + "x" * 6000),
    ],
    ids=["path", "type"],
)
async def test_what_reaches_no_service_is_not_repeated_in_full(
    client: ApiClient, content_type: str, path: str, name: str, value: str
):
    """
    A path or a header may be as long as the server takes them, and comes back in a header.
    """
    headers = {"content-type": content_type, name: value}
    response = await client.exchange(HttpRequest("POST", path, headers, b"{}"))

    sent = [*response.headers.items(), *response.trailers.items()]
    assert sum(len(name) + len(value) + 32 for name, value in sent) < 8192
    assert len(response.body) < 1200
