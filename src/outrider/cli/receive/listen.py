"""Run `outrider listen`: receive until stopped, and print every call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import typer

from outrider.cli.receive.listener import Listener, ReceivedCall
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import note, pretty_body, print_json_line, printable
from outrider.cli.terminal.running import on_stop_signals


async def listen_until_stopped(listener: Listener, host: str, port: int) -> None:
    """Receive until Ctrl-C or SIGTERM.

    Raises:
        CommandError: the address cannot be had.
        Exception: what a call could not be shown or kept for, such as a closed pipe.
    """
    stopped = asyncio.Event()
    listener.on_failure = stopped.set
    async with listener:
        await start_listening(listener, host, port, "--port")
        on_stop_signals(stopped.set)
        note(f"listening on http://{host}:{listener.port}")
        await stopped.wait()
    if listener.failure is not None:
        raise listener.failure


async def start_listening(listener: Listener, host: str, port: int, option: str) -> None:
    """Start it, or say why this address cannot be had.

    Raises:
        CommandError: the port is taken, or the address is not this machine's.
    """
    try:
        await listener.listen(host, port)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            f"stop what listens there, or choose another port with {option} (0 takes any)",
        ) from None


def print_call(call: ReceivedCall) -> None:
    """One call for people."""
    style: Callable[..., str] = typer.style
    if call.verified:
        verification = style("signature verified", fg="green")
    else:
        verification = style(printable(call.verification_error or ""), fg="red")
    parts = [
        f"{call.at.astimezone():%H:%M:%S}",
        f"{call.method} {printable(call.target)}",
        verification,
        style(printable(event_type_of(call.body)), bold=True),
        _labelled("delivery", call.header("outrider-delivery")),
        _labelled("attempt", call.header("outrider-attempt")),
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
            "verificationError": call.verification_error,
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


def subject_of(body: bytes) -> str:
    """Return the subject of a call: the event type, the function, or the method; else "".

    A call with a member `response` is one about a response.
    """
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    for name in ("event_type", "function", "fullMethod"):
        value = document.get(name)
        if isinstance(value, str) and value:
            answers = name == "fullMethod" and "response" in document
            return f"response of {value}" if answers else value
    return ""


def _labelled(name: str, value: str) -> str:
    return f"{name} {printable(value)}" if value else ""
