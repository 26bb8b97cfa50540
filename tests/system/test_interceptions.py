"""Interceptions through a real server: over HTTP, while it stops, and for callers that leave."""

from __future__ import annotations

import asyncio
import http.client
import json
from urllib.parse import urlsplit

import grpc
import pytest

from outrider.testing.receiver import Answer, ReceivedCall, Receiver
from outrider_api.outrider.v1.interception_service_pb import InterceptRequestRequest
from system.server import Server

METHOD = "/zitadel.session.v2.SessionService/ListSessions"
CALL = {"fullMethod": METHOD, "request": {"query": {"limit": 10}}}
PATH = "/v1/intercept/request"
CHANGED = {"query": {"limit": 1}}
ANSWER = Answer(body=json.dumps(CHANGED).encode())


async def bind(server: Server, *targets: str) -> None:
    """Run the requests of the method through these."""
    body = {"condition": {"request": {"method": METHOD}}, "targets": targets}
    await server.api.post("/v2/actions/executions", body, method="PUT")


async def test_a_request_comes_back_as_its_target_made_it(launch):
    """
    From end to end, with nothing of ours at either end but the signature.
    """
    async with Receiver([ANSWER]) as receiver:
        server = await launch().ready()
        target = await server.api.create_target("change", receiver.url, kind="restCall")
        receiver.signing_keys = [target.signing_key]
        await bind(server, target.id)
        answer = await server.api.post(PATH, CALL)
        (call,) = receiver.calls

    duration = answer["calls"][0].pop("duration")
    seen = [{"targetId": target.id, "outcome": "OUTCOME_ACCEPTED"}]
    assert {"request": CHANGED, "execution": f"request{METHOD}", "calls": seen} == answer
    assert 0 < float(duration.removesuffix("s")) < 10
    assert call.verified is not None, call.refusal
    assert CALL["request"] == json.loads(call.body)["request"]


async def test_a_server_that_stops_answers_what_runs(launch):
    """
    A deploy must not fail the logins that happen to run through a target just then.
    """
    answered = asyncio.Event()

    def hung_once(call: ReceivedCall) -> Answer:
        return Answer(body=ANSWER.body, hang_until=answered) if call.number == 1 else Answer()

    async with Receiver(hung_once) as receiver:
        server = await launch().ready()
        later = await server.api.create_target("later", receiver.url, kind="restAsync")
        target = await server.api.create_target("change", receiver.url, kind="restCall")
        await server.api.post(f"/v1/targets/{later.id}/pause", {})
        await bind(server, later.id, target.id)
        calling = asyncio.create_task(server.api.post(PATH, CALL))
        await receiver.wait_for(1)
        stopping = asyncio.create_task(server.stop())
        await server.closed(within=10)
        answered.set()
        answer = await calling
        code = await stopping
        following = await launch().ready()
        await following.api.post(f"/v1/targets/{later.id}/resume", {})
        await following.api.settled()
        [delivery] = await following.api.deliveries()

    assert 0 == code
    assert CHANGED == answer["request"]
    assert (later.id, "DELIVERY_STATE_DELIVERED") == (delivery["targetId"], delivery["state"])
    assert 2 == len(receiver.calls)


async def hang_up(server: Server, receiver: Receiver) -> None:
    """Ask over HTTP, and close the connection once the target was called."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    connection.request("POST", PATH, json.dumps(CALL), headers)
    await receiver.wait_for(1)
    connection.close()


async def cancel(server: Server, receiver: Receiver) -> None:
    """Ask over gRPC, and cancel once the target was called."""
    async with grpc.aio.insecure_channel(urlsplit(server.url).netloc) as channel:
        method = channel.unary_unary("/outrider.v1.InterceptionService/InterceptRequest")
        request = InterceptRequestRequest.from_json(json.dumps(CALL)).to_binary()
        call = method(request, metadata=[("authorization", f"Bearer {server.token}")])
        await receiver.wait_for(1)
        call.cancel()


@pytest.mark.parametrize("leave", [hang_up, cancel], ids=["HTTP", "gRPC"])
async def test_the_call_of_a_caller_that_has_left_is_cancelled(launch, leave):
    """
    Calls without a caller would use the target's permits until its time-out.
    """
    silence = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=silence)) as receiver:
        server = await launch().ready()
        target = await server.api.create_target(
            "hung", receiver.url, kind="restCall", timeout="60s"
        )
        await bind(server, target.id)
        await leave(server, receiver)
        async with asyncio.timeout(10):
            while receiver.connection_count:
                await asyncio.sleep(0.01)

    assert 1 == len(receiver.calls)
