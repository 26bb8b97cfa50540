# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target delete`: delete a target after showing the consequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.confirming import Yes, confirm
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import print_fields, print_json, short_time, text_of
from outrider.cli.terminal.parsing import condition_id

EXAMPLES = examples(
    "outrider target delete 336392597046099971",
    "outrider target delete 336392597046099971 --yes     (in a script)",
)
_OPEN = frozenset(
    {"DELIVERY_STATE_PENDING", "DELIVERY_STATE_DELIVERING", "DELIVERY_STATE_RETRYING"}
)
ADVICE = "see `outrider target list`"
MAX_LISTED = 20


def delete_target(
    *,
    target_id: Annotated[str, typer.Argument(metavar="ID")],
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete a target. outrider removes it from its executions and cancels its open deliveries."""
    from outrider_api.zitadel.action.v2.action_service_pb import DeleteTargetRequest

    server = connect(url, token, data_dir)
    name = _name(server, target_id)
    if name is not None:
        consequences = [*_executions(server, target_id), *_open_deliveries(server, target_id)]
        confirm(f"Delete target {target_id} ({name})?", consequences, yes=yes)
    response = server.call(server.actions.delete_target, DeleteTargetRequest(id=target_id))
    if not response:
        raise CommandError(f"there never was a target {target_id}", ADVICE)
    if as_json:
        print_json(response)
    else:
        print_fields({"deleted": short_time(text_of(response, "deletionDate"))})


def _name(server: RemoteServer, target_id: str) -> str | None:
    """The target's name; None: there is nothing left to delete."""
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest
    from outrider_api.zitadel.action.v2.query_pb import InTargetIDsFilter, TargetSearchFilter

    by_id: Any = Oneof("in_target_ids_filter", InTargetIDsFilter(target_ids=[target_id]))
    request = ListTargetsRequest(filters=[TargetSearchFilter(filter=by_id)])
    found = server.call(server.actions.list_targets, request).get("targets", ())
    return text_of(found[0], "name") if found else None


def _executions(server: RemoteServer, target_id: str) -> Sequence[str]:
    """A line for each execution that calls the target."""
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.action_service_pb import ListExecutionsRequest
    from outrider_api.zitadel.action.v2.query_pb import ExecutionSearchFilter, TargetFilter
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    by_target: Any = Oneof("target_filter", TargetFilter(target_id=target_id))
    response = server.call(
        server.actions.list_executions,
        ListExecutionsRequest(
            pagination=PaginationRequest(limit=MAX_LISTED),
            filters=[ExecutionSearchFilter(filter=by_target)],
        ),
    )
    executions = response.get("executions", ())
    total = int(response.get("pagination", {}).get("totalResult", len(executions)))
    lines = [
        f"{condition_id(found.get('condition', {}))} calls it"
        + ("" if len(found.get("targets", ())) > 1 else ", and nothing else")
        for found in executions
    ]
    return lines if total <= len(lines) else [*lines, f"and {total - len(lines)} more executions"]


def _open_deliveries(server: RemoteServer, target_id: str) -> Sequence[str]:
    """A line with the number of deliveries that will be cancelled."""
    from outrider_api.outrider.v1.delivery_service_pb import GetDeliveryStatsRequest

    request = GetDeliveryStatsRequest(target_id=target_id)
    counts = server.call(server.deliveries.get_delivery_stats, request).get("counts", ())
    still_open = sum(
        int(text_of(count, "count")) for count in counts if text_of(count, "state") in _OPEN
    )
    if not still_open:
        return []
    return [
        f"{still_open} open {'delivery' if still_open == 1 else 'deliveries'} will be cancelled"
    ]
