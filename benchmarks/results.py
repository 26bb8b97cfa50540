"""The results of a benchmark: raw rounds for a file, a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Result:
    """One benchmark of one run. `rounds` are as measured; the table is made of their medians."""

    name: str
    settings: dict[str, Any]
    rounds: list[dict[str, Any]] = field(default_factory=list)
    table: str = ""

    def document(self, facts: dict[str, object]) -> dict[str, Any]:
        """Return the document for the file."""
        return {
            "benchmark": self.name,
            "settings": self.settings,
            "machine": facts,
            "table": self.table.splitlines(),
            "rounds": self.rounds,
        }


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """The median, and the smallest and largest of several rounds."""
    if len(values) == 1:
        return format(values[0], form)
    low, middle, high = (
        format(value, form) for value in (min(values), median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for a terminal."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in lines
    )
