# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""One frame of `outrider top`: what was asked of a server, as a picture of so many columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from outrider.cli.commands.delivery.delivery_stats import counts_of
from outrider.cli.commands.delivery.states import State
from outrider.cli.commands.targets.target_status import (
    moment_of,
    state_of,
    suspended_in,
    suspension_of,
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
_TROUBLE = (State.PENDING, State.DELIVERING, State.RETRYING, State.DEAD)
_SETTLED = (State.DELIVERED, State.DEAD)
_BARS = "▁▂▃▄▅▆▇█"
_KEPT = 60
_BEHIND = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StatsSample:
    """What a server said at one time. `errors` are last errors by target, "" when there is none.

    `at` is on a clock that never goes back, in seconds; `now` is the time of day.
    """

    url: str
    at: float
    now: datetime
    stats: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """The looks before this one, as far as rates need them."""

    _last: tuple[float, dict[str, int]] | None = None
    rates: list[float] = field(default_factory=list)

    def add(self, look: StatsSample) -> None:
        """Take note of what has been settled since the last look."""
        counts = counts_of(look.stats)
        if self._last is not None:
            at, before = self._last
            settled = sum(counts.get(each, 0) - before.get(each, 0) for each in _SETTLED)
            # What is forgotten makes the log shorter: that is no negative rate.
            self.rates.append(max(0.0, settled / max(look.at - at, 0.001)))
            del self.rates[:-_KEPT]
        self._last = (look.at, counts)


def frame(look: StatsSample, history: History) -> RenderableType:
    """The whole picture."""
    from rich.console import Group

    parts = [_head(look, history), _states(look), _targets(look)]
    return Group(*(part for part in parts if part is not None))


def _head(look: StatsSample, history: History) -> RenderableType:
    from rich.text import Text

    lines = Text()
    lines.append("outrider top", "bold")
    lines.append(f"  {printable(look.url)}  {look.now:%H:%M:%S}Z\n")
    lines.append(f"settled/s now {_number(history.rates[-1]) if history.rates else '-':>8}  ")
    lines.append(_sparkline(history.rates), "green")
    for each in look.stats.get("rates", ()):
        minutes = round(float(text_of(each, "window").removesuffix("s")) / 60)
        lines.append(
            f"\n{minutes:>4} min  delivered/s {_number(each.get('deliveredPerSecond', 0)):>8}"
        )
        dead = float(each.get("deadPerSecond", 0))
        lines.append(f"  dead/s {_number(dead):>8}", "red" if dead else "")
    oldest = _age(look, text_of(look.stats, "oldestOpenAt"))
    lines.append("\noldest open ")
    lines.append("none" if oldest is None else _span(oldest), _age_style(oldest))
    return lines


def _states(look: StatsSample) -> RenderableType:
    from rich.text import Text

    counts = counts_of(look.stats)
    line = Text("\n")
    for state in State:
        line.append(f"{state} ", "dim")
        line.append(f"{counts.get(state, 0)}  ", _STYLES[state])
    return line


def _targets(look: StatsSample) -> RenderableType | None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    troubled = _troubled(look.stats)
    if not troubled:
        return Text("\nno target owes anything")
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
    for each in troubled:
        table.add_row(*map(_cell, _row(look, each)))
    return Padding(table, (1, 0, 0, 0))


def _troubled(stats: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Targets that owe something, as the server has them, then others that are held."""
    listed = stats.get("targets", ())
    troubled = [
        each
        for each in listed
        if suspension_of(each) or any(counts_of(each).get(state) for state in _TROUBLE)
    ]
    shown = {text_of(each, "targetId") for each in troubled}
    return [
        *troubled,
        *(each for each in suspended_in(stats) if text_of(each, "targetId") not in shown),
    ]


def _row(look: StatsSample, target: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    counts, identifier = counts_of(target), text_of(target, "targetId")
    is_open = sum(counts.get(each, 0) for each in _TROUBLE) - counts.get(State.DEAD, 0)
    oldest = _age(look, text_of(target, "oldestOpenAt"))
    retrying, dead = counts.get(State.RETRYING, 0), counts.get(State.DEAD, 0)
    return (
        (identifier, ""),
        (text_of(target, "targetName") or "(deleted)", ""),
        (state_of(target, look.now), "red"),
        (str(is_open), ""),
        (str(retrying), _STYLES[State.RETRYING] if retrying else ""),
        (str(dead), _STYLES[State.DEAD] if dead else ""),
        ("-" if oldest is None else _span(oldest), _age_style(oldest)),
        (look.errors.get(identifier, ""), "dim"),
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


def _age(look: StatsSample, timestamp: str) -> timedelta | None:
    if not timestamp:
        return None
    return max(timedelta(0), look.now - moment_of(timestamp))


def _age_style(age: timedelta | None) -> str:
    return "red" if age is not None and age > _BEHIND else ""


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _number(value: float) -> str:
    # As many digits as say something: 0.05, 3.2, 14 000.
    if value and abs(value) < 10:  # noqa: PLR2004 - from here on tenths are noise
        return f"{value:.2f}"
    return f"{math.floor(value):,}".replace(",", " ")
