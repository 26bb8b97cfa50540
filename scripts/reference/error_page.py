"""The page of every error: `docs/reference/errors.md`. A test holds that it is current."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from outrider.errors import OutriderError
from reference.error_sites import Made, made_errors

INTRO = """\
# Errors

Every error that a caller of the API, a user of the command line or an operator can read, made from the source by
`make generate`. `{name}` stands for a value that only a running server knows. An error
that repeats another text, and adds nothing, has no row.

A call that is refused is answered with a code, a message and details, the same on every wire (REST and Connect in
`details`, gRPC in `grpc-status-details-bin`):

- The **message** is ZITADEL's own text, followed by its id in parentheses, wherever ZITADEL has one: clients compare
  it, so it never changes. The same id and text are in the detail `zitadel.v1.ErrorDetail`.
- The **reason** and **what to do** are in the detail `outrider.v1.ReasonDetail` as `reason` and `hint`. Where the
  message says it all, there is none. Passwords, tokens and whatever else a URL may hold are never repeated.

`outrider` prints all three, and with `--json` the document `{"error": {"message", "reason", "hint", "code",
"exitCode"}}` on standard error. The exceptions of `outrider.errors`, which an [engine](../embedding.md) raises, have
`message`, `id`, `reason` and `hint`.

Besides these, a request is refused that breaks a rule of the [API's description](../../src/outrider_api/openapi.json):
`invalid <Message>.<Field>: <rule>`, with the code `invalid_argument`.
"""

PARTS = {
    "API": "Calls of the API, and of an engine.",
    "Endpoints": "Reasons of `Target has an invalid URL`, and of settings that are URLs.",
    "Bodies": "REST bodies and headers that cannot become a message.",
    "Paths": "What no procedure is called for.",
    "Token endpoint": "The answers of `/oauth/v2/token`, as RFC 6749, section 5.2, has them.",
    "Command line": "With the exit code. Usage errors that name an option end with 2.",
    "Start": "Why a process does not start.",
}


_REPEATED = re.compile(r"(\{\w+\})?")
_PLAIN = {
    "BadParameter": ("Command line", "2"),
    "BadRequestError": ("Bodies", "invalid_argument"),
    "InvalidUrl": ("Endpoints", "invalid_argument"),
    "NotJsonError": ("Bodies", "invalid_argument"),
    "Sent": ("Paths", ""),
    "SettingsError": ("Start", ""),
    "StartupError": ("Start", ""),
}


@dataclass(frozen=True, order=True)
class Row:
    """One error as the page shows it."""

    part: str
    code: str
    message: str
    reason: str
    hint: str


def rows() -> list[Row]:
    """Every error once, by part, code and message."""
    found = {_row(made) for made in made_errors()}
    return sorted((row for row in found if not _REPEATED.fullmatch(row.message)), key=_order)


def page() -> str:
    """`docs/reference/errors.md`."""
    return INTRO + "".join(_part(part, intro) for part, intro in PARTS.items())


def _order(row: Row) -> tuple[int, Row]:
    return list(PARTS).index(row.part), row


def _part(part: str, intro: str) -> str:
    lines = [
        "",
        f"## {part}",
        "",
        intro,
        "",
        "| code | message | reason | what to do |",
        "|---|---|---|---|",
    ]
    for row in rows():
        if row.part == part:
            cells = (row.code, row.message, row.reason, row.hint)
            lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _row(made: Made) -> Row:
    # A placeholder has no order; its text has.
    return Row(*(str(text) for text in _cells(made)))


def _cells(made: Made) -> Sequence[str]:
    error = made.error
    if isinstance(error, OutriderError):
        return "API", error.code.value, str(error), error.added_reason, error.hint
    if made.name == "CommandError":
        return "Command line", str(int(error.code)), error.message, error.reason, error.advice
    if made.name == "GrantError":
        return "Token endpoint", error.error, error.description, "", ""
    part, code = _PLAIN[made.name]
    return part, getattr(error, "code", code), str(error), "", getattr(error, "hint", "")


def texts(row: Row) -> Iterator[str]:
    """Yield the texts of a row that are written for people."""
    yield from (text for text in (row.message, row.reason, row.hint) if text)


def main(arguments: Sequence[str]) -> None:
    """Write the page into a directory."""
    (Path(arguments[0]) / "errors.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
