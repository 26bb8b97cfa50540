# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider delivery replay` and `cancel`: make deliveries again, or stop one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.commands.delivery.replay_progress import ReplayRun
from outrider.cli.commands.delivery.states import STATE_PREFIX, State
from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, short_enum, text_of
from outrider.cli.terminal.parsing import parse_past

if TYPE_CHECKING:
    from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

    from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

REPLAY_EXAMPLES = examples(
    "outrider delivery replay 336392597046099971",
    "outrider delivery replay --state dead --target 336392597046099971",
    "outrider delivery replay --since 3h --until 1h --event-type user.human.added --yes",
    "",
    "Finished deliveries are made again, those that are open are skipped. Ctrl-C stops after the",
    "page that is under way, and says how to go on.",
)
CANCEL_EXAMPLES = examples("outrider delivery cancel 336392597046099971")
MAX_IDS = 1000
FINAL = (State.DELIVERED, State.DEAD, State.CANCELLED)

Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="Made since then: 2h (ago), or 2030-01-31T12:00:00Z."),
]
Until = Annotated[
    str,
    typer.Option(metavar="TIME", help="Made before then: 1h (ago), or 2030-01-31T12:00:00Z."),
]


def replay(
    *,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    state: Annotated[
        list[State] | None,
        typer.Option(help="Only of this state. Give it more than once. Default: all finished."),
    ] = None,
    target: Annotated[str, typer.Option(metavar="ID", help="Only to this target.")] = "",
    event_type: Annotated[str, typer.Option(metavar="TYPE", help="Only of this type.")] = "",
    event_id: Annotated[str, typer.Option(metavar="ID", help="Only of this event.")] = "",
    since: Since = "",
    until: Until = "",
    resume: Annotated[
        str, typer.Option(metavar="TOKEN", help="Go on where a replay with these filters stopped.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Deliver again by ids or filters, each to its target as it is now."""
    from outrider_api.outrider.v1.delivery_service_pb import DeliveryState, ReplayDeliveriesRequest

    request = ReplayDeliveriesRequest(
        states=[DeliveryState[name.upper()] for name in state or ()],
        target_id=target,
        event_type=event_type,
        event_id=event_id,
        created_since=past_timestamp(since, "--since"),
        created_until=past_timestamp(until, "--until"),
        page_token=resume,
    )
    is_filter = request != ReplayDeliveriesRequest(page_token=resume)
    if bool(ids) == is_filter or (ids and resume):
        raise typer.BadParameter("give either ids, or filters such as --state dead")
    server = connect(url, token, data_dir)
    if ids:
        response = _replay_ids(server, ids)
    else:
        expected = _estimate_count(server, request, state or ())
        if not (yes or resume):
            _confirm(expected)
        response = ReplayRun(server, request, expected).run()
    _print_result(response, as_json=as_json)


def cancel(
    *,
    delivery_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop a delivery that is not finished. An attempt that is under way is its last."""
    from outrider_api.outrider.v1.delivery_service_pb import CancelDeliveryRequest

    server = connect(url, token, data_dir)
    response = server.call(
        server.deliveries.cancel_delivery,
        CancelDeliveryRequest(id=delivery_id),
        advice="see `outrider delivery list`",
    )
    if as_json:
        print_json(response)
        return
    state = short_enum(text_of(response.get("delivery", {}), "state"), STATE_PREFIX)
    print(state if state == State.CANCELLED else f"{state}; not tried again after this attempt")


def past_timestamp(text: str, option: str) -> Timestamp | None:
    """What `--since` and `--until` mean; None when they were not given."""
    from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

    from outrider.runtime import utc_now

    return Timestamp.from_datetime(parse_past(text, option, utc_now())) if text else None


def _replay_ids(server: RemoteServer, ids: Sequence[str]) -> dict[str, Any]:
    from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

    replayed = skipped = 0
    for first in range(0, len(ids), MAX_IDS):
        response = server.call(
            server.deliveries.replay_deliveries,
            ReplayDeliveriesRequest(ids=[*ids[first : first + MAX_IDS]]),
            advice="nothing was made of these",
        )
        replayed += response.get("deliveries", 0)
        skipped += response.get("skipped", 0)
    return {"deliveries": replayed, "skipped": skipped}


def _estimate_count(
    server: RemoteServer, request: ReplayDeliveriesRequest, states: Sequence[State]
) -> int | None:
    """How many finished deliveries the filters find; None when the server cannot tell."""
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    if request.event_id or request.page_token:
        return None
    stats = server.call(
        server.deliveries.get_delivery_stats,
        GetDeliveryStatsRequest(
            target_id=request.target_id,
            event_type=request.event_type,
            created_since=request.created_since,
            created_until=request.created_until,
        ),
    )
    if stats.get("partial"):
        return None
    counted_states = states or FINAL
    return sum(
        int(count["count"])
        for count in stats.get("counts", ())
        if short_enum(count["state"], STATE_PREFIX) in counted_states
    )


def _confirm(expected: int | None) -> None:
    many = "All that are found" if expected is None else f"{expected} deliveries"
    print(f"{many} will be made again. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    reply = sys.stdin.readline() if sys.stdin else ""  # None: started with it closed
    if reply.strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was replayed", "answer y, or give --yes")


def _print_result(response: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(response)
    else:
        print(f"{response['deliveries']} replayed, {response['skipped']} skipped")
    if response.get("nextPageToken"):
        note(f"Stopped. To go on: the same command with --resume {response['nextPageToken']}")
        raise typer.Exit(ExitCode.INTERRUPTED)
