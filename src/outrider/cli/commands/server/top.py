# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider top`: deliveries of a running server, as they go."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from outrider.cli.remote.client import connect
from outrider.cli.terminal.options import DEFAULT_URL, DataDir, Token, Url, examples

EXAMPLES = examples(
    "outrider top",
    "outrider top --url https://actions.example.com --targets 30",
    "outrider top --once",
)
# Programs read the frame then, and nothing has to fit.
_WIDE = 200


def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    every: Annotated[
        float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Time between two frames.")
    ] = 1.0,
    targets: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Number of targets to show.")
    ] = 10,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Show rates, states and failing targets live. Press q or Ctrl-C to quit.

    Without a terminal the command prints one frame without colours.
    """
    from rich.console import Console

    from outrider.cli.dashboard.loop import run_live, run_once

    server = connect(url, token, data_dir)
    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else _WIDE)
    if once or not is_terminal:
        run_once(server, targets, console)
    else:
        run_live(server, targets, every, console)
