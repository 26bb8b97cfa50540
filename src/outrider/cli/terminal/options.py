"""Options that many commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def examples(*commands: str) -> str:
    r"""The end of a help page. `\b` keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
