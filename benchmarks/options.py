"""The command-line options of all benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """`scale` multiplies how much is measured; `environ` holds settings of outrider to try out.

    `database` is `sqlite`, or `postgresql` for a separate server with full fsync.
    `max_targets` and `max_rows` say how far `sizes` goes.
    """

    scratch: Path
    is_quick: bool = False
    count: int | None = None
    rounds: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    database: str = "sqlite"
    max_targets: int = 10_000
    max_rows: int = 5_000_000

    def of(self, usual: int, quick: int) -> int:
        """One of two amounts, by `--quick`."""
        return quick if self.is_quick else usual
