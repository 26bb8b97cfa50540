# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider listen`: a receiver for trying things out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.exits import CommandError
from outrider.cli.options import AsJson, examples
from outrider.cli.output import note, pretty_body, print_json_line, printable

if TYPE_CHECKING:
    from outrider.cli.listener import Listener, ReceivedCall

EXAMPLES = examples(
    "outrider listen --port 8090 --signing-key KEY",
    "outrider listen --signing-key OLD --signing-key NEW     (while keys are changed)",
    "outrider listen --fail 3                                (see how it is tried again)",
    "outrider listen --json | jq .body",
)

MAX_PORT = 65535
LOWEST_STATUS, HIGHEST_STATUS = 200, 599


def listen(
    *,
    port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="0 takes any free one.")] = 8090,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    signing_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            envvar="OUTRIDER_SIGNING_KEY",
            help="The target's signing key. Give it more than once for several.",
        ),
    ] = None,
    fail: Annotated[int, typer.Option(min=0, help="Answer 500 this many times first.")] = 0,
    status: Annotated[
        int,
        typer.Option(min=LOWEST_STATUS, max=HIGHEST_STATUS, help="What to answer with."),
    ] = 200,
    delay: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait before each answer.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Receive calls, verify their signatures, print them. Ctrl-C ends it.

    A call with a bad signature is answered 401.
    """
    from outrider.cli.listener import Listener, Manners

    if any(not each for each in signing_key or ()):
        raise typer.BadParameter("a signing key is empty: is a variable missing?")
    listener = Listener(
        print_call_json if as_json else print_call,
        signing_keys=signing_key or (),
        manners=Manners(status=status, fail=fail, delay=delay),
    )
    asyncio.run(_listen(listener, host, port))


async def _listen(listener: Listener, host: str, port: int) -> None:
    from outrider.cli.running import on_stop_signals

    stopped = asyncio.Event()
    async with listener:
        await start_listening(listener, host, port, "--port")
        on_stop_signals(stopped.set)
        note(f"listening on http://{host}:{listener.port}")
        await stopped.wait()


async def start_listening(listener: Listener, host: str, port: int, option: str) -> None:
    """Start it, or say why this address cannot be had.

    Raises:
        CommandError: the port is taken, or the address is not this machine's.
    """
    try:
        await listener.start(host, port)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            f"Stop what listens there, or choose another port with {option} (0 takes any).",
        ) from None


def print_call(call: ReceivedCall) -> None:
    """One call for people."""
    style: Callable[..., str] = typer.style
    if call.verified:
        verdict = style("signature verified", fg="green")
    else:
        verdict = style(printable(call.refusal or ""), fg="red")
    parts = [
        f"{call.at.astimezone():%H:%M:%S}",
        f"{call.method} {printable(call.target)}",
        verdict,
        style(printable(event_type_of(call.body)), bold=True),
        _named("delivery", call.header("outrider-delivery")),
        _named("attempt", call.header("outrider-attempt")),
        f"answered {call.status}",
    ]
    typer.echo("  ".join(part for part in parts if part))
    typer.echo(pretty_body(call.body) + "\n")


def print_call_json(call: ReceivedCall) -> None:
    """One call as one line of JSON. `body` is text, exactly as it was signed."""
    print_json_line(
        {
            "at": call.at.isoformat(),
            "method": call.method,
            "target": call.target,
            "verified": call.verified is not None,
            "refusal": call.refusal,
            "status": call.status,
            "eventType": event_type_of(call.body),
            "delivery": call.header("outrider-delivery"),
            "attempt": call.header("outrider-attempt"),
            "headers": [list(header) for header in call.headers],
            "body": call.body.decode("utf-8", "replace"),
        }
    )


def event_type_of(body: bytes) -> str:
    """The event type in a body like those of events; empty when there is none."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    event_type = document.get("event_type", "") if isinstance(document, dict) else ""
    return event_type if isinstance(event_type, str) else ""


def _named(name: str, value: str) -> str:
    return f"{name} {printable(value)}" if value else ""
