"""Ask before a command destroys something: on a terminal by a question, elsewhere by `--yes`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.output import note, printable

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(question: str, consequences: Sequence[str], *, yes: bool) -> None:
    """Show what goes with it, and return when the user wants it.

    Raise `CommandError` for another answer, and where standard input is no terminal to ask at.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(
            f"nothing was changed: {question} must be answered, and there is no terminal to ask at",
            "give --yes to do it",
            code=ExitCode.USAGE,
            reason="; ".join(consequences),
        )
    for consequence in consequences:
        note(printable(consequence))
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed", "answer y, or give --yes")
