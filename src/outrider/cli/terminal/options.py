"""Options that many commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[
    str, typer.Option("--url", envvar="OUTRIDER_URL", metavar="URL", help="Where the server is.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="OUTRIDER_TOKEN",
        metavar="TOKEN",
        help="Bearer token. Without it the admin token in the data directory is used.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="OUTRIDER_DATA_DIR",
        metavar="DIR",
        help="The server's data directory, to read its admin.token.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def examples(*commands: str) -> str:
    r"""The end of a help page. `\b` keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
