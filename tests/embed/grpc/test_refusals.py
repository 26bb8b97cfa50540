"""Refusals of targets behind the gRPC interceptor, with typed messages of both libraries."""

from __future__ import annotations

import grpc
import pytest

from embed.grpc.test_interceptor import METHOD, SHOP, answering, bind, pb, serve
from outrider.embed import on_request, on_response
from outrider.embed.grpc import OutriderInterceptor
from outrider.embed.grpc.messages import message_type_of
from outrider_api.zitadel.action.v2.action_service_pb import CreateTargetRequest


@pytest.mark.parametrize(
    "body", [{"forwarded_status_code": 403}, {"allowed": False}, {"error": "no"}], ids=str
)
@pytest.mark.parametrize("on", [on_request, on_response])
async def test_a_refusal_that_is_misspelled_stops_the_call(engine, body, on):
    """
    The library would refuse the unknown field as well; a refusal is no accident of its strictness.
    """
    async with (
        answering(body) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on(METHOD), receiver, interrupt_on_error=True)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await shop.Create(pb.CreateRequest(product_name="tea"))

    assert grpc.StatusCode.FAILED_PRECONDITION is caught.value.code()


@pytest.mark.parametrize(
    ("message_class", "names"),
    [
        (pb.CreateRequest, ("productName", "product_name")),
        (CreateTargetRequest, ("restCall", "rest_call")),
    ],
)
def test_a_typed_message_knows_its_members(message_class, names):
    """
    A field `error` or `allowed` of the application's own is a member like any other, though the
    message leaves it out while it is false.
    """
    known = message_type_of(message_class)
    assert all(known.has_member(name) for name in names)
    assert not known.has_member("allowed")
