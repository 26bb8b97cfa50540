# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""One frame of `outrider top`: a sample of a server's statistics as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from outrider.cli.commands.delivery.delivery_stats import counts_of
from outrider.cli.commands.delivery.states import State
from outrider.cli.commands.targets.target_status import (
    parse_timestamp,
    suspended_targets,
    suspension_of,
    suspension_state,
)
from outrider.cli.terminal.output import printable, text_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {
    State.PENDING: "cyan",
    State.DELIVERING: "blue",
    State.RETRYING: "yellow",
    State.DELIVERED: "green",
    State.DEAD: "red",
    State.CANCELLED: "dim",
}
_OPEN_OR_DEAD = (State.PENDING, State.DELIVERING, State.RETRYING, State.DEAD)
_SETTLED = (State.DELIVERED, State.DEAD)
_BARS = "▁▂▃▄▅▆▇█"
_MAX_RATES = 60
_LATE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StatsSample:
    """The statistics of a server at one time. `errors` are last errors by target, "" when there is none.

    `at` is on a clock that never goes back, in seconds; `now` is the time of day.
    """

    url: str
    at: float
    now: datetime
    stats: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """The samples before this one, as far as rates need them."""

    _last: tuple[float, dict[str, int]] | None = None
    rates: list[float] = field(default_factory=list)

    def add(self, sample: StatsSample) -> None:
        """Add the rate of deliveries that were settled since the last sample."""
        counts = counts_of(sample.stats)
        if self._last is not None:
            at, before = self._last
            settled = sum(counts.get(state, 0) - before.get(state, 0) for state in _SETTLED)
            # Retention makes the log shorter: that is no negative rate.
            self.rates.append(max(0.0, settled / max(sample.at - at, 0.001)))
            del self.rates[:-_MAX_RATES]
        self._last = (sample.at, counts)


def frame(sample: StatsSample, history: History) -> RenderableType:
    """The whole frame."""
    from rich.console import Group

    parts = [_header(sample, history), _state_line(sample), _target_table(sample)]
    return Group(*(part for part in parts if part is not None))


def _header(sample: StatsSample, history: History) -> RenderableType:
    from rich.text import Text

    lines = Text()
    lines.append("outrider top", "bold")
    lines.append(f"  {printable(sample.url)}  {sample.now:%H:%M:%S}Z\n")
    lines.append(f"settled/s now {_number(history.rates[-1]) if history.rates else '-':>8}  ")
    lines.append(_sparkline(history.rates), "green")
    for rate in sample.stats.get("rates", ()):
        minutes = round(float(text_of(rate, "window").removesuffix("s")) / 60)
        lines.append(
            f"\n{minutes:>4} min  delivered/s {_number(rate.get('deliveredPerSecond', 0)):>8}"
        )
        dead = float(rate.get("deadPerSecond", 0))
        lines.append(f"  dead/s {_number(dead):>8}", "red" if dead else "")
    oldest = _age(sample, text_of(sample.stats, "oldestOpenAt"))
    lines.append("\noldest open ")
    lines.append("none" if oldest is None else _span(oldest), _age_style(oldest))
    return lines


def _state_line(sample: StatsSample) -> RenderableType:
    from rich.text import Text

    counts = counts_of(sample.stats)
    line = Text("\n")
    for state in State:
        line.append(f"{state} ", "dim")
        line.append(f"{counts.get(state, 0)}  ", _STYLES[state])
    return line


def _target_table(sample: StatsSample) -> RenderableType | None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    targets = _listed_targets(sample.stats)
    if not targets:
        return Text("\nno target has open or dead deliveries")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("TARGET", "NAME", "STATE", "OPEN", "RETRYING", "DEAD", "OLDEST", "LAST ERROR"):
        last = column == "LAST ERROR"
        right = column in {"OPEN", "RETRYING", "DEAD", "OLDEST"}
        table.add_column(
            column,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if right else "left",
            ratio=1 if last else None,
        )
    for target in targets:
        table.add_row(*map(_cell, _target_row(sample, target)))
    return Padding(table, (1, 0, 0, 0))


def _listed_targets(stats: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Targets with open or dead deliveries, in the server's order, then other suspended targets."""
    listed = [
        target
        for target in stats.get("targets", ())
        if suspension_of(target) or any(counts_of(target).get(state) for state in _OPEN_OR_DEAD)
    ]
    listed_ids = {text_of(target, "targetId") for target in listed}
    others = [
        target
        for target in suspended_targets(stats)
        if text_of(target, "targetId") not in listed_ids
    ]
    return [*listed, *others]


def _target_row(sample: StatsSample, target: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    counts, identifier = counts_of(target), text_of(target, "targetId")
    open_count = sum(counts.get(state, 0) for state in _OPEN_OR_DEAD) - counts.get(State.DEAD, 0)
    oldest = _age(sample, text_of(target, "oldestOpenAt"))
    retrying, dead = counts.get(State.RETRYING, 0), counts.get(State.DEAD, 0)
    return (
        (identifier, ""),
        (text_of(target, "targetName") or "(deleted)", ""),
        (suspension_state(target, sample.now), "red"),
        (str(open_count), ""),
        (str(retrying), _STYLES[State.RETRYING] if retrying else ""),
        (str(dead), _STYLES[State.DEAD] if dead else ""),
        ("-" if oldest is None else _span(oldest), _age_style(oldest)),
        (sample.errors.get(identifier, ""), "dim"),
    )


def _cell(part: tuple[str, str]) -> RenderableType:
    from rich.text import Text

    text, style = part
    return Text(printable(text).replace("\n", " ").replace("\t", " "), style)


def _sparkline(rates: Sequence[float]) -> str:
    highest = max(rates, default=0.0)
    if not highest:
        return ""
    return "".join(_BARS[min(len(_BARS) - 1, int(rate / highest * len(_BARS)))] for rate in rates)


def _age(sample: StatsSample, timestamp: str) -> timedelta | None:
    if not timestamp:
        return None
    return max(timedelta(0), sample.now - parse_timestamp(timestamp))


def _age_style(age: timedelta | None) -> str:
    return "red" if age is not None and age > _LATE_AFTER else ""


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _number(value: float) -> str:
    # As many digits as are of use: 0.05, 3.2, 14 000.
    if value and abs(value) < 10:  # noqa: PLR2004 - from here on tenths are noise
        return f"{value:.2f}"
    return f"{math.floor(value):,}".replace(",", " ")
