# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider intercept`: run a request, a response or a function through its targets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.input_files import read_message
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import (
    indented_json,
    joined_json,
    note,
    print_json,
    print_table,
    short_enum,
    text_of,
)
from outrider.cli.terminal.parsing import parse_duration

app = typer.Typer(
    help="Run a request, a response or a function through its targets.",
    no_args_is_help=True,
)

INTERCEPTION_ID = "outrider-interception-id"
OUTCOME_PREFIX = "OUTCOME_"
TEXT = "Json"
"""What the names of answers end with that are JSON text."""
NO_MEMBERS = "{}"
ADVICE = "see `outrider intercept --help` for what a file holds"

File = Annotated[str, typer.Argument(metavar="FILE|-", help="JSON file with the call.")]
Method = Annotated[
    str,
    typer.Option(
        metavar="METHOD", help="/package.Service/Method. Replaces the method in the file."
    ),
]
Timeout = Annotated[
    str, typer.Option(metavar="DURATION", help="Time limit for all targets together.")
]


@app.command(
    "request",
    epilog=examples(
        "outrider intercept request call.json",
        "outrider intercept request call.json --method /shop.v1.Orders/Create --json",
        "",
        'In the file: {"fullMethod": "/shop.v1.Orders/Create", "userId": "42",',
        '  "headers": {"origin": {"values": ["https://shop.example"]}}, "request": {"total": 5}}',
    ),
)
def intercept_request(
    *,
    file: File,
    method: Method = "",
    timeout: Timeout = "30s",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a request through its targets and print the result.

    If a target interrupts the call, the command exits with 5.
    """
    from outrider_api.outrider.v1.interception_service_pb import InterceptRequestRequest

    request = read_message(file, InterceptRequestRequest)
    request.full_method = method or request.full_method
    request.request_json = request.request_json or NO_MEMBERS
    server = connect(url, token, data_dir)
    response = _send(server, server.interceptions.intercept_request, request, timeout)
    _print_response(response, "request", as_json=as_json)


@app.command(
    "response",
    epilog=examples(
        "outrider intercept response call.json",
        "",
        'In the file: {"fullMethod": "/shop.v1.Orders/Create", "userId": "42",',
        '  "request": {"total": 5}, "response": {"id": "17"}}',
    ),
)
def intercept_response(
    *,
    file: File,
    method: Method = "",
    timeout: Timeout = "30s",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a response through its targets and print the result.

    If a target interrupts the call, the command exits with 5.
    """
    from outrider_api.outrider.v1.interception_service_pb import InterceptResponseRequest

    request = read_message(file, InterceptResponseRequest)
    request.full_method = method or request.full_method
    request.response_json = request.response_json or NO_MEMBERS
    server = connect(url, token, data_dir)
    response = _send(server, server.interceptions.intercept_response, request, timeout)
    _print_response(response, "response", as_json=as_json)


@app.command(
    "function",
    epilog=examples(
        "outrider intercept function login.json",
        "outrider intercept function - --function preaccesstoken < login.json",
        "",
        'In the file: {"function": "preuserinfo", "payload": {"userinfo": {"sub": "42"}}}',
    ),
)
def call_function(
    *,
    file: File,
    function: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Function, such as preuserinfo. Replaces the function in the file."
        ),
    ] = "",
    timeout: Timeout = "30s",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Call the targets of a function and print the merged result.

    If a target interrupts the call, the command exits with 5.
    """
    from outrider_api.outrider.v1.interception_service_pb import CallFunctionRequest

    request = read_message(file, CallFunctionRequest)
    request.function = function or request.function
    request.payload_json = request.payload_json or NO_MEMBERS
    server = connect(url, token, data_dir)
    response = _send(server, server.interceptions.call_function, request, timeout)
    _print_response(response, "answer", as_json=as_json)


def _send(server: RemoteServer, call: Any, request: Any, timeout: str) -> dict[str, Any]:
    from connectrpc.client import ResponseMetadata

    milliseconds = int(parse_duration(timeout, "--timeout").total_seconds() * 1000)
    if milliseconds <= 0:
        raise typer.BadParameter("the time must be longer than 0 s", param_hint="--timeout")
    found: list[str] = []

    def call_and_note_id(request: Any, *, headers: Mapping[str, str]) -> Any:
        with ResponseMetadata() as metadata:
            response = call(request, headers=headers, timeout_ms=milliseconds)
            found.extend(metadata.headers.getall(INTERCEPTION_ID))
        return response

    response = server.call(call_and_note_id, request, advice=ADVICE)
    return {**response, "interceptionId": found[0]} if found else response


def _print_response(response: Mapping[str, Any], name: str, *, as_json: bool) -> None:
    texts = {
        member.removesuffix(TEXT): text
        for member, text in response.items()
        if member.endswith(TEXT)
    }
    if as_json:
        others = {
            member: json.dumps(value, ensure_ascii=False)
            for member, value in response.items()
            if not member.endswith(TEXT)
        }
        print(indented_json(joined_json({**texts, **others})))
        return
    print(indented_json(texts[name]))
    if not response.get("execution"):
        note("No execution matched: see `outrider explain`.")
        return
    if texts.get("claims", NO_MEMBERS) != NO_MEMBERS:
        print("\nClaims")
        print(indented_json(texts["claims"]))
    if response.get("attributes"):
        print("\nAttributes")
        print_json(response["attributes"])
    print(f"\nCalls of {response['execution']}")
    if response.get("interceptionId"):
        note(f"Interception {response['interceptionId']}: the server's log has the reasons.")
    print_table(
        ("TARGET", "OUTCOME", "TOOK", "ERROR"),
        [
            (
                text_of(call, "targetId"),
                short_enum(text_of(call, "outcome"), OUTCOME_PREFIX) or "becomes a delivery",
                text_of(call, "duration") or "-",
                text_of(call, "error"),
            )
            for call in response.get("calls", ())
        ],
        empty="None: all targets are deleted.",
    )
