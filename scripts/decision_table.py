"""Write the decision table of docs/interceptions.md from vectors/interception_decisions.json.

With `--check`, report whether the table is current and write nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "vectors" / "interception_decisions.json"
PAGE = ROOT / "docs" / "interceptions.md"
BEGIN, END = "<!-- decision table: begin -->\n", "<!-- decision table: end -->\n"

HEAD = (
    "| case | intercepted | outcome | `interruptOnError` | not set |"
    " `CONTINUE` | `INTERRUPT` | the caller's error |\n" + "|---" * 8 + "|\n"
)

Cell = dict[str, Any]


def table(cells: Iterable[Cell]) -> str:
    """Return one line for each fault; kinds with the same decision share it."""
    by_fault: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        by_fault.setdefault(cell["fault"], {}).setdefault(cell["kind"], []).append(cell)
    lines = [line for fault, kinds in by_fault.items() for line in _lines(fault, kinds)]
    return HEAD + "".join(f"{line}\n" for line in lines)


def _lines(fault: str, kinds: dict[str, list[Cell]]) -> Iterable[str]:
    kinds_of: dict[str, list[str]] = {}
    for kind, cells in kinds.items():
        kinds_of.setdefault(_decision(cells), []).append(kind)
    for decision, same in kinds_of.items():
        shown = "all" if same == list(kinds) else ", ".join(same)
        yield f"| {fault} | {shown} | {decision} |"


def _decision(cells: Sequence[Cell]) -> str:
    def stops(choice: str, *, interrupts: bool) -> str:
        [cell] = [
            cell
            for cell in cells
            if (cell["on_unreachable"], cell["interrupt_on_error"]) == (choice, interrupts)
        ]
        return "rejects" if cell["stops"] else _continues(cell)

    def chosen(choice: str) -> str:
        found = {stops(choice, interrupts=True), stops(choice, interrupts=False)}
        return found.pop() if len(found) == 1 else "by `interruptOnError`"

    columns = (
        cells[0]["outcome"],
        stops("UNSPECIFIED", interrupts=True),
        stops("UNSPECIFIED", interrupts=False),
        chosen("CONTINUE"),
        chosen("INTERRUPT"),
        _error(cells),
    )
    return " | ".join(columns)


def _continues(cell: Cell) -> str:
    return "continues, changed" if cell["message"] == "replaced" else "continues"


def _error(cells: Sequence[Cell]) -> str:
    shown = sorted(
        {f"`{cell['code']}` {cell['text']} ({cell['id']})" for cell in cells if cell["stops"]}
    )
    return ", ".join(shown) or "none"


def page_with(text: str, fresh: str) -> str:
    """Return the page with `fresh` between its marks. Raise `ValueError` if it has no marks."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE.name} has no marks for the table")
    return f"{before}{BEGIN}{fresh}{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 1 if the check found differences."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    cells = json.loads(VECTORS.read_text(encoding="utf-8"))["cells"]
    committed = PAGE.read_text(encoding="utf-8")
    fresh = page_with(committed, table(cells))
    if fresh == committed:
        return 0
    if check:
        print(f"not current: {PAGE.relative_to(ROOT)}", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
