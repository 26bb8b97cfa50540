"""Typed messages, as an application with protobuf has them."""

from __future__ import annotations

from outrider.domain.formats import go_json
from outrider.domain.interception.message import InvalidResponse
from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest


class GetTargetRequests:
    """`MessageType` of a message with the one field `id`."""

    def render(self, message: GetTargetRequest, /) -> str:
        return go_json.compact(message.to_json())

    def parse(self, body: bytes, /) -> GetTargetRequest:
        try:
            return GetTargetRequest.from_json(body.decode())
        except (ValueError, TypeError) as failure:
            raise InvalidResponse(f"the answer is no GetTargetRequest: {failure}") from None

    def empty(self) -> GetTargetRequest:
        return GetTargetRequest()


GET_TARGET = GetTargetRequests()
