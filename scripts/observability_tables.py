"""Writes the tables of docs/observability.md from the declarations of metrics and of log events.

With `--check` it says whether they are current, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from outrider.observability.log_events import FIELDS, LOG_EVENTS
from outrider.observability.metrics import DECLARED, Dimension, Metric

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "observability.md"


def metrics() -> Iterator[str]:
    """One line for each metric."""
    yield "| metric | type | labels | what it is |"
    yield "|---|---|---|---|"
    for metric in DECLARED.values():
        yield f"| `{metric.name}` | {metric.kind} | {_labels(metric)} | {metric.help} |"


def log_events() -> Iterator[str]:
    """One line for each event of the log."""
    yield "| event | level | when | fields |"
    yield "|---|---|---|---|"
    for log_event in LOG_EVENTS:
        fields = ", ".join(f"`{name}`" for name in log_event.fields)
        yield f"| `{log_event.event}` | {log_event.level} | {log_event.help} | {fields} |"


def fields() -> Iterator[str]:
    """One line for each field."""
    yield "| field | what it is |"
    yield "|---|---|"
    for name, meaning in FIELDS.items():
        yield f"| `{name}` | {meaning} |"


TABLES = {"metrics": metrics, "log events": log_events, "fields": fields}


def _labels(metric: Metric) -> str:
    return "; ".join(map(_dimension, metric.dimensions))


def _dimension(dimension: Dimension) -> str:
    names = ", ".join(f"`{name}`" for name in dimension.names)
    if dimension.is_open:
        return names
    return f"{names}: {', '.join(value for (value,) in dimension.values)}"


def page_with(text: str, name: str, fresh: str) -> str:
    """The page with `fresh` between the marks of a table. Raise `ValueError` when it has none."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{PAGE.name} has no marks for the table {name}")
    return f"{before}{begin}{fresh}{end}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 when the check found differences."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    committed = fresh = PAGE.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        fresh = page_with(fresh, name, "".join(f"{line}\n" for line in table()))
    if fresh == committed:
        return 0
    if check:
        print(f"not current: {PAGE.relative_to(ROOT)}", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
