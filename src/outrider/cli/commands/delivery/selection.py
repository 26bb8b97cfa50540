# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Select the deliveries of a command by ids or filters, ask first, and print the result."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.commands.delivery.page_run import BulkCall, PageRun, RequestT, total
from outrider.cli.commands.delivery.states import SKIP_PREFIX, STATE_PREFIX, State
from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import note, print_json, short_enum
from outrider.cli.terminal.parsing import parse_past

if TYPE_CHECKING:
    from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

MAX_IDS = 1000

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...")]
TargetFilter = Annotated[
    str, typer.Option("--target", metavar="ID", help="Only deliveries to this target.")
]
EventType = Annotated[
    str, typer.Option("--event-type", metavar="TYPE", help="Only deliveries of this event type.")
]
EventIdFilter = Annotated[
    str, typer.Option("--event-id", metavar="ID", help="Only deliveries of this event.")
]
Since = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Created at or after this time: 2h (ago), or 2030-01-31T12:00:00Z."
    ),
]
Until = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Created before this time: 1h (ago), or 2030-01-31T12:00:00Z."
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="All open deliveries.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

_SIGNALLED = 128
_REASONS = {
    "open": "not finished: `outrider delivery retry` makes them due",
    "finished": "finished: `outrider delivery replay` replays them",
    "target_deleted": "their target is deleted",
    "replayed": "replayed before: --include-replayed replays them again",
    "attempt_running": "an attempt is running",
    "waiting": "they wait for another delivery, in the order of their execution or aggregate",
    "due": "due already: they wait for a worker, or for a suspended or limited target",
}


def past_timestamp(text: str, option: str) -> Timestamp | None:
    """Return the time of `--since` or `--until`; None when it was not given."""
    from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

    from outrider.runtime import utc_now

    return Timestamp.from_datetime(parse_past(text, option, utc_now())) if text else None


def filters(
    states: Sequence[State] | None,
    target: str,
    event_type: str,
    event_id: str,
    *,
    since: str,
    until: str,
) -> dict[str, Any]:
    """The fields of a request that filters."""
    from outrider_api.outrider.v1.delivery_service_pb import DeliveryState

    return {
        "states": [DeliveryState[name.upper()] for name in states or ()],
        "target_id": target,
        "event_type": event_type,
        "event_id": event_id,
        "created_since": past_timestamp(since, "--since"),
        "created_until": past_timestamp(until, "--until"),
    }


def check_selection(ids: Sequence[str] | None, selected: Mapping[str, Any], resume: str) -> None:
    """Raise `BadParameter` unless there are either ids or filters."""
    if bool(ids) == any(selected.values()) or (ids and resume):
        raise typer.BadParameter("give either ids, or filters such as --state dead")


def run_ids(
    server: RemoteServer, call: BulkCall[Any], make_request: type[Any], ids: Sequence[str]
) -> dict[str, Any]:
    """Call it with all ids, as many at a time as it takes."""
    advice = f"{call.nothing}; see `outrider delivery list`"
    return total(
        call(server, make_request(ids=[*ids[first : first + MAX_IDS]]), advice)
        for first in range(0, len(ids), MAX_IDS)
    )


def run_found(
    server: RemoteServer,
    call: BulkCall[RequestT],
    request: RequestT,
    counted_states: Sequence[State],
    *,
    yes: bool,
) -> dict[str, Any]:
    """Call it with filters, page by page, after the operator has agreed."""
    expected = _estimate_count(server, request, counted_states)
    if not (yes or request.page_token):
        _confirm(expected, call)
    return PageRun(server, call, request, expected).run()


def print_result(response: dict[str, Any], call: BulkCall[Any], *, as_json: bool) -> None:
    """Print how many were changed, how many were not, and why.

    Exit as a shell reports the signal that stopped it before its end.
    """
    stopped_by = response.pop("signal", 0)
    if as_json:
        print_json(response)
    else:
        print(f"{response['deliveries']} {call.done}, {response['skipped']} skipped")
        for skip in response.get("skips", ()):
            reason = short_enum(skip["reason"], SKIP_PREFIX)
            note(f"{skip['count']} skipped: {_REASONS.get(reason, reason)}")
        if not response["deliveries"] + response["skipped"]:
            note("Nothing was found. See `outrider delivery list` with the same filters.")
    if response.get("nextPageToken"):
        note(
            f"Stopped. To continue, run the same command with --resume {response['nextPageToken']}"
        )
        raise typer.Exit(_SIGNALLED + stopped_by)


def _estimate_count(
    server: RemoteServer, request: Any, counted_states: Sequence[State]
) -> int | None:
    """Return how many deliveries in these states the filters find; None when the server cannot tell."""
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
    return sum(
        int(count["count"])
        for count in stats.get("counts", ())
        if short_enum(count["state"], STATE_PREFIX) in counted_states
    )


def _confirm(expected: int | None, call: BulkCall[Any]) -> None:
    many = "All that are found" if expected is None else f"{expected} deliveries"
    print(f"{many} will be {call.prospect}. Continue? [y/N] ", end="", file=sys.stderr, flush=True)
    reply = sys.stdin.readline() if sys.stdin else ""  # None: started with it closed
    if reply.strip().lower() not in {"y", "yes"}:
        raise CommandError(f"nothing was {call.done}", "answer y, or give --yes")
