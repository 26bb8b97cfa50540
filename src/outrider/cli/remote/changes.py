"""Report what a change replaced, from response headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from outrider.cli.terminal.output import note, printable

_HEADERS = {
    "replaced": "outrider-replaced",
    "shadows": "outrider-shadows",
    "shadowedBy": "outrider-shadowed-by",
}
_TEXTS = {
    "replaced": "replaced: {}",
    "shadows": "shadows: {} (its targets are not called where this execution matches)",
    "shadowedBy": "shadowed by: {} (it matches in place of this execution for a part of the calls or events)",
}


def reported_changes(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """The lists of ids by their names in JSON, without empty ones; `+3` stands for three more."""
    given = {name: headers.get(header, "") for name, header in _HEADERS.items()}
    return {
        name: [unquote(item) for item in value.split(",")] for name, value in given.items() if value
    }


def note_changes(changes: Mapping[str, Sequence[str]]) -> None:
    """A line for each list."""
    for name, ids in changes.items():
        note(printable(_TEXTS[name].format(", ".join(ids))))
