"""Executions, described: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.times import to_optional_timestamp
from outrider.domain.routing.condition import read_condition_id
from outrider.usecases.routing.executions import ManageExecutions
from outrider_api.outrider.v1 import execution_service_pb as pb
from outrider_api.outrider.v1.execution_service_connect import ExecutionService

MAX_SHADOWED_BY = 1000


class ExecutionDetailHandlers(ExecutionService):
    """`outrider.v1.ExecutionService`."""

    def __init__(self, executions: ManageExecutions) -> None:
        self._executions = executions

    async def get_execution(
        self, request: pb.GetExecutionRequest, ctx: Context, /
    ) -> pb.GetExecutionResponse:
        """Also one that nothing is bound to."""
        condition = read_condition_id(request.id)
        found = await self._executions.get(actor_of(ctx), condition)
        return pb.GetExecutionResponse(
            id=condition.execution_id,
            targets=[
                pb.ExecutionTarget(target_id=target_id, name=name)
                for target_id, name in found.targets
            ],
            change_date=to_optional_timestamp(found.changed_at),
            shadows=list(found.shadowing.shadows),
            shadowed_by=list(found.shadowing.shadowed_by[:MAX_SHADOWED_BY]),
        )
