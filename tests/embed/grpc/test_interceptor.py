"""The interceptor in a real grpc.aio server, called by a real client."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from outrider.embed import Engine, InvalidResponse, on_request, on_response
from outrider.embed.grpc import Identity, OutriderInterceptor
from outrider.embed.grpc.messages import message_type_of
from outrider.testing.receiver import Answer, Receiver
from outrider_api.outrider.v1.event_service_pb import Event

sys.path.append(str(Path(__file__).parents[3] / "examples" / "grpc_app"))
pb, services = grpc.protos_and_services("shop.proto")

METHOD = "/acme.v1.Shop/Create"
SHOP = pb.DESCRIPTOR.services_by_name["Shop"]


class Shop(services.ShopServicer):
    async def Create(self, request, context):  # noqa: N802 - the name in the proto file
        if request.product_name == "nothing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such product")
        return pb.CreateResponse(order_id=f"{request.amount} {request.product_name}")

    async def Watch(self, request, context):  # noqa: N802 - the name in the proto file
        for number in range(2):
            yield pb.CreateResponse(order_id=f"{number} {request.product_name}")


class SlowShop(services.ShopServicer):
    def Create(self, request, context):  # noqa: N802 - the name in the proto file
        return pb.CreateResponse(order_id="from a thread")


@asynccontextmanager
async def serve(interceptor, shop=None):
    server = grpc.aio.server(interceptors=[interceptor])
    services.add_ShopServicer_to_server(shop or Shop(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await interceptor.register()
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield services.ShopStub(channel)
    finally:
        await server.stop(0)


def answering(body: object) -> Receiver:
    return Receiver(lambda _: Answer(body=json.dumps(body).encode()))


async def bind(engine: Engine, condition, receiver: Receiver, **options):
    target = await engine.create_target(f"target {condition}", receiver.url, **options)
    await engine.set_execution(condition, [target])


async def test_typed_messages_are_shown_as_protojson_and_rewritten(engine):
    """
    Targets speak the names of the API reference, applications their own types.
    """
    async with (
        answering({"productName": "tea", "amount": "3"}) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_request(METHOD), receiver)

        answer = await shop.Create(
            pb.CreateRequest(product_name="<coffee>", amount=1), metadata=[("origin", "here")]
        )

        assert "3 tea" == answer.order_id
        seen = json.loads(receiver.calls[0].body)
        assert {"productName": "<coffee>", "amount": "1"} == seen["request"]
        assert ["here"] == seen["headers"]["origin"]
        assert b"\\u003ccoffee\\u003e" in receiver.calls[0].body


async def test_responses_are_rewritten_and_see_their_request(engine):
    """
    The second half of every intercepted call.
    """
    async with (
        answering({"orderId": "7", "note": "hello"}) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_response(METHOD), receiver)

        answer = await shop.Create(pb.CreateRequest(product_name="tea"))

        assert ("7", "hello") == (answer.order_id, answer.note)
        assert {"productName": "tea"} == json.loads(receiver.calls[0].body)["request"]


async def test_an_interruption_is_a_status_with_its_message(engine):
    """
    The code and the text of the target, in the words of gRPC.
    """
    refusal = {"forwardedStatusCode": 403, "forwardedErrorMessage": "not on a Sunday"}
    async with (
        answering(refusal) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_request(METHOD), receiver, interrupt_on_error=True)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest())

        assert grpc.StatusCode.PERMISSION_DENIED == refused.value.code()
        assert "not on a Sunday" in refused.value.details()
        assert dict(refused.value.trailing_metadata())["outrider-interception-id"].isdecimal()


@pytest.mark.parametrize("message", ["x" * 8192, "ä" * 100_000], ids=["8 kB", "percent-encoded"])
async def test_a_long_message_is_cut_and_reaches_the_caller(engine, message):
    """
    A client that is sent more than 8 KiB of headers sees RESOURCE_EXHAUSTED.
    """
    refusal = {"forwardedStatusCode": 403, "forwardedErrorMessage": message}
    async with (
        answering(refusal) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_request(METHOD), receiver, interrupt_on_error=True)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest())

        assert grpc.StatusCode.PERMISSION_DENIED == refused.value.code()
        assert message[:500] in refused.value.details()
        assert refused.value.details().endswith("… (EXEC-reUaUZCzCp)")


async def test_an_answer_with_an_unknown_field_cannot_be_applied(engine):
    """
    A field that the message does not have is a mistake of the target, not something to drop.
    """
    async with (
        answering({"productNam": "tea"}) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_request(METHOD), receiver, interrupt_on_error=True)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest())

        assert grpc.StatusCode.FAILED_PRECONDITION == refused.value.code()
        assert "tea" not in refused.value.details()


async def test_the_deadline_of_the_caller_ends_a_slow_target(engine):
    """
    The handler must run, or the caller get its error, before the caller has gone.
    """
    async with (
        Receiver([Answer(hang_until=asyncio.Event())]) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP])) as shop,
    ):
        await bind(engine, on_request(METHOD), receiver, interrupt_on_error=True)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest(), timeout=0.5)

        assert refused.value.code() in {
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.FAILED_PRECONDITION,
        }
        async with asyncio.timeout(10):
            while receiver.connection_count:
                await asyncio.sleep(0.01)


async def test_errors_of_the_application_and_streams_pass_untouched(engine):
    """
    Neither is a message that a target could replace.
    """
    identities = []

    def identify(context) -> Identity:
        identities.append(context)
        return Identity(user_id="ada")

    async with (
        answering({"note": "never"}) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP], identify=identify)) as shop,
    ):
        await bind(engine, on_response(service="acme.v1.Shop"), receiver)

        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await shop.Create(pb.CreateRequest(product_name="nothing"))
        streamed = [update.order_id async for update in shop.Watch(pb.CreateRequest())]

        assert grpc.StatusCode.NOT_FOUND == missing.value.code()
        assert ["0 ", "1 "] == streamed
        assert [] == receiver.calls == identities


async def test_a_stream_does_not_pass_its_guard(engine):
    """
    Its messages cannot be shown: unless the application says so, none of them leaves.
    """
    async with answering({}) as receiver:
        for options in ({}, {"on_unreadable": "pass"}):
            interceptor = OutriderInterceptor(engine, services=[SHOP], **options)
            async with serve(interceptor) as shop:
                streamed = [update.order_id async for update in shop.Watch(pb.CreateRequest())]
                assert ["0 ", "1 "] == streamed
                if options:
                    break
                await bind(
                    engine,
                    on_response(service="acme.v1.Shop"),
                    receiver,
                    interrupt_on_error=True,
                )

                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    [update async for update in shop.Watch(pb.CreateRequest())]

    assert grpc.StatusCode.FAILED_PRECONDITION == refused.value.code()
    assert "/acme.v1.Shop/Watch is a stream" in refused.value.details()
    assert [] == receiver.calls


async def test_a_handler_in_a_thread_works_until_an_execution_needs_it(engine):
    """
    Calling it without its targets would let calls by what guards them.
    """
    async with (
        answering({"amount": "1"}) as receiver,
        serve(OutriderInterceptor(engine, services=[SHOP]), SlowShop()) as shop,
    ):
        assert "from a thread" == (await shop.Create(pb.CreateRequest())).order_id
        await bind(engine, on_request(METHOD), receiver)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest())

        assert "must be a coroutine function" in refused.value.details()


@pytest.mark.parametrize(
    "message_class",
    [pb.CreateRequest, Event],
    ids=["google.protobuf", "protobuf-py"],
)
def test_messages_of_both_libraries_come_back_as_they_were_shown(message_class):
    """
    What a target sees it may send back.
    """
    types = message_type_of(message_class)
    empty = types.empty()

    assert "{}" == types.render(empty)
    assert empty == types.parse(b"{}")
    for wrong in (b"[]", b'{"noSuchField": 1}', b'{"sequence": {}, "amount": {}}'):
        with pytest.raises(InvalidResponse):
            types.parse(wrong)


def test_64_bit_numbers_are_texts_for_targets():
    """
    The JSON of JavaScript would round them.
    """
    big = 2**53 + 1

    for message, shown in [
        (pb.CreateRequest(amount=big, product_name="<ä>"), "amount"),
        (Event(sequence=big, event_type="<ä>"), "sequence"),
    ]:
        types = message_type_of(type(message))
        text = types.render(message)
        assert str(big) == json.loads(text)[shown]
        assert "\\u003cä\\u003e" in text
        assert message == types.parse(text.encode())


def test_a_class_of_neither_library_is_a_mistake_of_the_program():
    """
    Showing targets something else than the message would be worse.
    """
    with pytest.raises(TypeError, match="dict"):
        message_type_of(dict)


async def test_a_closed_engine_answers_unavailable(tmp_path):
    """
    Letting calls pass would let them by the targets that guard.
    """
    engine = await Engine.open(data_dir=tmp_path / "data").start()
    async with serve(OutriderInterceptor(engine, services=[METHOD])) as shop:
        await engine.aclose()

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.Create(pb.CreateRequest())

        assert grpc.StatusCode.UNAVAILABLE == refused.value.code()
