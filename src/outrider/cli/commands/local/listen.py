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
    "outrider listen --signing-key OLD --signing-key NEW     (while keys are changed)",
    "outrider listen --fail-first 3                          (see how it is tried again)",
    "outrider listen --json | jq .body",
    """outrider listen --body '{"limit": 1}'                   (replace every request by this)""",
    "outrider listen --url https://outrider.example.com --forward http://localhost:3000/hook",
)

MAX_PORT = 65535
LOWEST_STATUS, HIGHEST_STATUS = 200, 599

Forward = Annotated[
    str,
    typer.Option(
        "--forward",
        metavar="URL",
        help="Instead of listening, connect to the server at --url and take its calls to this URL.",
    ),
]
TunnelName = Annotated[
    str,
    typer.Option(
        "--name", metavar="NAME", help="Of the tunnel, with --forward. Default: the machine's."
    ),
]
TunnelTarget = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="ID",
        help="With --forward: a target that has a tunnel as its endpoint. "
        "Default: one of its own, made if there is none.",
    ),
]


def listen(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, metavar="PORT", help="0 takes any free one.")
    ] = 8090,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    signing_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            envvar="OUTRIDER_SIGNING_KEY",
            help="The target's signing key. Give it more than once for several.",
        ),
    ] = None,
    fail_first: Annotated[
        int, typer.Option(min=0, metavar="N", help="Answer 500 this many times first.")
    ] = 0,
    status: Annotated[
        int,
        typer.Option(
            min=LOWEST_STATUS, max=HIGHEST_STATUS, metavar="STATUS", help="What to answer with."
        ),
    ] = 200,
    delay: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait before each answer.")
    ] = 0,
    body: Annotated[
        str, typer.Option(metavar="TEXT", help="What to answer: JSON, for a target of type call.")
    ] = "",
    forward: Forward = "",
    name: TunnelName = "",
    target: TunnelTarget = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Receive calls, verify their signatures, print them. Ctrl-C ends it.

    A call with a bad signature is answered 401. With --forward calls come through a connection to
    the server, wherever that is, and are answered by your own program.
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
