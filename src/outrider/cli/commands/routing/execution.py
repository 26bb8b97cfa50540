# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider execution`: which targets are called for which condition."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from outrider.cli.remote.client import connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, print_table, short_time, text_of
from outrider.cli.terminal.parsing import condition_id, condition_message, parse_condition
from outrider.domain.routing.condition import ConditionKind

app = typer.Typer(help="Manage executions, which bind targets to conditions.", no_args_is_help=True)

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
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    from outrider_api.zitadel.action.v2.action_service_pb import ListExecutionsRequest
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    server = connect(url, token, data_dir)
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
        empty="There are no such executions. Make one with `outrider execution set`.",
    )


@app.command(
    "set",
    epilog=examples(
        "outrider execution set event/user.human.added 336392597046099971",
        "outrider execution set 'event/user.*' 336392597046099971 336392597046099972",
        "outrider execution set event 336392597046099971            (every event)",
        "outrider execution set request/zitadel.session.v2.SessionService/ListSessions 3363925970",
        "outrider execution set function/preuserinfo 336392597046099971",
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
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bind targets to a condition. They replace the targets of the execution."""
    from outrider_api.zitadel.action.v2.action_service_pb import SetExecutionRequest

    target_ids = targets or []
    if bool(target_ids) == clear:
        raise typer.BadParameter("give the ids of targets, or --clear to call nothing any more")
    parsed = parse_condition(condition)
    server = connect(url, token, data_dir)
    request = SetExecutionRequest(condition=condition_message(parsed), targets=target_ids)
    advice = (
        "Does what the condition names exist, and does each target, once in the list? An event type"
        " exists when one was published: `outrider event publish TYPE`, or see docs/catalogue.md."
    )
    response = server.call(server.actions.set_execution, request, advice=advice)
    if as_json:
        print_json(response)
    elif clear:
        note(f"{parsed.execution_id} calls nothing any more.")
    else:
        note(f"{parsed.execution_id} calls {', '.join(target_ids)}.")


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
