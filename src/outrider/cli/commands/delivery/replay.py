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
    "Finished deliveries are made again, those that are open are skipped. Filters leave out what has",
    "a replay that is open or was delivered: the same command again makes no second copy. Ctrl-C",
    "stops after the page that is under way, and says how to go on.",
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
            help="Only of this state: delivered, dead or cancelled. Give it more than once."
            " Default: all finished."
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
            "--include-replayed", help="Also what has a replay that is open or was delivered."
        ),
    ] = False,
    resume: Annotated[
        str, typer.Option(metavar="TOKEN", help="Go on where a replay with these filters stopped.")
    ] = "",
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Deliver again by ids or filters, each to its target as it is now."""
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
