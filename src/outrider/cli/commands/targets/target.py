# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target`: where to call, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.commands.targets import (
    policy,
    sample_call,
    target_delete,
    target_key,
    target_update,
)
from outrider.cli.commands.targets.target_status import (
    MAX_SUSPENDED,
    Kind,
    Payload,
    Suspension,
    fetch_suspensions,
    interrupts,
    kind_of,
    suspension_state,
    type_message,
)
from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_table,
    printable,
    short_enum,
    short_time,
    text_of,
)
from outrider.cli.terminal.parsing import parse_duration

if TYPE_CHECKING:
    from outrider_api.zitadel.action.v2.action_service_pb import CreateTargetRequest

app = typer.Typer(help="Manage targets: the URLs that outrider calls.", no_args_is_help=True)
app.add_typer(policy.app, name="policy")
app.add_typer(target_key.app, name="key")
app.command("delete", epilog=target_delete.EXAMPLES)(target_delete.delete_target)
app.command("update", epilog=target_update.EXAMPLES)(target_update.update_target)
app.command("pause", epilog=policy.PAUSE_EXAMPLES)(policy.pause_target)
app.command("resume", epilog=policy.RESUME_EXAMPLES)(policy.resume_target)
app.command("test", epilog=sample_call.EXAMPLES)(sample_call.send_sample_call)

MAX_PAGE = 1000


@app.command(
    "list",
    epilog=examples("outrider target list", "outrider target list --name audit --json"),
)
def list_targets(
    *,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="Only targets whose name contains this text.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=MAX_PAGE, metavar="N", help="Most entries to list.")
    ] = 100,
    offset: Annotated[int, typer.Option(min=0, metavar="N", help="Number of entries to skip.")] = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List targets, newest first. The list shows which targets are suspended."""
    from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    server = connect(url, token, data_dir)
    request = ListTargetsRequest(
        pagination=PaginationRequest(limit=limit, offset=offset),
        filters=[_name_filter(name)] if name else [],
    )
    response = server.call(server.actions.list_targets, request)
    suspensions = _try_to_fetch_suspensions(server) if response.get("targets") else {}
    if as_json:
        targets = [
            {**target, **suspensions.get(text_of(target, "id"), {})}
            for target in _targets(response)
        ]
        print_json({**response, "targets": targets} if targets else response)
        return
    print_table(
        ("ID", "NAME", "TYPE", "ENDPOINT", "TIMEOUT", "PAYLOAD", "STATE"),
        [
            (
                text_of(target, "id"),
                text_of(target, "name"),
                _describe_kind(target),
                text_of(target, "endpoint"),
                text_of(target, "timeout"),
                _describe_payload(target),
                suspension_state(suspensions.get(text_of(target, "id"), {})),
            )
            for target in _targets(response)
        ],
        empty="There are no such targets. Create one with `outrider target create`.",
    )


@app.command("get", epilog=examples("outrider target get 336392597046099971"))
def get_target(
    *,
    target_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one target with its signing key."""
    from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest

    server = connect(url, token, data_dir)
    response = server.call(
        server.actions.get_target,
        GetTargetRequest(id=target_id),
        advice="see `outrider target list`",
    )
    if as_json:
        print_json(response)
        return
    target = response.get("target", {})
    print_fields(
        {
            "id": text_of(target, "id"),
            "name": text_of(target, "name"),
            "type": _describe_kind(target),
            "endpoint": text_of(target, "endpoint"),
            "timeout": text_of(target, "timeout"),
            "payload": _describe_payload(target),
            "signing key": text_of(target, "signingKey"),
            "created": short_time(text_of(target, "creationDate")),
            "changed": short_time(text_of(target, "changeDate")),
        }
    )


@app.command(
    "create",
    epilog=examples(
        "outrider target create audit --endpoint https://hooks.example.com/audit",
        "outrider target create enrich --endpoint https://example.com/e --type call --timeout 2s",
    ),
)
def create_target(
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the target. It must be unique; case is ignored."
        ),
    ],
    endpoint: Annotated[str, typer.Option(metavar="URL", help="URL that outrider calls.")],
    kind: Annotated[
        Kind,
        typer.Option(
            "--type",
            help="webhook: outrider uses the status of the response; call: also its body; "
            "async: outrider does not wait for the response.",
        ),
    ] = Kind.WEBHOOK,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Time limit of one call, such as 500ms.")
    ] = "10s",
    interrupt_on_error: Annotated[
        bool,
        typer.Option("--interrupt-on-error", help="A failure interrupts the intercepted call."),
    ] = False,
    payload_type: Annotated[
        Payload, typer.Option(help="Format of the request body.")
    ] = Payload.JSON,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a target. outrider does not call it until an execution contains it."""
    request = _create_request(
        name=name,
        endpoint=endpoint,
        kind=kind,
        timeout=parse_duration(timeout, "--timeout"),
        interrupt_on_error=interrupt_on_error,
        payload_type=payload_type,
    )
    server = connect(url, token, data_dir)
    response = server.call(server.actions.create_target, request)
    if as_json:
        print_json(response)
        return
    print_fields({"id": text_of(response, "id"), "signing key": text_of(response, "signingKey")})
    note(f"Bind it with: outrider execution set event/user.human.added {text_of(response, 'id')}")


def _create_request(
    *,
    name: str,
    endpoint: str,
    kind: Kind,
    timeout: timedelta,
    interrupt_on_error: bool,
    payload_type: Payload,
) -> CreateTargetRequest:
    from protobuf.wkt import Duration

    from outrider_api.zitadel.action.v2.action_service_pb import CreateTargetRequest
    from outrider_api.zitadel.action.v2.target_pb import PayloadType

    return CreateTargetRequest(
        name=name,
        endpoint=endpoint,
        target_type=type_message(kind, interrupt_on_error=interrupt_on_error),
        timeout=Duration.from_timedelta(timeout),
        payload_type=PayloadType[payload_type.upper()],
    )


def _name_filter(name: str) -> Any:
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.query_pb import TargetNameFilter, TargetSearchFilter
    from outrider_api.zitadel.filter.v2.filter_pb import TextFilterMethod

    name_filter = TargetNameFilter(target_name=name, method=TextFilterMethod.CONTAINS_IGNORE_CASE)
    by_name: Any = Oneof("target_name_filter", name_filter)
    return TargetSearchFilter(filter=by_name)


def _targets(response: dict[str, Any]) -> list[dict[str, Any]]:
    return list(response.get("targets", ()))


def _try_to_fetch_suspensions(server: RemoteServer) -> dict[str, Suspension]:
    try:
        suspensions = fetch_suspensions(server)
    except CommandError as error:
        # The list is of use without it.
        note(f"Cannot list suspended targets: {printable(error.message)}.")
        return {}
    if len(suspensions) >= MAX_SUSPENDED:
        note(
            f"More than {MAX_SUSPENDED} targets are suspended; the server returned only the first"
            f" {MAX_SUSPENDED}."
        )
    return suspensions


def _describe_kind(target: dict[str, Any]) -> str:
    kind = kind_of(target)
    if kind is None:
        return "unknown"
    return f"{kind}, interrupts" if interrupts(target) else kind


def _describe_payload(target: dict[str, Any]) -> str:
    return short_enum(text_of(target, "payloadType"), "PAYLOAD_TYPE_") or Payload.JSON
