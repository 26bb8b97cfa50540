"""A grpc.aio service with an engine inside: a target doubles the amount of every order.

    python examples/grpc_app/service.py

The types are made from `shop.proto` when it starts; with generated modules all else is the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import grpc
import grpc.aio

from outrider.embed import Engine, on_request
from outrider.embed.grpc import OutriderInterceptor
from outrider.testing.receiver import Answer, ReceivedCall, Receiver

sys.path.insert(0, str(Path(__file__).parent))
pb, services = grpc.protos_and_services("shop.proto")
CREATE = "/acme.v1.Shop/Create"


class Shop(services.ShopServicer):
    """Knows nothing of outrider."""

    async def Create(self, request, context):  # noqa: ANN001, ANN201, ARG002, N802 - as in the proto file
        """Take an order."""
        return pb.CreateResponse(order_id=f"{request.amount} {request.product_name}")


def target(call: ReceivedCall) -> Answer:
    """Answer with the request as it should be: protojson, 64-bit integers are texts."""
    request = json.loads(call.body)["request"]
    return Answer(body=json.dumps({**request, "amount": int(request["amount"]) * 2}).encode())


async def main() -> None:
    """Serve, configure, call once."""
    with tempfile.TemporaryDirectory() as data_dir:
        async with Receiver(target) as receiver, Engine.open(data_dir=data_dir, dev=True) as engine:
            shop = pb.DESCRIPTOR.services_by_name["Shop"]
            interceptor = OutriderInterceptor(engine, services=[shop])
            await interceptor.register()
            await engine.set_execution(
                on_request(CREATE), [await engine.put_target("double", receiver.url)]
            )
            server = grpc.aio.server(interceptors=[interceptor])
            services.add_ShopServicer_to_server(Shop(), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()

            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = services.ShopStub(channel)
                answer = await stub.Create(pb.CreateRequest(product_name="tea", amount=2))
                print("answer:", answer.order_id, flush=True)
            await server.stop(grace=1)


asyncio.run(main())
