# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider execution`: which targets are called for which condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from outrider.cli.remote.changes import note_changes, reported_changes
from outrider.cli.remote.client import RemoteServer
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import note, print_json, print_table, short_time, text_of
from outrider.cli.terminal.parsing import condition_id, condition_message, parse_condition
from outrider.domain.routing.condition import ConditionKind

app = CommandGroup(
    help="Manage executions, which bind targets to conditions.", no_args_is_help=True
)

MAX_PAGE = 1000


@app.command(
    "list",
    epilog=examples("outrider execution list", "outrider execution list --kind event --json"),
)
def list_executions(
    *,
    kind: Annotated[
        ConditionKind | None, typer.Option(help="Only executions with a condition of this kind.")
    ] = None,
    target: Annotated[
        str, typer.Option(metavar="ID", help="Only executions that call this target.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=MAX_PAGE, metavar="N", help="Most entries to list.")
    ] = 100,
    offset: Annotated[int, typer.Option(min=0, metavar="N", help="Number of entries to skip.")] = 0,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    from outrider_api.zitadel.action.v2.action_service_pb import ListExecutionsRequest
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    request = ListExecutionsRequest(
        pagination=PaginationRequest(limit=limit, offset=offset),
        filters=_search_filters(kind, target),
    )
    response = server.call(server.actions.list_executions, request)
    if as_json:
        print_json(response)
        return
    print_table(
        ("CONDITION", "TARGETS", "CHANGED"),
        [
            (
                condition_id(execution.get("condition", {})),
                " ".join(execution.get("targets", ())),
                short_time(text_of(execution, "changeDate")),
            )
            for execution in response.get("executions", ())
        ],
        empty="There are no such executions. Create one with `outrider execution set`.",
    )


@app.command(
    "set",
    epilog=examples(
        "outrider execution set event/user.human.added 336392597046099971",
        "outrider execution set 'event/user.*' 336392597046099971 336392597046099972",
        "outrider execution set event 336392597046099971            (every event)",
        "outrider execution set request/zitadel.session.v2.SessionService/ListSessions 3363925970",
        "outrider execution set function/preuserinfo 336392597046099971",
        "outrider execution set 'event/user.*' 336392597046099971 --dry-run",
        "outrider execution set event/user.human.added --clear",
    ),
)
def set_execution(
    *,
    condition: Annotated[
        str,
        typer.Argument(
            metavar="CONDITION",
            help="request, response, function or event, then / and a name; for example "
            "event/user.human.added. request, response or event without a name matches all.",
        ),
    ],
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET_ID", help="Ids of the targets, in calling order."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all targets from the execution.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the effect without changing anything.")
    ] = False,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Bind targets to a condition. They replace the targets of the execution.

    The command prints the targets that it replaces, the wider executions that no longer match
    this condition (shadows), and the narrower executions that match instead (shadowed by).
    """
    from outrider_api.zitadel.action.v2.action_service_pb import SetExecutionRequest

    target_ids = targets or []
    if bool(target_ids) == clear:
        raise typer.BadParameter("give the ids of targets, or --clear to call nothing any more")
    parsed = parse_condition(condition)
    if dry_run:
        _show_only(server, parsed.execution_id, target_ids, as_json=as_json)
        return
    request = SetExecutionRequest(condition=condition_message(parsed), targets=target_ids)
    response, headers = server.call_for_headers(server.actions.set_execution, request)
    changes = reported_changes(headers)
    if as_json:
        print_json({**response, **changes})
        return
    bound = ", ".join(target_ids) if target_ids else "nothing any more"
    note(f"{parsed.execution_id} calls {bound}.")
    note_changes(changes)


def _show_only(
    server: RemoteServer, execution_id: str, target_ids: Sequence[str], *, as_json: bool
) -> None:
    """Print what setting the execution would replace and shadow."""
    from outrider_api.outrider.v1.execution_service_pb import GetExecutionRequest

    _check_targets(server, target_ids)
    found = server.call(server.executions.get_execution, GetExecutionRequest(id=execution_id))
    former = [text_of(target, "targetId") for target in found.get("targets", ())]
    changes = {
        "replaced": former if former != [*target_ids] else [],
        "shadows": found.get("shadows", []) if target_ids else [],
        "shadowedBy": found.get("shadowedBy", []) if target_ids else [],
    }
    given = {name: ids for name, ids in changes.items() if ids}
    if as_json:
        print_json({"dryRun": True, **given})
        return
    bound = ", ".join(target_ids) if target_ids else "nothing any more"
    note(f"{execution_id} would call {bound}. Nothing was changed.")
    note_changes(given)


def _check_targets(server: RemoteServer, target_ids: Sequence[str]) -> None:
    """Raise `CommandError` for a target that setting the execution would be refused for."""
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest
    from outrider_api.zitadel.action.v2.query_pb import InTargetIDsFilter, TargetSearchFilter
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    for first in range(0, len(target_ids), MAX_PAGE):
        part = [*target_ids[first : first + MAX_PAGE]]
        by_id: Any = Oneof("in_target_ids_filter", InTargetIDsFilter(target_ids=part))
        request = ListTargetsRequest(
            pagination=PaginationRequest(limit=MAX_PAGE), filters=[TargetSearchFilter(filter=by_id)]
        )
        response = server.call(server.actions.list_targets, request)
        known = {text_of(target, "id") for target in response.get("targets", ())}
        missing = next((target_id for target_id in part if target_id not in known), None)
        if missing is not None:
            raise CommandError(f"there is no target {missing}", "see `outrider target list`")
    if len(set(target_ids)) < len(target_ids):
        raise CommandError("a target is in the list more than once", "name each target once")


def _search_filters(kind: ConditionKind | None, target: str) -> list[Any]:
    from protobuf import Oneof

    from outrider_api.zitadel.action.v2.query_pb import (
        ExecutionSearchFilter,
        ExecutionType,
        ExecutionTypeFilter,
        TargetFilter,
    )

    filters: list[Any] = []
    if kind is not None:
        by_kind = ExecutionTypeFilter(execution_type=ExecutionType[kind.upper()])
        filters.append(Oneof("execution_type_filter", by_kind))
    if target:
        filters.append(Oneof("target_filter", TargetFilter(target_id=target)))
    return [ExecutionSearchFilter(filter=search_filter) for search_filter in filters]
