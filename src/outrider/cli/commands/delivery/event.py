# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider event`: publish events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import batches_of, read_events, read_payload
from outrider.cli.terminal.message_text import message_from_json
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, print_table, text_of
from outrider.cli.terminal.parsing import parse_instant
from outrider.domain.hops import HOPS_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outrider_api.outrider.v1.event_service_pb import Event

Wait = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Wait for the first attempts and show them. Exit with 1 unless all were accepted.",
    ),
]

Hops = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Outrider-Hops of the call that caused this event. Stops event loops.",
    ),
]

app = typer.Typer(help="Publish events.", no_args_is_help=True)


@app.callback()
def event() -> None:
    """Publish events."""


EventId = Annotated[
    str,
    typer.Option("--id", metavar="ID", help="Event id. outrider stores an event id only once."),
]
ResourceOwner = Annotated[str, typer.Option(metavar="ID", help="Id of the owner of the aggregate.")]
CreatedAt = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Time of the event, such as 2030-01-31T12:00:00Z. Default: now."
    ),
]


@app.command(
    "publish",
    epilog=examples(
        """outrider event publish user.human.added --payload '{"userName": "ada"}'""",
        "outrider event publish user.human.added --wait      (shows the responses of the targets)",
        "outrider event publish order.paid --id order-17-paid --payload @order.json",
        "outrider event publish --file events.jsonl",
        "produce-events | outrider event publish --file -",
        "",
        'In a file: {"eventType": "order.paid", "id": "17", "eventPayload": {"total": 5}}',
        "as a JSON list, or one event per line.",
    ),
)
def publish(
    *,
    event_type: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="Event type, such as user.human.added.")
    ] = None,
    payload: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="Payload of the event, a JSON object."),
    ] = None,
    event_id: EventId = "",
    aggregate_id: Annotated[str, typer.Option(metavar="ID", help="Id of the aggregate.")] = "",
    aggregate_type: Annotated[
        str, typer.Option(metavar="TYPE", help="Type of the aggregate.")
    ] = "",
    resource_owner: ResourceOwner = "",
    user_id: Annotated[
        str, typer.Option(metavar="ID", help="Id of the user who caused the event.")
    ] = "",
    version: Annotated[str, typer.Option(metavar="TEXT", help="Version of the aggregate.")] = "",
    sequence: Annotated[
        int, typer.Option(min=0, metavar="N", help="Sequence number of the event in the aggregate.")
    ] = 0,
    created_at: CreatedAt = "",
    hops: Hops = 0,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Publish all events of a file.")
    ] = None,
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish one event, or all events of a file. The command returns when they are on disk."""
    given = {
        "id": event_id,
        "aggregateId": aggregate_id,
        "aggregateType": aggregate_type,
        "resourceOwner": resource_owner,
        "userId": user_id,
        "version": version,
        "sequence": str(sequence) if sequence else "",
        "createdAt": parse_instant(created_at, "--created-at").isoformat() if created_at else "",
    }
    events = _events_from_options(event_type, payload, given, file)
    server = connect(url, token, data_dir)
    results = _publish_all(server, _check_wait_limit(events) if wait else events, hops)
    if wait:
        _wait_and_print_attempts(server, results, as_json=as_json)
    elif as_json:
        print_json({"results": results})
    else:
        _print_results(results)


def _events_from_options(
    event_type: str | None, payload: str | None, given: dict[str, str], file: str | None
) -> Sequence[Event]:
    from outrider_api.outrider.v1.event_service_pb import Event

    given = {name: value for name, value in given.items() if value}
    if file is not None:
        if event_type is not None or payload is not None or given:
            raise typer.BadParameter(
                "--file goes with no other description of an event: give one of them"
            )
        return read_events(file)
    if event_type is None:
        raise typer.BadParameter("give the type of the event, or --file")
    if payload is not None:
        given["eventPayloadJson"] = read_payload(payload)
    try:
        return [message_from_json(json.dumps({"eventType": event_type, **given}), Event)]
    except ValueError as error:
        # Only a number or a time can be out of the wire's bounds.
        raise typer.BadParameter(str(error)) from None


def _check_wait_limit(events: Sequence[Event]) -> Sequence[Event]:
    from outrider.cli.commands.delivery.publish_wait import MAX_EVENTS

    if len(events) > MAX_EVENTS:
        raise typer.BadParameter(
            f"--wait is for at most {MAX_EVENTS} events: leave it out, or publish fewer"
        )
    return events


def _wait_and_print_attempts(
    server: RemoteServer, results: Sequence[dict[str, Any]], *, as_json: bool
) -> None:
    from outrider.cli.commands.delivery.publish_wait import (
        all_delivered,
        first_attempts,
        print_first_attempts,
    )

    if not as_json:
        _print_results(results)
    deliveries = first_attempts(server, results)
    if as_json:
        print_json({"results": results, "deliveries": deliveries})
    else:
        print_first_attempts(deliveries)
    if not all_delivered(deliveries):
        raise typer.Exit(ExitCode.FAILED)


def _publish_all(server: RemoteServer, events: Sequence[Event], hops: int) -> list[dict[str, Any]]:
    """One result for each event, in order.

    Raises:
        CommandError: naming how many were published before the call that failed.
    """
    from outrider_api.outrider.v1.event_service_pb import PublishEventsRequest

    results: list[dict[str, Any]] = []
    for batch in batches_of(events):
        try:
            response = server.call(
                server.events.publish_events,
                PublishEventsRequest(events=batch),
                headers={HOPS_HEADER: str(hops)} if hops else None,
            )
        except CommandError as error:
            if results:
                error.advice = f"The first {len(results)} of {len(events)} events are published."
            raise
        results += response.get("results", ())
        if len(results) < len(events):
            note(f"{len(results)} of {len(events)} published")
    return results


def _print_results(results: Sequence[dict[str, Any]]) -> None:
    print_table(
        ("EVENT", "DELIVERIES", ""),
        [
            (
                text_of(result, "id"),
                text_of(result, "deliveries") or "0",
                "duplicate: nothing was stored" if result.get("duplicate") else "",
            )
            for result in results
        ],
        empty="Nothing was published.",
    )
    if not any(result.get("deliveries") for result in results):
        note("No execution matches: see `outrider execution list`.")
