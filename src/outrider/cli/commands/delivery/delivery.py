# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider delivery`: list and show deliveries and their attempts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.commands.delivery import delivery_stats, open_deliveries, replay
from outrider.cli.commands.delivery.states import OUTCOME_PREFIX, STATE_PREFIX, State
from outrider.cli.commands.targets.target_status import (
    suspension_of,
    suspension_state,
    suspension_times,
)
from outrider.cli.remote.client import RemoteServer
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import (
    note,
    pretty_body,
    print_fields,
    print_json,
    print_table,
    short_enum,
    short_time,
    text_of,
)

if TYPE_CHECKING:
    from outrider_api.outrider.v1.delivery_service_pb import ListDeliveriesRequest

app = CommandGroup(help="List, replay, retry and cancel deliveries.", no_args_is_help=True)

MAX_PAGE = 1000


@app.command(
    "list",
    epilog=examples(
        "outrider delivery list",
        "outrider delivery list --state dead --state retrying",
        "outrider delivery list --target 336392597046099971 --all --json",
    ),
)
def list_deliveries(
    *,
    state: Annotated[
        list[State] | None, typer.Option(help="Only deliveries in this state. Repeatable.")
    ] = None,
    target: Annotated[str, typer.Option(metavar="ID", help="Only deliveries to this target.")] = "",
    event_type: Annotated[
        str, typer.Option(metavar="TYPE", help="Only deliveries of this event type.")
    ] = "",
    event_id: Annotated[
        str, typer.Option(metavar="ID", help="Only deliveries of this event.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=MAX_PAGE, metavar="N", help="Most entries to list.")
    ] = 50,
    everything: Annotated[
        bool, typer.Option("--all", help="List all deliveries, without a limit.")
    ] = False,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""
    from outrider_api.outrider.v1.delivery_service_pb import DeliveryState, ListDeliveriesRequest

    request = ListDeliveriesRequest(
        states=[DeliveryState[name.upper()] for name in state or ()],
        target_id=target,
        event_type=event_type,
        event_id=event_id,
        page_size=MAX_PAGE if everything else limit,
    )
    response = _read_all_pages(server, request) if everything else _read_page(server, request)
    if as_json:
        print_json(response)
        return
    _print_deliveries(response)
    if response.get("nextPageToken"):
        note(f"There are more than {limit}: use --limit, a filter, or --all.")


@app.command("get", epilog=examples("outrider delivery get 336392597046099971"))
def get_delivery(
    *,
    delivery_id: Annotated[str, typer.Argument(metavar="ID")],
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Show one delivery with its attempts and the payload that outrider signs and sends."""
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryRequest

    response = server.call(
        server.deliveries.get_delivery,
        GetDeliveryRequest(id=delivery_id),
        advice="see `outrider delivery list`",
    )
    if as_json:
        print_json(response)
        return
    delivery = response.get("delivery", {})
    print_fields(
        {
            "id": text_of(delivery, "id"),
            "state": short_enum(text_of(delivery, "state"), STATE_PREFIX),
            "event": f"{text_of(delivery, 'eventType')} ({text_of(delivery, 'eventId')})",
            "target": text_of(delivery, "targetId"),
            "execution": text_of(delivery, "execution"),
            "replay of": text_of(delivery, "replayOf"),
            "created": short_time(text_of(delivery, "createdAt")),
            "next attempt": short_time(text_of(delivery, "nextAttemptAt")),
            "suspended": _describe_suspension(server, delivery),
            "finished": short_time(text_of(delivery, "finishedAt")),
        }
    )
    print("\nAttempts")
    print_attempts(delivery)
    print("\nPayload")
    print(pretty_body(base64.b64decode(text_of(delivery, "payload"))))


app.command("replay", epilog=replay.REPLAY_EXAMPLES)(replay.replay)
app.command("retry", epilog=open_deliveries.RETRY_EXAMPLES)(open_deliveries.retry)
app.command("cancel", epilog=open_deliveries.CANCEL_EXAMPLES)(open_deliveries.cancel)
app.command("stats", epilog=delivery_stats.STATS_EXAMPLES)(delivery_stats.stats)


def _describe_suspension(server: RemoteServer, delivery: Mapping[str, Any]) -> str:
    """Return why a due attempt is not made: its target is suspended, and since or until when."""
    from outrider_api.outrider.v1.target_policy_service_pb import GetTargetPolicyRequest

    if short_enum(text_of(delivery, "state"), STATE_PREFIX) not in {State.PENDING, State.RETRYING}:
        return ""
    request = GetTargetPolicyRequest(target_id=text_of(delivery, "targetId"))
    try:
        suspension = suspension_of(server.call(server.policies.get_target_policy, request))
    except CommandError:
        # The account may see deliveries but perhaps not policies; the rest is of use without it.
        return ""
    state = suspension_state(suspension)
    return f"{state}, {suspension_times(suspension)}" if state else ""


def print_attempts(delivery: Mapping[str, Any], *, indent: int = 0) -> None:
    """The attempts of a delivery as a table, oldest first."""
    print_table(
        ("#", "STARTED", "TOOK", "OUTCOME", "STATUS", "STAGE", "ERROR OR ANSWER"),
        [
            (
                text_of(attempt, "number"),
                short_time(text_of(attempt, "startedAt")),
                text_of(attempt, "duration"),
                short_enum(text_of(attempt, "outcome"), OUTCOME_PREFIX),
                text_of(attempt, "statusCode") or "-",
                text_of(attempt, "stage"),
                text_of(attempt, "error") or _body_prefix(attempt),
            )
            for attempt in delivery.get("attempts", ())
        ],
        empty="None yet.",
        indent=indent,
    )


def _read_page(server: RemoteServer, request: ListDeliveriesRequest) -> dict[str, Any]:
    return server.call(server.deliveries.list_deliveries, request)


def _read_all_pages(server: RemoteServer, request: ListDeliveriesRequest) -> dict[str, Any]:
    """All pages as one."""
    deliveries: list[Any] = []
    while True:
        page = _read_page(server, request)
        deliveries += page.get("deliveries", ())
        request.page_token = page.get("nextPageToken", "")
        if not request.page_token:
            return {"deliveries": deliveries}


def _print_deliveries(response: Mapping[str, Any]) -> None:
    print_table(
        ("ID", "STATE", "EVENT TYPE", "EVENT", "TARGET", "ATTEMPTS", "CREATED", "NEXT ATTEMPT"),
        [
            (
                text_of(delivery, "id"),
                short_enum(text_of(delivery, "state"), STATE_PREFIX),
                text_of(delivery, "eventType"),
                text_of(delivery, "eventId"),
                text_of(delivery, "targetId"),
                text_of(delivery, "attemptCount") or "0",
                short_time(text_of(delivery, "createdAt")),
                short_time(text_of(delivery, "nextAttemptAt")),
            )
            for delivery in response.get("deliveries", ())
        ],
        empty="There are no such deliveries.",
    )


def _body_prefix(attempt: Mapping[str, Any]) -> str:
    body = base64.b64decode(text_of(attempt, "responseBodyPrefix")).decode("utf-8", "replace")
    first, _, rest = body.strip().partition("\n")
    return f"{first} …" if rest else first
