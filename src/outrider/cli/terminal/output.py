# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Print results of commands: tables and fields for people, one JSON document for programs.

Results go to standard output, remarks about them to standard error. Texts from a server or a
stranger never reach the terminal as they are: control characters can repaint it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outrider.cli.terminal.errors import CommandError

_TABLE_WIDTH = 4000

# The parts of a JSON text: strings, punctuation, and everything else between blanks.
_JSON_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = "  "
_COMMAND = "outrider"


def own_command() -> str:
    """Return the command line that calls this command again, from the same terminal."""
    if shutil.which(_COMMAND) is not None:
        return _COMMAND
    # A clone has it in .venv/bin alone.
    is_script = Path(sys.argv[0]).name == _COMMAND
    return shlex.quote(sys.argv[0]) if is_script else f"{shlex.quote(sys.executable)} -m outrider"


def print_json(document: object) -> None:
    """One document, indented."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def joined_json(members: Mapping[str, str]) -> str:
    """The JSON object of members that are JSON text each."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def print_json_line(document: object) -> None:
    """One document on one line, flushed immediately: a reader may be waiting for it."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str, indent: int = 0
) -> None:
    """A row for each thing; `empty` goes to standard error when there is none.

    Rows are never broken: an identifier in two halves cannot be copied.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_one_line(cell)) for cell in row))
    if not table.row_count:
        note(empty)
        return
    console = Console(highlight=False, width=_TABLE_WIDTH)
    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, indent), expand=False))
    for line in captured.get().splitlines():
        print(line.rstrip())


def print_fields(fields: Mapping[str, str]) -> None:
    """One thing, a line for each of its fields; empty fields are left out."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        if value:
            print(f"{name:<{width}}  {printable(value)}")


def note(text: str) -> None:
    """A remark for people, on standard error."""
    print(text, file=sys.stderr)


def print_error(error: CommandError, *, as_json: bool = False) -> None:
    """Print the problem, its reason and the next action on standard error."""
    if as_json:
        members = {
            "message": error.message,
            "reason": error.reason,
            "hint": error.advice,
            "code": error.status,
        }
        given = {name: text for name, text in members.items() if text}
        document = {"error": {**given, "exitCode": int(error.code)}}
        print(json.dumps(document, indent=2, ensure_ascii=False), file=sys.stderr)
        return
    print(f"Error: {printable(error.message)}", file=sys.stderr)
    if error.reason:
        print(f"Reason: {printable(error.reason)}", file=sys.stderr)
    if error.advice:
        print(printable(error.advice), file=sys.stderr)


def printable(text: str) -> str:
    r"""The text with every character escaped that could do something to a terminal.

    Line ends and tabs stay. A lone surrogate, which no output takes, is escaped too.
    """
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text
    )


def pretty_body(body: bytes) -> str:
    """A payload for people: indented when it is JSON, otherwise as it is."""
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return printable(text)
    return printable(indented_json(text))


def indented_json(text: str) -> str:
    """JSON, indented, but in every other respect as it was written: numbers and escapes, too."""
    lines = [""]
    depth = 0
    parts = [match[0] for match in _JSON_PART.finditer(text)]
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        opens, closes = part in "{[", part in "}]"
        empty = opens and following in "}]"
        depth += opens - closes
        lines[-1] += ": " if part == ":" else part
        if (part == "," or opens or following in "}]") and not empty and following:
            lines.append(_INDENT * (depth - (following in "}]")))
    return "\n".join(lines)


def short_time(timestamp: str) -> str:
    """`2026-11-23 04:10:00Z` of a protojson timestamp; empty stays empty."""
    seconds, _, _ = timestamp.removesuffix("Z").partition(".")
    return f"{seconds.replace('T', ' ')}Z" if seconds else ""


def short_enum(name: str, prefix: str) -> str:
    """`dead` of `DELIVERY_STATE_DEAD` and `DELIVERY_STATE_`."""
    return name.removeprefix(prefix).lower()


def _one_line(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A field of a protojson document as text; protojson leaves out what is empty."""
    value = document.get(name, "")
    return value if isinstance(value, str) else json.dumps(value)
