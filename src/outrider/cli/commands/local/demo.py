# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider demo`: one event from publisher to receiver, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from outrider.cli.terminal.options import examples

EXAMPLES = examples(
    "outrider demo                     then go on by hand until Ctrl-C",
    "outrider demo --once              ends with 0 when the delivery was verified",
    "outrider demo --port 0 --receiver-port 0 --data-dir ./demo-data",
)

MAX_PORT = 65535


def demo(
    *,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Of the server. 0 takes any free one."
        ),
    ] = 8080,
    receiver_port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Of the receiver. 0 takes any free one."
        ),
    ] = 8090,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data here. Default: gone at the end."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first delivery.")] = False,
) -> None:
    """See an event delivered: server, receiver, target, execution, event, verified signature.

    Every step is shown with the curl line that does the same. Ctrl-C ends it; nothing is left
    behind.
    """
    import asyncio

    from outrider.cli.demo.session import run_demo

    where = data_dir.absolute() if data_dir else None
    raise typer.Exit(asyncio.run(run_demo(port, receiver_port, where, once=once)))
