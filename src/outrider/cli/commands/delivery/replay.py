# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider delivery replay`: make deliveries again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from outrider.cli.commands.delivery.page_run import BulkCall
from outrider.cli.commands.delivery.selection import (
    EventIdFilter,
    EventType,
    Ids,
    Since,
    TargetFilter,
    Until,
    Yes,
    check_selection,
    filters,
    print_result,
    run_found,
    run_ids,
)
from outrider.cli.commands.delivery.states import FINAL, State
from outrider.cli.remote.client import connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples

REPLAY_EXAMPLES = examples(
    "outrider delivery replay 336392597046099971",
    "outrider delivery replay --state dead --target 336392597046099971",
    "outrider delivery replay --since 3h --until 1h --event-type user.human.added --yes",
    "",
    "The command replays finished deliveries and skips open ones. Filters skip deliveries that have",
    "an open or delivered replay, so that the same command creates no second replay. Ctrl-C stops",
    "the command after the current page; the command then prints how to continue.",
)
REPLAY: BulkCall[Any] = BulkCall(
    "replayed",
    "made again",
    "nothing was made of these",
    lambda server: server.deliveries.replay_deliveries,
)


def replay(
    *,
    ids: Ids = None,
    state: Annotated[
        list[State] | None,
        typer.Option(
            help="Only deliveries in this state: delivered, dead or cancelled. Repeatable. Default: all"
            " three."
        ),
    ] = None,
    target: TargetFilter = "",
    event_type: EventType = "",
    event_id: EventIdFilter = "",
    since: Since = "",
    until: Until = "",
    include_replayed: Annotated[
        bool,
        typer.Option(
            "--include-replayed", help="Also deliveries with an open or delivered replay."
        ),
    ] = False,
    resume: Annotated[
        str, typer.Option(metavar="TOKEN", help="Continue a stopped command with the same filters.")
    ] = "",
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replay deliveries by ids or filters. Each goes to its target with the current settings."""
    from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

    for name in state or ():
        if name not in FINAL:
            raise typer.BadParameter(
                f"{name} deliveries are open, and open deliveries are not replayed: use `outrider"
                " delivery retry` to have them attempted now",
                param_hint="--state",
            )
    selected = filters(state, target, event_type, event_id, since=since, until=until)
    check_selection(ids, selected, resume)
    server = connect(url, token, data_dir)
    if ids:
        response = run_ids(server, REPLAY, ReplayDeliveriesRequest, ids)
    else:
        request = ReplayDeliveriesRequest(
            **selected, page_token=resume, include_replayed=include_replayed
        )
        response = run_found(server, REPLAY, request, state or FINAL, yes=yes)
    print_result(response, REPLAY, as_json=as_json)
