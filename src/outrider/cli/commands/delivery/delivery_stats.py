# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider deliveries stats`: how many are where, how fast they go, and what is stuck."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from outrider.cli.commands.delivery.replay import Since, Until, moment
from outrider.cli.commands.delivery.states import OUTCOME_PREFIX, STATE_PREFIX, State
from outrider.cli.commands.targets.target_status import state_of, suspended_in, times_of
from outrider.cli.remote.client import connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_json_line,
    print_table,
    short_enum,
    short_time,
    text_of,
)

STATS_EXAMPLES = examples(
    "outrider deliveries stats",
    "outrider deliveries stats --watch",
    "outrider deliveries stats --since 2h --event-type user.human.added --json",
)
WATCH_S = 2.0
MAX_TARGETS = 100
_CLEAR = "\x1b[H\x1b[2J"


def stats(
    *,
    target: Annotated[str, typer.Option(metavar="ID", help="Only to this target.")] = "",
    event_type: Annotated[str, typer.Option(metavar="TYPE", help="Only of this type.")] = "",
    since: Since = "",
    until: Until = "",
    targets: Annotated[
        int,
        typer.Option(
            min=1, max=MAX_TARGETS, metavar="N", help="How many targets are listed, of each kind."
        ),
    ] = 10,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count deliveries by state and target; rates and outcomes are of the last hour.

    Targets that are paused or whose breaker is open are listed, too.
    """
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    server = connect(url, token, data_dir)
    request = GetDeliveryStatsRequest(
        target_id=target,
        event_type=event_type,
        created_since=moment(since, "--since"),
        created_until=moment(until, "--until"),
        max_targets=targets,
        max_suspended_targets=targets,
    )
    try:
        while True:
            answer = server.ask(server.deliveries.get_delivery_stats, request)
            if not watch:
                print_json(answer) if as_json else _show(answer)
                return
            _show_again(answer, as_json=as_json)
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        if not watch:
            raise


def _show_again(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json_line(answer)
        return
    if sys.stdout.isatty():
        print(_CLEAR, end="")
    _show(answer)
    print(flush=True)


def _show(answer: Mapping[str, Any]) -> None:
    counts = counts_of(answer)
    print_fields({state: str(counts.get(state, 0)) for state in State})
    print_fields({"oldest open": short_time(text_of(answer, "oldestOpenAt"))})
    if answer.get("rates"):
        print("\nPer second, until about 25 s ago")
        print_table(("OVER", "DELIVERED", "DEAD"), _rates(answer), empty="")
    if answer.get("outcomes"):
        print("\nLast attempts of what was settled within an hour")
        print_table(("OUTCOME", "COUNT"), _outcomes(answer), empty="")
    if answer.get("targets"):
        print("\nTargets, those in trouble first")
        print_table(
            ("ID", "NAME", *(state.upper() for state in State), "OLDEST OPEN", "STATE"),
            [_target(target) for target in answer["targets"]],
            empty="",
        )
    held = [_held(each) for each in suspended_in(answer)]
    if held:
        print("\nTargets that are held")
        print_table(("ID", "NAME", "STATE", "WHEN"), held, empty="")
    if answer.get("partial"):
        note("Only the newest deliveries were looked at: there are too many.")


def counts_of(part: Mapping[str, Any]) -> dict[str, int]:
    """The counts of an answer, or of one target in it, by the names of states."""
    return {
        short_enum(text_of(each, "state"), STATE_PREFIX): int(each["count"])
        for each in part.get("counts", ())
    }


def _rates(answer: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            text_of(rate, "window"),
            f"{rate.get('deliveredPerSecond', 0):.2f}",
            f"{rate.get('deadPerSecond', 0):.2f}",
        )
        for rate in answer["rates"]
    ]


def _outcomes(answer: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (short_enum(text_of(outcome, "outcome"), OUTCOME_PREFIX), text_of(outcome, "count"))
        for outcome in answer["outcomes"]
    ]


def _target(target: Mapping[str, Any]) -> tuple[str, ...]:
    counts = counts_of(target)
    return (
        text_of(target, "targetId"),
        text_of(target, "targetName") or "(deleted)",
        *(str(counts.get(state, 0)) for state in State),
        short_time(text_of(target, "oldestOpenAt")) or "-",
        state_of(target),
    )


def _held(target: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        text_of(target, "targetId"),
        text_of(target, "targetName"),
        state_of(target),
        times_of(target),
    )
