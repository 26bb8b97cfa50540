# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target update`: change a target, or the key that its calls are signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.commands.targets.target_status import (
    Kind,
    Payload,
    interrupts,
    kind_of,
    type_message,
)
from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_fields, print_json, short_time, text_of
from outrider.cli.terminal.parsing import parse_duration

if TYPE_CHECKING:
    from protobuf.wkt import Duration

EXAMPLES = examples(
    "outrider target update 336392597046099971 --endpoint https://new.example.com/audit",
    "outrider target update 336392597046099971 --type call --no-interrupt-on-error",
    "outrider target update 336392597046099971 --rotate-key --grace 24h",
    "outrider target update 336392597046099971 --rotate-key --grace 0s",
    "",
    "The command changes only the given options. During the grace period of a rotated key, calls",
    "have a signature of each key. Give the new key to the receiver in this period.",
)

DEFAULT_GRACE = "1h"
ADVICE = "see `outrider target list`"


Interrupts = Annotated[
    bool | None,
    typer.Option(
        "--interrupt-on-error/--no-interrupt-on-error",
        help="Whether a failure interrupts the intercepted call.",
    ),
]
Grace = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help=f"How long the old key also signs; at most 7d. Default: {DEFAULT_GRACE}.",
    ),
]


def update_target(
    *,
    target_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="New name of the target.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="URL that outrider calls.")
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option("--type", help="Type of the target, as for create.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Time limit of one call, such as 500ms."),
    ] = None,
    interrupt_on_error: Interrupts = None,
    payload_type: Annotated[
        Payload | None, typer.Option(help="Format of the request body.")
    ] = None,
    rotate_key: Annotated[
        bool, typer.Option("--rotate-key", help="Create a new signing key and print it.")
    ] = False,
    grace: Grace = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a target. The new values also apply to open deliveries."""
    if grace is not None and not rotate_key:
        raise typer.BadParameter(
            "only a rotated key has one: give --rotate-key too", param_hint="--grace"
        )
    if kind is Kind.ASYNC and interrupt_on_error:
        raise typer.BadParameter(
            "no caller waits for an async target: leave out --interrupt-on-error"
        )
    kept = grace or DEFAULT_GRACE
    given = {
        "name": name,
        "endpoint": endpoint,
        "timeout": _duration(timeout, "--timeout"),
        "payload_type": _payload_type(payload_type),
        "expiration_signing_key": _duration(kept, "--grace") if rotate_key else None,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes and kind is None and interrupt_on_error is None:
        raise typer.BadParameter("say what is to change")
    server = connect(url, token, data_dir)
    if kind is not None or interrupt_on_error is not None:
        changes["target_type"] = _type_message(server, target_id, kind, interrupt_on_error)
    _send_update(server, target_id, changes, kept, as_json=as_json)


def _send_update(
    server: RemoteServer, target_id: str, changes: dict[str, Any], grace: str, *, as_json: bool
) -> None:
    from outrider_api.zitadel.action.v2.action_service_pb import UpdateTargetRequest

    request = UpdateTargetRequest(id=target_id, **changes)
    response = server.call(server.actions.update_target, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    signing_key = text_of(response, "signingKey")
    print_fields(
        {"changed": short_time(text_of(response, "changeDate")), "signing key": signing_key}
    )
    if signing_key:
        old = f"also signs for {grace}" if parse_duration(grace, "--grace") else "no longer signs"
        note(f"Give the new key to the receiver. The old key {old}.")


def _type_message(
    server: RemoteServer, target_id: str, kind: Kind | None, interrupt_on_error: bool | None
) -> Any:
    """The API changes both together: what is not named stays as the server has it."""
    if kind is None or interrupt_on_error is None:
        target = _read_target(server, target_id)
        kind = kind or kind_of(target)
        if kind is None:
            raise CommandError(f"target {target_id} is of an unknown kind", "name it with --type")
        if interrupt_on_error is None:
            interrupt_on_error = interrupts(target) and kind is not Kind.ASYNC
    return type_message(kind, interrupt_on_error=interrupt_on_error)


def _read_target(server: RemoteServer, target_id: str) -> dict[str, Any]:
    from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest

    request = GetTargetRequest(id=target_id)
    target: dict[str, Any] = server.call(server.actions.get_target, request, advice=ADVICE)[
        "target"
    ]
    return target


def _payload_type(chosen: Payload | None) -> Any:
    from outrider_api.zitadel.action.v2.target_pb import PayloadType

    return None if chosen is None else PayloadType[chosen.upper()]


def _duration(text: str | None, option: str) -> Duration | None:
    from protobuf.wkt import Duration

    return None if text is None else Duration.from_timedelta(parse_duration(text, option))
