# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider dev`: write handlers, and see what they do at every save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from outrider.cli.remote.client import DEV_DATA_DIR
from outrider.cli.terminal.options import examples

EXAMPLES = examples(
    "outrider dev handlers.py",
    "outrider dev examples/receivers/custom_claims.py --port 0",
    "outrider event publish user.human.added --wait      (in another terminal)",
)

MAX_PORT = 65535


def dev(
    *,
    handlers: Annotated[
        Path, typer.Argument(metavar="FILE", help="Python file that creates a Receiver.")
    ],
    port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Port of the server. 0: any free port."
        ),
    ] = 8080,
    data_dir: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory of the data. The next start uses it again."),
    ] = DEV_DATA_DIR,
) -> None:
    """Run a server and your handlers. Each handler gets a target and an execution.

    The command reloads the file after each save. If the file has an error, the former handlers
    stay. The command prints every call with its response. Ctrl-C stops everything.
    """
    from outrider.cli.dev.run import run_dev

    run_dev(handlers, port, data_dir.absolute())
