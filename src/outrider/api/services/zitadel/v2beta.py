"""The v2beta services of ZITADEL: each call is the call of v2 with the same name.

`read_as` turns requests into those of v2, and answers back into those of v2beta. What v2beta does
not have (payload types, public keys) is neither taken from a caller nor answered. On an update, an absent payload type
means that it stays.
"""

from __future__ import annotations

from typing import Any, TypeVar

from protobuf import Message

from outrider.api.rpc.interceptors import Context
from outrider.api.services.zitadel.executions import ExecutionHandlers
from outrider.api.services.zitadel.targets import TargetHandlers
from outrider.api.services.zitadel.web_keys import WebKeyHandlers
from outrider_api.zitadel.action.v2 import action_service_pb as v2
from outrider_api.zitadel.action.v2beta import action_service_pb as pb
from outrider_api.zitadel.action.v2beta.action_service_connect import ActionService
from outrider_api.zitadel.webkey.v2 import webkey_service_pb as web_key_v2
from outrider_api.zitadel.webkey.v2beta import webkey_service_pb as web_key_pb
from outrider_api.zitadel.webkey.v2beta.webkey_service_connect import WebKeyService

M = TypeVar("M", bound=Message[Any])


def read_as(kind: type[M], message: Message[Any]) -> M:
    """The fields that both have.

    A number that `message` does not know itself is left out, too: it cannot become a field that
    only `kind` has, nor can a field that only `message` has become an undeclared one.
    """
    data = message.to_binary(write_unknown_fields=False)
    return kind.from_binary(data, ignore_unknown_fields=True)


class BetaActionHandlers(ActionService):
    """`zitadel.action.v2beta.ActionService`, on the same targets and executions as v2."""

    def __init__(self, targets: TargetHandlers, executions: ExecutionHandlers) -> None:
        self._targets = targets
        self._executions = executions

    async def create_target(
        self, request: pb.CreateTargetRequest, ctx: Context, /
    ) -> pb.CreateTargetResponse:
        """The payload type is unspecified."""
        answer = await self._targets.create_target(read_as(v2.CreateTargetRequest, request), ctx)
        return read_as(pb.CreateTargetResponse, answer)

    async def update_target(
        self, request: pb.UpdateTargetRequest, ctx: Context, /
    ) -> pb.UpdateTargetResponse:
        """The payload type stays as it is."""
        answer = await self._targets.update_target(read_as(v2.UpdateTargetRequest, request), ctx)
        return read_as(pb.UpdateTargetResponse, answer)

    async def delete_target(
        self, request: pb.DeleteTargetRequest, ctx: Context, /
    ) -> pb.DeleteTargetResponse:
        """As in v2."""
        answer = await self._targets.delete_target(read_as(v2.DeleteTargetRequest, request), ctx)
        return read_as(pb.DeleteTargetResponse, answer)

    async def get_target(
        self, request: pb.GetTargetRequest, ctx: Context, /
    ) -> pb.GetTargetResponse:
        """Of any payload type; it is not answered."""
        answer = await self._targets.get_target(read_as(v2.GetTargetRequest, request), ctx)
        return read_as(pb.GetTargetResponse, answer)

    async def list_targets(
        self, request: pb.ListTargetsRequest, ctx: Context, /
    ) -> pb.ListTargetsResponse:
        """Of any payload type; it is not answered."""
        answer = await self._targets.list_targets(read_as(v2.ListTargetsRequest, request), ctx)
        return read_as(pb.ListTargetsResponse, answer)

    async def set_execution(
        self, request: pb.SetExecutionRequest, ctx: Context, /
    ) -> pb.SetExecutionResponse:
        """As in v2."""
        answer = await self._executions.set_execution(read_as(v2.SetExecutionRequest, request), ctx)
        return read_as(pb.SetExecutionResponse, answer)

    async def list_executions(
        self, request: pb.ListExecutionsRequest, ctx: Context, /
    ) -> pb.ListExecutionsResponse:
        """As in v2."""
        answer = await self._executions.list_executions(
            read_as(v2.ListExecutionsRequest, request), ctx
        )
        return read_as(pb.ListExecutionsResponse, answer)

    async def list_execution_functions(
        self, request: pb.ListExecutionFunctionsRequest, ctx: Context, /
    ) -> pb.ListExecutionFunctionsResponse:
        """As in v2."""
        v2_request = read_as(v2.ListExecutionFunctionsRequest, request)
        answer = await self._executions.list_execution_functions(v2_request, ctx)
        return read_as(pb.ListExecutionFunctionsResponse, answer)

    async def list_execution_methods(
        self, request: pb.ListExecutionMethodsRequest, ctx: Context, /
    ) -> pb.ListExecutionMethodsResponse:
        """As in v2."""
        v2_request = read_as(v2.ListExecutionMethodsRequest, request)
        answer = await self._executions.list_execution_methods(v2_request, ctx)
        return read_as(pb.ListExecutionMethodsResponse, answer)

    async def list_execution_services(
        self, request: pb.ListExecutionServicesRequest, ctx: Context, /
    ) -> pb.ListExecutionServicesResponse:
        """As in v2."""
        v2_request = read_as(v2.ListExecutionServicesRequest, request)
        answer = await self._executions.list_execution_services(v2_request, ctx)
        return read_as(pb.ListExecutionServicesResponse, answer)


class BetaWebKeyHandlers(WebKeyService):
    """`zitadel.webkey.v2web_key_pb.WebKeyService`: the same messages and keys; more of it has REST."""

    def __init__(self, web_keys: WebKeyHandlers) -> None:
        self._web_keys = web_keys

    async def create_web_key(
        self, request: web_key_pb.CreateWebKeyRequest, ctx: Context, /
    ) -> web_key_pb.CreateWebKeyResponse:
        """As in v2."""
        answer = await self._web_keys.create_web_key(
            read_as(web_key_v2.CreateWebKeyRequest, request), ctx
        )
        return read_as(web_key_pb.CreateWebKeyResponse, answer)

    async def activate_web_key(
        self, request: web_key_pb.ActivateWebKeyRequest, ctx: Context, /
    ) -> web_key_pb.ActivateWebKeyResponse:
        """As in v2."""
        answer = await self._web_keys.activate_web_key(
            read_as(web_key_v2.ActivateWebKeyRequest, request), ctx
        )
        return read_as(web_key_pb.ActivateWebKeyResponse, answer)

    async def delete_web_key(
        self, request: web_key_pb.DeleteWebKeyRequest, ctx: Context, /
    ) -> web_key_pb.DeleteWebKeyResponse:
        """As in v2."""
        answer = await self._web_keys.delete_web_key(
            read_as(web_key_v2.DeleteWebKeyRequest, request), ctx
        )
        return read_as(web_key_pb.DeleteWebKeyResponse, answer)

    async def list_web_keys(
        self, request: web_key_pb.ListWebKeysRequest, ctx: Context, /
    ) -> web_key_pb.ListWebKeysResponse:
        """As in v2."""
        answer = await self._web_keys.list_web_keys(
            read_as(web_key_v2.ListWebKeysRequest, request), ctx
        )
        return read_as(web_key_pb.ListWebKeysResponse, answer)
