"""Calls of `zitadel.action.v2beta.ActionService` on a service that has v2, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from api.calls.service import Service
from api.calls.table import Caller
from api.wires import Result, Wire
from outrider_api.zitadel.action.v2beta.action_service_connect import ActionService

METHODS = {method.name: method for method in ActionService.desc().methods}


async def answer(
    service: Service,
    rpc: str,
    request: Mapping[str, Any],
    wire: Wire = Wire.CONNECT_PROTO,
    caller: Caller = Caller.ADMIN,
) -> Result[Any]:
    """Whatever a call of v2beta is answered with."""
    method = METHODS[rpc]
    message = method.input.type.from_json(json.dumps(request))
    return await service.client.call(
        wire, method.parent, rpc, message, method.output.type, service.headers[caller]
    )


async def ask(
    service: Service, rpc: str, request: Mapping[str, Any], wire: Wire = Wire.CONNECT_PROTO
) -> dict[str, Any]:
    """The answer to a call of v2beta that must succeed."""
    result = await answer(service, rpc, request, wire)
    assert result.message is not None, f"{rpc} was refused: {result.code}, {result.text}"
    return dict(json.loads(result.message.to_json()))
