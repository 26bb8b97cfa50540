# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider listen`: a receiver for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples

if TYPE_CHECKING:
    from outrider.cli.receive.listener import ResponseScript

EXAMPLES = examples(
    "outrider listen --port 8090 --signing-key KEY",
    "outrider listen --signing-key OLD --signing-key NEW     (during a key rotation)",
    "outrider listen --fail-first 3                          (watch the retries)",
    "outrider listen --json | jq .body",
    """outrider listen --body '{"limit": 1}'                   (replaces every request)""",
    "outrider listen --url https://outrider.example.com --forward http://localhost:3000/hook",
)

MAX_PORT = 65535
LOWEST_STATUS, HIGHEST_STATUS = 200, 599

Forward = Annotated[
    str,
    typer.Option(
        "--forward",
        metavar="URL",
        help="Connect to the server at --url and forward its calls to this URL. Opens no port.",
    ),
]
TunnelName = Annotated[
    str,
    typer.Option(
        "--name", metavar="NAME", help="With --forward: name of the tunnel. Default: the host name."
    ),
]
TunnelTarget = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="ID",
        help="With --forward: a target whose endpoint is a tunnel. "
        "Default: the target of this tunnel, created if it is missing.",
    ),
]


Port = Annotated[
    int,
    typer.Option(min=0, max=MAX_PORT, metavar="PORT", help="Port to listen on. 0: any free port."),
]
SigningKeys = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        envvar="OUTRIDER_SIGNING_KEY",
        help="Signing key of the target. Repeatable.",
    ),
]
Status = Annotated[
    int,
    typer.Option(
        min=LOWEST_STATUS, max=HIGHEST_STATUS, metavar="STATUS", help="Status of the responses."
    ),
]
Body = Annotated[
    str,
    typer.Option(metavar="TEXT", help="Body of the responses; JSON for a target of type call."),
]


def listen(
    *,
    port: Port = 8090,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    signing_key: SigningKeys = None,
    fail_first: Annotated[
        int, typer.Option(min=0, metavar="N", help="Respond with 500 to the first N calls.")
    ] = 0,
    status: Status = 200,
    delay: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait before each response.")
    ] = 0,
    body: Body = "",
    forward: Forward = "",
    name: TunnelName = "",
    target: TunnelTarget = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Receive calls, verify their signatures and print them. Ctrl-C stops the command.

    The receiver rejects a call with an invalid signature with 401. With --forward the command
    opens a connection to a server, and your own program responds to the calls of that server.
    """
    if forward:
        if fail_first or delay or body or status != LOWEST_STATUS:
            raise typer.BadParameter(
                "with --forward the program behind the URL answers: leave out --status, --body,"
                " --delay and --fail-first"
            )
        _forward(forward, name, target, server=connect(url, token, data_dir), as_json=as_json)
        return
    from outrider.cli.receive.listener import ResponseScript

    if not all(signing_key or ()):
        raise typer.BadParameter(
            "a signing key is empty: set the variable, or leave the option out"
        )
    script = ResponseScript(
        status=status, fail_first=fail_first, delay=delay, body=body.encode() or None
    )
    _receive(script, signing_key or [], host, port, as_json=as_json)


def _receive(
    script: ResponseScript, signing_keys: list[str], host: str, port: int, *, as_json: bool
) -> None:
    import asyncio

    from outrider.cli.receive.listen import listen_until_stopped, print_call, print_call_json
    from outrider.cli.receive.listener import Listener

    on_call = print_call_json if as_json else print_call
    listener = Listener(on_call, signing_keys=signing_keys, script=script)
    asyncio.run(listen_until_stopped(listener, host, port))


def _forward(url: str, name: str, target: str, *, server: RemoteServer, as_json: bool) -> None:
    from outrider.cli.receive.forward import (
        ForwardOptions,
        checked_name,
        forward,
        print_answered_call,
        print_answered_call_json,
    )

    options = ForwardOptions(url=url, name=checked_name(name), target_id=target)
    forward(server, options, print_answered_call_json if as_json else print_answered_call)
