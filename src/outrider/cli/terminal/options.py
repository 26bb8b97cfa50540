"""Options that many commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[
    str, typer.Option("--url", envvar="OUTRIDER_URL", metavar="URL", help="URL of the server.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="OUTRIDER_TOKEN",
        metavar="TOKEN",
        help="Bearer token. Default: the admin token in the data directory.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="OUTRIDER_DATA_DIR",
        metavar="DIR",
        help="Data directory of the server, which has admin.token.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def examples(*commands: str) -> str:
    r"""The end of a help page. `\b` keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
