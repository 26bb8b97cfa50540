# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider delivery retry` and `cancel`: have open deliveries attempted now, or stop them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from outrider.cli.commands.delivery.page_run import BulkCall
from outrider.cli.commands.delivery.selection import (
    EventIdFilter,
    EventType,
    Everything,
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
from outrider.cli.commands.delivery.states import FINAL, OPEN, STATE_PREFIX, State
from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, short_enum, text_of

RETRY_EXAMPLES = examples(
    "outrider delivery retry 336392597046099971",
    "outrider delivery retry --target 336392597046099971",
    "outrider delivery retry --all --yes",
    "",
    "A delivery keeps its id and its retry schedule. A delivery that waits for another delivery keeps",
    "waiting. outrider still does not call a target that is paused or whose breaker is open.",
)
CANCEL_EXAMPLES = examples(
    "outrider delivery cancel 336392597046099971",
    "outrider delivery cancel --target 336392597046099971 --state retrying",
    "outrider delivery cancel --event-type user.human.added --since 3h --yes",
    "",
    "The command cancels the newest deliveries first. Workers can attempt due deliveries before the",
    "command reaches them. To prevent this, pause the target first.",
)
RETRY: BulkCall[Any] = BulkCall(
    "due now",
    "due now",
    "None of these was made due",
    lambda server: server.deliveries.retry_deliveries,
)
CANCEL: BulkCall[Any] = BulkCall(
    "cancelled",
    "cancelled",
    "None of these was cancelled",
    lambda server: server.deliveries.cancel_deliveries,
)

Resume = Annotated[
    str, typer.Option(metavar="TOKEN", help="Continue a stopped command with the same filters.")
]


def retry(
    *,
    ids: Ids = None,
    state: Annotated[
        list[State] | None,
        typer.Option(help="Only deliveries in this state: pending or retrying. Default: both."),
    ] = None,
    target: TargetFilter = "",
    event_type: EventType = "",
    event_id: EventIdFilter = "",
    since: Since = "",
    until: Until = "",
    everything: Everything = False,
    resume: Resume = "",
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Attempt waiting deliveries now, by ids or filters."""
    from outrider_api.outrider.v1.delivery_service_pb import RetryDeliveriesRequest

    for name in state or ():
        _check_open(name, "use `outrider delivery replay` to make them again")
        if name == State.DELIVERING:
            raise typer.BadParameter(
                "an attempt of these deliveries is running: give --state pending or --state retrying",
                param_hint="--state",
            )
    waiting = (State.PENDING, State.RETRYING)
    states = _states(state, waiting, everything=everything)
    selected = filters(states, target, event_type, event_id, since=since, until=until)
    check_selection(ids, selected, resume)
    server = connect(url, token, data_dir)
    if ids:
        response = run_ids(server, RETRY, RetryDeliveriesRequest, ids)
    else:
        request = RetryDeliveriesRequest(**selected, page_token=resume)
        response = run_found(server, RETRY, request, states or waiting, yes=yes)
    if response.get("suspended"):
        note(
            f"{response['suspended']} of them wait: their target is paused, or its breaker is open."
            " See `outrider delivery stats`."
        )
    print_result(response, RETRY, as_json=as_json)


def cancel(
    *,
    ids: Ids = None,
    state: Annotated[
        list[State] | None,
        typer.Option(
            help="Only deliveries in this state: pending, delivering or retrying. Default: all three."
        ),
    ] = None,
    target: TargetFilter = "",
    event_type: EventType = "",
    event_id: EventIdFilter = "",
    since: Since = "",
    until: Until = "",
    everything: Everything = False,
    resume: Resume = "",
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cancel open deliveries. If an attempt is running, it is the last attempt."""
    from outrider_api.outrider.v1.delivery_service_pb import CancelDeliveriesRequest

    for name in state or ():
        _check_open(name, "nothing of them is left to cancel")
    states = _states(state, OPEN, everything=everything)
    selected = filters(states, target, event_type, event_id, since=since, until=until)
    check_selection(ids, selected, resume)
    server = connect(url, token, data_dir)
    if ids and len(ids) == 1:
        _cancel_one(server, ids[0], as_json=as_json)
        return
    if ids:
        response = run_ids(server, CANCEL, CancelDeliveriesRequest, ids)
    else:
        request = CancelDeliveriesRequest(**selected, page_token=resume)
        response = run_found(server, CANCEL, request, states or OPEN, yes=yes)
    if response.get("attemptRunning"):
        note(f"{response['attemptRunning']} of them have a running attempt, which is their last.")
    print_result(response, CANCEL, as_json=as_json)


def _cancel_one(server: RemoteServer, delivery_id: str, *, as_json: bool) -> None:
    """Cancel one, and say what it is then: one that is finished is an error."""
    from outrider_api.outrider.v1.delivery_service_pb import CancelDeliveryRequest

    response = server.call(
        server.deliveries.cancel_delivery,
        CancelDeliveryRequest(id=delivery_id),
        advice="See `outrider delivery list`.",
    )
    if as_json:
        print_json(response)
        return
    state = short_enum(text_of(response.get("delivery", {}), "state"), STATE_PREFIX)
    print(state if state == State.CANCELLED else f"{state}; not tried again after this attempt")


def _check_open(state: State, advice: str) -> None:
    if state in FINAL:
        raise typer.BadParameter(f"{state} deliveries are finished: {advice}", param_hint="--state")


def _states(
    state: Sequence[State] | None, all_of_them: Sequence[State], *, everything: bool
) -> Sequence[State]:
    if everything and state:
        raise typer.BadParameter("give either --all or --state")
    return all_of_them if everything else state or ()
