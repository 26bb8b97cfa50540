# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider demo`: one event from publisher to receiver, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from outrider.cli.terminal.options import examples

EXAMPLES = examples(
    "outrider demo                     keeps running until Ctrl-C",
    "outrider demo --once              exits with 0 after it verified the delivery",
    "outrider demo --port 0 --receiver-port 0 --data-dir ./demo-data",
)

MAX_PORT = 65535


def demo(
    *,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Port of the server. 0: any free port."
        ),
    ] = 8080,
    receiver_port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Port of the receiver. 0: any free port."
        ),
    ] = 8090,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Directory that keeps the data. Default: a temporary directory."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after the first delivery.")] = False,
) -> None:
    """Start a server and a receiver, publish an event, and verify the signature of its delivery.

    The command shows every step with the curl command that does the same. Ctrl-C stops it and
    deletes the data, unless --data-dir is set.
    """
    import asyncio

    from outrider.cli.demo.session import run_demo

    where = data_dir.absolute() if data_dir else None
    raise typer.Exit(asyncio.run(run_demo(port, receiver_port, where, once=once)))
