"""Executions: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from typing import Any

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.conditions import condition_from_proto, condition_to_proto
from outrider.api.services.messages.paging import checked_filters, page_from_proto, page_to_proto
from outrider.api.services.messages.times import to_timestamp, zero_timestamp
from outrider.api.services.zitadel.changes import report_change
from outrider.domain.ids import TargetId
from outrider.domain.routing.condition import ConditionKind
from outrider.domain.routing.execution import Execution
from outrider.domain.routing.search import (
    ExecutionFilter,
    ExecutionIdsFilter,
    ExecutionSort,
    HasTargetFilter,
    KindFilter,
)
from outrider.errors import UnknownFailure
from outrider.usecases.routing.executions import ManageExecutions
from outrider_api.zitadel.action.v2 import action_service_pb as pb
from outrider_api.zitadel.action.v2 import execution_pb
from outrider_api.zitadel.action.v2.query_pb import (
    ExecutionFieldName,
    ExecutionSearchFilter,
    ExecutionType,
)

_SORTS = {
    ExecutionFieldName.ID: ExecutionSort.ID,
    ExecutionFieldName.CREATED_DATE: ExecutionSort.CREATED,
    ExecutionFieldName.CHANGED_DATE: ExecutionSort.CHANGED,
}
_KINDS = {
    ExecutionType.REQUEST: ConditionKind.REQUEST,
    ExecutionType.RESPONSE: ConditionKind.RESPONSE,
    ExecutionType.FUNCTION: ConditionKind.FUNCTION,
    ExecutionType.EVENT: ConditionKind.EVENT,
}


class ExecutionHandlers:
    """The calls of `zitadel.action.v2.ActionService` about executions."""

    def __init__(self, executions: ManageExecutions) -> None:
        self._executions = executions

    async def set_execution(
        self, request: pb.SetExecutionRequest, ctx: Context, /
    ) -> pb.SetExecutionResponse:
        """The date is Go's zero time when an empty list was set and there was none before.

        Response headers say what was replaced and what is shadowed.
        """
        condition = condition_from_proto(request.condition)
        targets = [TargetId(target) for target in request.targets]
        change = await self._executions.set(actor_of(ctx), condition, targets)
        report_change(ctx, change)
        date = zero_timestamp() if change.set_at is None else to_timestamp(change.set_at)
        return pb.SetExecutionResponse(set_date=date)

    async def list_executions(
        self, request: pb.ListExecutionsRequest, ctx: Context, /
    ) -> pb.ListExecutionsResponse:
        """Newest first, unless the caller asks for another order."""
        messages = checked_filters(request.filters, "ListExecutionsRequest")
        page = page_from_proto(request.pagination)
        filters = [found for found in map(_filter, messages) if found is not None]
        sort = _SORTS.get(request.sorting_column, ExecutionSort.CREATED)
        found = await self._executions.search(actor_of(ctx), filters, sort, page)
        return pb.ListExecutionsResponse(
            pagination=page_to_proto(page, found.total),
            executions=[_execution_to_proto(row) for row in found.rows],
        )

    async def list_execution_functions(
        self, _request: pb.ListExecutionFunctionsRequest, ctx: Context, /
    ) -> pb.ListExecutionFunctionsResponse:
        """Functions that an execution may name."""
        known = self._executions.known(actor_of(ctx))
        return pb.ListExecutionFunctionsResponse(functions=list(known.functions))

    async def list_execution_methods(
        self, _request: pb.ListExecutionMethodsRequest, ctx: Context, /
    ) -> pb.ListExecutionMethodsResponse:
        """Methods that an execution may name."""
        known = self._executions.known(actor_of(ctx))
        return pb.ListExecutionMethodsResponse(methods=list(known.methods))

    async def list_execution_services(
        self, _request: pb.ListExecutionServicesRequest, ctx: Context, /
    ) -> pb.ListExecutionServicesResponse:
        """Services that an execution may name."""
        known = self._executions.known(actor_of(ctx))
        return pb.ListExecutionServicesResponse(services=list(known.services))


def _execution_to_proto(execution: Execution) -> execution_pb.Execution:
    return execution_pb.Execution(
        condition=condition_to_proto(execution.condition),
        creation_date=to_timestamp(execution.created_at),
        change_date=to_timestamp(execution.changed_at),
        targets=list(execution.targets),
    )


def _filter(message: ExecutionSearchFilter) -> ExecutionFilter | None:
    chosen: Any = message.filter
    if chosen.field == "execution_type_filter":
        # UNSPECIFIED, or a number that has no name, filters nothing.
        kind = _KINDS.get(chosen.value.execution_type)
        return None if kind is None else KindFilter(kind)
    if chosen.field == "target_filter":
        return HasTargetFilter(TargetId(chosen.value.target_id))
    if not chosen.value.conditions:
        raise UnknownFailure(
            "values array must not be empty",
            reason="the filter lists no condition",
            hint="name at least one, or leave the filter out",
        )
    conditions = map(condition_from_proto, chosen.value.conditions)
    return ExecutionIdsFilter(tuple(condition.execution_id for condition in conditions))
