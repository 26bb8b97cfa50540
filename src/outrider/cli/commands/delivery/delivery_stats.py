# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider delivery stats`: counts by state, rates, and the targets that fail or are suspended."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from outrider.cli.commands.delivery.selection import Since, Until, past_timestamp
from outrider.cli.commands.delivery.states import OUTCOME_PREFIX, STATE_PREFIX, State
from outrider.cli.commands.targets.target_status import (
    suspended_targets,
    suspension_state,
    suspension_times,
)
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
    "outrider delivery stats",
    "outrider delivery stats --watch",
    "outrider delivery stats --since 2h --event-type user.human.added --json",
)
WATCH_S = 2.0
MAX_TARGETS = 100
_CLEAR = "\x1b[H\x1b[2J"


def stats(
    *,
    target: Annotated[str, typer.Option(metavar="ID", help="Only deliveries to this target.")] = "",
    event_type: Annotated[
        str, typer.Option(metavar="TYPE", help="Only deliveries of this event type.")
    ] = "",
    since: Since = "",
    until: Until = "",
    targets: Annotated[
        int,
        typer.Option(
            min=1, max=MAX_TARGETS, metavar="N", help="Most targets to list, of each kind."
        ),
    ] = 10,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat every two seconds until Ctrl-C.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count deliveries by state and target. Rates and outcomes cover the last hour.

    The command also lists suspended targets.
    """
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    server = connect(url, token, data_dir)
    request = GetDeliveryStatsRequest(
        target_id=target,
        event_type=event_type,
        created_since=past_timestamp(since, "--since"),
        created_until=past_timestamp(until, "--until"),
        max_targets=targets,
        max_suspended_targets=targets,
    )
    while True:
        response = server.call(server.deliveries.get_delivery_stats, request)
        if not watch:
            print_json(response) if as_json else _print_stats(response)
            return
        _print_stats_again(response, as_json=as_json)
        time.sleep(WATCH_S)


def _print_stats_again(response: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json_line(response)
        return
    if sys.stdout.isatty():
        print(_CLEAR, end="")
    _print_stats(response)
    print(flush=True)


def _print_stats(response: Mapping[str, Any]) -> None:
    counts = counts_of(response)
    print_fields({state: str(counts.get(state, 0)) for state in State})
    print_fields({"oldest open": short_time(text_of(response, "oldestOpenAt"))})
    if response.get("rates"):
        print("\nPer second, until about 25 s ago")
        print_table(("OVER", "DELIVERED", "DEAD"), _rate_rows(response), empty="")
    if response.get("outcomes"):
        print("\nLast attempts of deliveries that were settled in the last hour")
        print_table(("OUTCOME", "COUNT"), _outcome_rows(response), empty="")
    if response.get("targets"):
        print("\nTargets, failing ones first")
        print_table(
            ("ID", "NAME", *(state.upper() for state in State), "OLDEST OPEN", "STATE"),
            [_target_row(target) for target in response["targets"]],
            empty="",
        )
    suspended = [_suspended_row(target) for target in suspended_targets(response)]
    if suspended:
        print("\nSuspended targets")
        print_table(("ID", "NAME", "STATE", "WHEN"), suspended, empty="")
    if response.get("partial"):
        note("Partial result: only the newest deliveries were counted.")


def counts_of(part: Mapping[str, Any]) -> dict[str, int]:
    """The counts of a response, or of one target in it, by the names of states."""
    return {
        short_enum(text_of(count, "state"), STATE_PREFIX): int(count["count"])
        for count in part.get("counts", ())
    }


def _rate_rows(response: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            text_of(rate, "window"),
            f"{rate.get('deliveredPerSecond', 0):.2f}",
            f"{rate.get('deadPerSecond', 0):.2f}",
        )
        for rate in response["rates"]
    ]


def _outcome_rows(response: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (short_enum(text_of(outcome, "outcome"), OUTCOME_PREFIX), text_of(outcome, "count"))
        for outcome in response["outcomes"]
    ]


def _target_row(target: Mapping[str, Any]) -> tuple[str, ...]:
    counts = counts_of(target)
    return (
        text_of(target, "targetId"),
        text_of(target, "targetName") or "(deleted)",
        *(str(counts.get(state, 0)) for state in State),
        short_time(text_of(target, "oldestOpenAt")) or "-",
        suspension_state(target),
    )


def _suspended_row(target: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        text_of(target, "targetId"),
        text_of(target, "targetName"),
        suspension_state(target),
        suspension_times(target),
    )
