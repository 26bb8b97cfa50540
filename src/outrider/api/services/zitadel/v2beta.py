"""`zitadel.action.v2beta.ActionService`: v2 with fewer fields, on the same targets and executions.

What v2beta does not have (payload types) is neither taken from a caller nor shown. On an update, an
absent payload type means that it stays.
"""

from __future__ import annotations

from typing import Any, TypeVar

from protobuf import Message

from outrider.api.rpc.interceptors import Context
from outrider.api.services.zitadel.actions import ActionHandlers
from outrider_api.zitadel.action.v2 import action_service_pb as v2
from outrider_api.zitadel.action.v2beta import action_service_pb as pb
from outrider_api.zitadel.action.v2beta.action_service_connect import ActionService

M = TypeVar("M", bound=Message[Any])


def read_as(kind: type[M], message: Message[Any]) -> M:
    """The fields that both have.

    A number that `message` does not know itself is left out, too: it cannot become a field that
    only `kind` has, nor can a field that only `message` has go out as one that nobody declared.
    """
    data = message.to_binary(write_unknown_fields=False)
    return kind.from_binary(data, ignore_unknown_fields=True)


class BetaActionHandlers(ActionService):
    """Each call is the call of v2 with the same name."""

    def __init__(self, handlers: ActionHandlers) -> None:
        self._v2 = handlers

    async def create_target(
        self, request: pb.CreateTargetRequest, ctx: Context, /
    ) -> pb.CreateTargetResponse:
        """The payload type is unspecified."""
        answer = await self._v2.create_target(read_as(v2.CreateTargetRequest, request), ctx)
        return read_as(pb.CreateTargetResponse, answer)

    async def update_target(
        self, request: pb.UpdateTargetRequest, ctx: Context, /
    ) -> pb.UpdateTargetResponse:
        """The payload type stays as it is."""
        answer = await self._v2.update_target(read_as(v2.UpdateTargetRequest, request), ctx)
        return read_as(pb.UpdateTargetResponse, answer)

    async def delete_target(
        self, request: pb.DeleteTargetRequest, ctx: Context, /
    ) -> pb.DeleteTargetResponse:
        """As in v2."""
        answer = await self._v2.delete_target(read_as(v2.DeleteTargetRequest, request), ctx)
        return read_as(pb.DeleteTargetResponse, answer)

    async def get_target(
        self, request: pb.GetTargetRequest, ctx: Context, /
    ) -> pb.GetTargetResponse:
        """Of any payload type; it is not shown."""
        answer = await self._v2.get_target(read_as(v2.GetTargetRequest, request), ctx)
        return read_as(pb.GetTargetResponse, answer)

    async def list_targets(
        self, request: pb.ListTargetsRequest, ctx: Context, /
    ) -> pb.ListTargetsResponse:
        """Of any payload type; it is not shown."""
        answer = await self._v2.list_targets(read_as(v2.ListTargetsRequest, request), ctx)
        return read_as(pb.ListTargetsResponse, answer)

    async def set_execution(
        self, request: pb.SetExecutionRequest, ctx: Context, /
    ) -> pb.SetExecutionResponse:
        """As in v2."""
        answer = await self._v2.set_execution(read_as(v2.SetExecutionRequest, request), ctx)
        return read_as(pb.SetExecutionResponse, answer)

    async def list_executions(
        self, request: pb.ListExecutionsRequest, ctx: Context, /
    ) -> pb.ListExecutionsResponse:
        """As in v2."""
        answer = await self._v2.list_executions(read_as(v2.ListExecutionsRequest, request), ctx)
        return read_as(pb.ListExecutionsResponse, answer)

    async def list_execution_functions(
        self, request: pb.ListExecutionFunctionsRequest, ctx: Context, /
    ) -> pb.ListExecutionFunctionsResponse:
        """As in v2."""
        asked = read_as(v2.ListExecutionFunctionsRequest, request)
        answer = await self._v2.list_execution_functions(asked, ctx)
        return read_as(pb.ListExecutionFunctionsResponse, answer)

    async def list_execution_methods(
        self, request: pb.ListExecutionMethodsRequest, ctx: Context, /
    ) -> pb.ListExecutionMethodsResponse:
        """As in v2."""
        asked = read_as(v2.ListExecutionMethodsRequest, request)
        answer = await self._v2.list_execution_methods(asked, ctx)
        return read_as(pb.ListExecutionMethodsResponse, answer)

    async def list_execution_services(
        self, request: pb.ListExecutionServicesRequest, ctx: Context, /
    ) -> pb.ListExecutionServicesResponse:
        """As in v2."""
        asked = read_as(v2.ListExecutionServicesRequest, request)
        answer = await self._v2.list_execution_services(asked, ctx)
        return read_as(pb.ListExecutionServicesResponse, answer)
